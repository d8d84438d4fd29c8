"""The HTTP API of an engine as an ASGI app."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, List, MutableMapping, Optional, Union

from . import _bridge

if TYPE_CHECKING:
    from ._async.engine import Engine, User
    from ._calls import Caller
    from ._sync.engine import SyncEngine
    from ._sync.engine import User as SyncUser

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ScopeOf = Callable[[AsgiScope], "Union[User, SyncUser, None, Awaitable[Union[User, SyncUser, None]]]"]


class AsgiApp:
    """The routes ``/api/v1``, ``/v1``, ``/docs`` and so on, under whatever path it is mounted.

    Responses are streamed; a client that goes away ends its stream.

    ``engine`` is an engine, or a function that returns it where it is not opened yet, as in an app
    that opens it when it starts. ``scope`` says who asks; see `Engine.asgi`.
    """

    def __init__(
        self, engine: Engine | SyncEngine | Callable[[], Engine | SyncEngine], scope: ScopeOf | User | SyncUser | None = None
    ) -> None:
        self._engine = engine
        self._scope = scope

    @property
    def _caller(self) -> Caller:
        engine = self._engine() if callable(self._engine) else self._engine
        return engine._caller

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
            return True, self._caller.who
        return await _known(self._scope, scope)

    async def _http(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        known, who = await self._who(scope)
        prefix, target = _target(scope)
        headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        # ASGI does not tell; over HTTP/2 a body needs no header that would.
        has_body = scope["method"] in ("POST", "PUT", "PATCH")
        exchange = self._caller.native.exchange(who, known, prefix, scope["method"], target, headers, has_body)
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


# What may stand in an address as it is; all else is percent-encoded, as clients should have done.
_PLAIN = "/%:@!$&'()*+,;=-._~"


def _target(scope: AsgiScope) -> tuple[str, str]:
    """Returns the path that the app is mounted under, and the path of the request with its query,
    both percent-encoded."""
    from urllib.parse import quote, unquote

    mounted: str = scope.get("root_path", "").rstrip("/")
    prefix = quote(mounted, safe="/")
    raw = scope.get("raw_path")
    path = quote(scope["path"], safe=_PLAIN.replace("%", "")) if raw is None else quote(raw, safe=_PLAIN)
    parts = path.split("/")
    depth = mounted.count("/") + 1
    # Servers differ in whether the path has the prefix, as ASGI 3 says it has.
    if unquote("/".join(parts[:depth])) == mounted:
        parts = ["", *parts[depth:]]
    path = prefix + "/".join(parts)
    query = quote(scope.get("query_string", b""), safe=_PLAIN + "?")
    return prefix, f"{path}?{query}" if query else path


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
