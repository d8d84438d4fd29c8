"""aiMate: chat, documents and tools within your own process.

>>> import aimate
>>> async with await aimate.Engine.open("sqlite:aimate.db") as engine:
...     await engine.knowledge.add_file("manual.pdf", collection="docs")
...     async for event in engine.chat("How do I reset it?", knowledge=["docs"]):
...         if event["type"] == "text":
...             print(event["text"], end="")

`Engine` is for asyncio, `SyncEngine` for everything else. Data are plain dicts, typed in
`aimate.types`; errors are the exceptions below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._aimate import __version__, generate_key
from ._async.chat import Chat, text_of
from ._async.engine import Engine, User
from ._calls import UNSET, Page
from .errors import (
    AimateError,
    ClosedError,
    ConflictError,
    ContextOverflowError,
    DocumentsError,
    ForbiddenError,
    InternalError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    TimeoutError,
    ToolError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UpstreamError,
)

if TYPE_CHECKING:
    from ._observer import Observer
    from ._sync.chat import Chat as SyncChat
    from ._sync.engine import SyncEngine
    from ._sync.engine import User as SyncUser
    from ._tools import ToolContext, tool

__all__ = [
    "UNSET",
    "AimateError",
    "Chat",
    "ClosedError",
    "ConflictError",
    "ContextOverflowError",
    "DocumentsError",
    "Engine",
    "ForbiddenError",
    "InternalError",
    "InvalidError",
    "NotFoundError",
    "Observer",
    "Page",
    "RateLimitedError",
    "SyncChat",
    "SyncEngine",
    "SyncUser",
    "TimeoutError",
    "TooLargeError",
    "ToolContext",
    "ToolError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "UpstreamError",
    "User",
    "__version__",
    "generate_key",
    "text_of",
    "tool",
]

# What many programs never need, so that importing the package stays quick.
_LATER = {
    "Observer": ("._observer", "Observer"),
    "SyncChat": ("._sync.chat", "Chat"),
    "SyncEngine": ("._sync.engine", "SyncEngine"),
    "SyncUser": ("._sync.engine", "User"),
    "ToolContext": ("._tools", "ToolContext"),
    "tool": ("._tools", "tool"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LATER[name]
    value = getattr(import_module(module, __name__), attribute)
    globals()[name] = value
    return value
