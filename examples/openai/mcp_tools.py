"""Tools of an MCP server in a response: `pip install openai`, start aiMate, run this.

The MCP server here is aiMate's own, which lists the tools of your documents; set `MCP_SERVER` to another
one's address, and `MCP_TOKEN` to what it wants.
"""

import os

from openai import OpenAI
from openai.types.responses.tool_param import Mcp

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")
client = OpenAI(base_url=f"{HOST}/v1", api_key=os.environ.get("AIMATE_TOKEN", "local"))
model = os.environ.get("MODEL") or client.models.list().data[0].id

server: Mcp = {
    "type": "mcp",
    "server_label": "papers",
    "server_url": os.environ.get("MCP_SERVER", f"{HOST}/mcp"),
    "allowed_tools": [os.environ.get("MCP_TOOL", "search")],
}
if "MCP_TOKEN" in os.environ:
    # Kept in memory while the response is made, and nowhere else.
    server["authorization"] = os.environ["MCP_TOKEN"]

question = "When is the boiler serviced?"
asked = client.responses.create(model=model, input=question, tools=[server])
for item in asked.output:
    if item.type == "mcp_list_tools":
        print("listed:", ", ".join(tool.name for tool in item.tools))
    if item.type == "mcp_approval_request":
        print("asked:", item.name, item.arguments)

# A person says yes; the tools go with each request.
yes = [
    {"type": "mcp_approval_response", "approval_request_id": item.id, "approve": True}
    for item in asked.output
    if item.type == "mcp_approval_request"
]
answer = client.responses.create(model=model, input=yes, previous_response_id=asked.id, tools=[server])
for item in answer.output:
    if item.type == "mcp_call":
        print("called:", item.name, item.status)
print("answer:", answer.output_text)

# Without asking, streamed.
server["require_approval"] = "never"
with client.responses.stream(model=model, input=question, tools=[server]) as stream:
    for event in stream:
        if event.type.startswith("response.mcp_"):
            print("event:", event.type)
    print("streamed:", stream.get_final_response().status)
