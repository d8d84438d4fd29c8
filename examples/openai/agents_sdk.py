"""OpenAI's Agents SDK on aiMate: `pip install openai-agents`, start the server, run this.

The session keeps what was said on the server, as a conversation.
"""

import asyncio
import os
from typing import Literal

from agents import (
    Agent,
    HostedMCPTool,
    MCPToolApprovalFunctionResult,
    MCPToolApprovalRequest,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

HOST = os.environ.get("AIMATE", "http://127.0.0.1:3000")

# Traces would go to OpenAI.
set_tracing_disabled(True)


@function_tool
def boiler_pressure(room: Literal["the cellar", "the kitchen"]) -> str:
    """Measures the pressure of the boiler in a room."""
    return f"1.4 bar in {room}"


def approve(request: MCPToolApprovalRequest) -> MCPToolApprovalFunctionResult:
    """A person would be asked here."""
    print("asked:", request.data.name, request.data.arguments)
    return {"approve": True}


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{HOST}/v1", api_key=os.environ.get("AIMATE_TOKEN", "local"))
    name = os.environ.get("MODEL") or (await client.models.list()).data[0].id
    model = OpenAIResponsesModel(model=name, openai_client=client)
    agent = Agent(name="Caretaker", instructions="You look after a house.", model=model, tools=[boiler_pressure])
    result = await Runner.run(agent, "How much pressure has the boiler in the cellar?")
    print("answer:", result.final_output)

    # aiMate calls the tools of an MCP server itself; here its own, which searches your documents.
    papers = HostedMCPTool(
        tool_config={
            "type": "mcp",
            "server_label": "papers",
            "server_url": os.environ.get("MCP_SERVER", f"{HOST}/mcp"),
            "allowed_tools": ["search"],
            "require_approval": "always",
        },
        on_approval_request=approve,
    )
    librarian = Agent(name="Librarian", instructions="Look into the papers.", model=model, tools=[papers])
    found = await Runner.run(librarian, "When is the boiler serviced?")
    print("found:", found.final_output)

    talker = Agent(name="Porter", instructions="Answer briefly.", model=model)
    session = OpenAIConversationsSession(openai_client=client)
    await Runner.run(talker, "My name is Ada.", session=session)
    again = await Runner.run(talker, "What is my name?", session=session)
    print("session:", again.final_output)
    print("items:", len(await session.get_items()))

    streamed = Runner.run_streamed(talker, "Say hello.", session=session)
    print("stream: ", end="")
    async for event in streamed.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            print(event.data.delta, end="", flush=True)
    print()
    await session.clear_session()


asyncio.run(main())
