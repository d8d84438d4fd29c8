"""Tools: asking before a call, allowing and refusing it, and what came of it."""

import re
from collections.abc import Callable, Iterator

import pytest
from chat import Chat
from model import Answer, Model
from playwright.sync_api import Page, expect
from server import Server
from tool_server import ToolServer


@pytest.fixture
def tools(server: Server, tool_server: ToolServer) -> Iterator[str]:
    """A server of tools that asks before each call; gives the name of its tool."""
    made = server.call("POST", "/tools/servers", {"name": "meteo", "url": tool_server.url})
    server.call("POST", f"/tools/servers/{made['id']}/test")
    server.call("PUT", f"/tools/servers/{made['id']}/policy", {"weather": "ask"})
    yield "weather"
    server.call("DELETE", f"/tools/servers/{made['id']}")


def ask(chat: Chat, model: Model, tool: str, key: str) -> None:
    model.script(key, Answer([], tool=(tool, {"place": f"{key} Lisbon"})))
    chat.use_tool(tool)
    chat.ask(key)


def test_call_waits_for_approval_and_is_made(server: Server, tools: str, tool_server: ToolServer, model: Model, open_page: Callable[..., Page], key: str) -> None:
    chat = Chat(open_page(server), server)
    before = len(tool_server.calls)
    ask(chat, model, tools, key)
    expect(chat.main.get_by_text(re.compile(f"{key} Lisbon")).last).to_be_visible()
    allow = chat.main.get_by_role("button", name="Allow", exact=True)
    expect(allow.first).to_be_visible()
    assert len(tool_server.calls) == before
    # It waits across a reload.
    chat.page.reload()
    allow.first.click()
    expect(chat.main.get_by_text(re.compile("The tool said: Rain in the afternoon"))).to_be_visible()
    assert len(tool_server.calls) == before + 1


def test_refused_call_is_not_made(server: Server, tools: str, tool_server: ToolServer, model: Model, open_page: Callable[..., Page], key: str) -> None:
    chat = Chat(open_page(server), server)
    before = len(tool_server.calls)
    ask(chat, model, tools, key)
    chat.main.get_by_role("button", name="Do not allow").first.click()
    chat.finished()
    expect(chat.main.get_by_text(re.compile("The tool said:"))).to_be_visible()
    assert len(tool_server.calls) == before


def test_result_of_a_call_is_shown_on_demand(server: Server, tools: str, model: Model, open_page: Callable[..., Page], key: str) -> None:
    chat = Chat(open_page(server), server)
    ask(chat, model, tools, key)
    chat.main.get_by_role("button", name="Allow", exact=True).first.click()
    expect(chat.main.get_by_text(re.compile("The tool said:"))).to_be_visible()
    chat.page.reload()
    expect(chat.main.get_by_text(re.compile("The tool said:"))).to_be_visible()
    fold = chat.main.locator("summary").filter(has_text=re.compile("weather"))
    fold.first.click()
    expect(chat.main.get_by_text("Rain in the afternoon.", exact=True).first).to_be_visible()
