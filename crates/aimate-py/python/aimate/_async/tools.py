"""Tools: functions of the application, and those of MCP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Literal, Mapping, cast

from .. import _bridge
from .._calls import Page, query, quoted, some
from .groups import Group

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .. import types


class ToolServers(Group):
    """MCP servers."""

    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> Page[types.ToolServer]:
        """Returns a page."""
        return await self._page("/api/v1/tools/servers" + query(limit=limit, cursor=cursor))

    async def create(
        self,
        name: str,
        url: str,
        *,
        auth_type: Literal["none", "bearer", "headers", "oauth"] | None = None,
        auth_config: Mapping[str, Any] | None = None,
        shared: bool | None = None,
        workspace_id: str | None = None,
    ) -> types.ToolServerDetail:
        """Adds a server. A private address needs ``allow_private`` of `Engine.open`."""
        body = some(
            name=name, url=url, auth_type=auth_type, auth_config=auth_config, shared=shared, workspace_id=workspace_id
        )
        return cast("types.ToolServerDetail", await self._ask("POST", "/api/v1/tools/servers", body))

    async def get(self, id: str) -> types.ToolServerDetail:
        """Returns one with its tools."""
        return cast("types.ToolServerDetail", await self._ask("GET", f"/api/v1/tools/servers/{quoted(id)}"))

    async def update(self, id: str, **fields: Unpack[types.ToolServerChange]) -> types.ToolServerDetail:
        """Changes what is given."""
        return cast("types.ToolServerDetail", await self._ask("PATCH", f"/api/v1/tools/servers/{quoted(id)}", dict(fields)))

    async def delete(self, id: str) -> None:
        """Removes it."""
        await self._ask("DELETE", f"/api/v1/tools/servers/{quoted(id)}")

    async def test(self, id: str) -> types.ToolServerTest:
        """Connects, and reads its list of tools anew."""
        return cast("types.ToolServerTest", await self._ask("POST", f"/api/v1/tools/servers/{quoted(id)}/test"))

    async def set_policy(
        self, id: str, policy: Mapping[str, Literal["allow", "ask", "deny"]]
    ) -> types.ToolServerDetail:
        """Says, by tool, whether calls are made at once, after a person agreed, or never."""
        path = f"/api/v1/tools/servers/{quoted(id)}/policy"
        return cast("types.ToolServerDetail", await self._ask("PUT", path, policy))


class Tools(Group):
    """What models may call within an answer."""

    @property
    def servers(self) -> ToolServers:
        """MCP servers."""
        return ToolServers(self._caller)

    async def list(self) -> Page[types.UsableTool]:
        """Returns the tools that a turn may name."""
        return await self._page("/api/v1/tools")

    def register(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        policy: Literal["allow", "ask", "deny"] | None = None,
    ) -> str:
        """Lets models call a function, and returns the name that turns call it by.

        Its type hints and docstring tell the model what it takes. A plain function runs in a
        thread, a coroutine function in the event loop that uses the engine. What it raises
        becomes a failed result that the model reads; `ToolError` says it in your words. With
        ``policy="ask"`` each call waits for `Runs.approve`.
        """
        from .._tools import tool_of

        tool = tool_of(function, name=name, policy=policy)
        _bridge.adopt(self._caller.native)
        self._caller.native.register_tool(tool.spec, tool.call)
        return tool.name
