"""The HTTP API of an engine as an ASGI app."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, List, MutableMapping, Optional, Union

from . import _bridge

if TYPE_CHECKING:
    from ._async.engine import User
    from ._sync.engine import User as SyncUser

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ScopeOf = Callable[[AsgiScope], "Union[User, SyncUser, None, Awaitable[Union[User, SyncUser, None]]]"]


class AsgiApp:
    """The routes ``/api/v1``, ``/v1``, ``/docs`` and so on, under whatever path it is mounted.

    Responses are streamed; a client that goes away ends its stream.
    """

    def __init__(self, engine: Any, scope: Any = None) -> None:
        self._engine = engine
        self._scope = scope

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        kind = scope["type"]
        if kind == "lifespan":
            await _lifespan(receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise ValueError(f"the ASGI scope has the type `{kind}`; this app answers `http`")

    async def _who(self, scope: AsgiScope) -> tuple[bool, Any]:
        if self._scope is None:
            return True, self._engine._caller.who
        return await _known(self._scope, scope)

    async def _http(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        known, who = await self._who(scope)
        prefix = scope.get("root_path", "").rstrip("/")
        target = _target(scope, prefix)
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        # ASGI does not tell; over HTTP/2 a body needs no header that would.
        has_body = scope["method"] in ("POST", "PUT", "PATCH")
        native = self._engine._caller.native
        exchange = native.exchange(who, known, prefix, scope["method"], target, headers, has_body)
        try:
            await self._exchange(exchange, has_body, receive, send)
        finally:
            exchange.close()

    async def _exchange(self, exchange: Any, has_body: bool, receive: Receive, send: Send) -> None:
        import asyncio

        async def bring() -> None:
            """Brings the request's body, then waits until the client is gone."""
            is_read = has_body
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                more = message.get("more_body", False)
                if is_read:
                    is_read = await _bridge.run(exchange.feed(message.get("body", b""), more)) and more
                    if not more:
                        await _bridge.run(exchange.feed(b"", False))

        async def answer() -> None:
            status, headers = await _bridge.run(exchange.head())
            await send({"type": "http.response.start", "status": status, "headers": headers})
            while (piece := await _bridge.run(exchange.piece())) is not None:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        bringing = asyncio.ensure_future(bring())
        answering = asyncio.ensure_future(answer())
        try:
            await asyncio.wait({bringing, answering}, return_when=asyncio.FIRST_COMPLETED)
            if bringing.done() and not answering.done():
                bringing.result()
                answering.cancel()
        finally:
            bringing.cancel()
            if not answering.done():
                answering.cancel()
            await asyncio.gather(bringing, answering, return_exceptions=True)
        if not answering.cancelled():
            answering.result()


async def _known(found: Any, scope: AsgiScope) -> tuple[bool, Any]:
    """Returns whether anybody is known to ask, and who."""
    if callable(found):
        found = found(scope)
        if inspect.isawaitable(found):
            found = await found
    if found is None:
        return False, None
    caller = getattr(found, "_caller", None)
    if caller is None:
        kind = type(found).__name__
        raise TypeError(f"scope: returned a {kind}; it is what `engine.as_user` returns, or None")
    return True, caller.who


def asked_by(scope: Any) -> Callable[[str, str, Any], Awaitable[Any]]:
    """Returns a scope function as the native module calls it."""

    async def who(method: str, path: str, headers: Any) -> Any:
        known, found = await _known(scope, {"type": "http", "method": method, "path": path, "headers": headers})
        return (found,) if known else None

    return who


def _target(scope: AsgiScope, prefix: str) -> str:
    raw = scope.get("raw_path")
    if raw is None:
        from urllib.parse import quote

        path = quote(scope["path"], safe="/:@!$&'()*+,;=-._~")
    else:
        path = raw.decode("ascii")
    # Servers differ in whether the path has the prefix, as ASGI 3 says it has.
    if prefix and not path.startswith(prefix):
        path = prefix + path
    query = scope.get("query_string", b"").decode("ascii")
    return f"{path}?{query}" if query else path


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
