"""Searches aiMate's documents from the MCP SDK for Python: `pip install mcp`, start the server, run this.

    python mcp_client.py "When is the boiler serviced?"

With MCP=stdio it starts `aimate mcp` itself. A server with accounts wants an API token in AIMATE_TOKEN.
"""
import asyncio
import os
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")


def server():
    if os.environ.get("MCP") == "stdio":
        return StdioServerParameters(command=os.environ.get("AIMATE_BIN", "aimate"), args=["mcp"], env=dict(os.environ))
    token = os.environ.get("AIMATE_TOKEN", "local")
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60)
    return streamable_http_client(f"{HOST}/mcp", http_client=http)


async def main(question: str) -> None:
    async with Client(server()) as client:
        print(client.server_info.name, client.server_info.version, "speaks", client.protocol_version)
        tools = await client.list_tools()
        print("tools:", ", ".join(tool.name for tool in tools.tools))
        found = await client.call_tool("search", {"query": question, "limit": 3})
        passages = found.structured_content["passages"]
        for passage in passages:
            print(f"[{passage['n']}] {passage['title']}: {passage['text'][:80]!r}")
        if passages:
            document = await client.read_resource(passages[0]["uri"])
            print("the whole document has", len(document.contents[0].text), "characters")
        for prompt in (await client.list_prompts()).prompts:
            text = (await client.get_prompt(prompt.name)).messages[0].content.text
            print("prompt", prompt.title or prompt.name, "->", text[:60])


asyncio.run(main(" ".join(sys.argv[1:]) or "When is the boiler serviced?"))
