"""What the retrievers for other libraries share."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from . import _bridge, _bridge_sync
from ._async.engine import User
from ._async.knowledge import Knowledge
from ._sync.engine import User as SyncUser
from ._sync.knowledge import Knowledge as SyncKnowledge

if TYPE_CHECKING:
    from ._calls import Page

logger = logging.getLogger("aimate")


def asking(engine: Any) -> Knowledge:
    """Returns the knowledge of either kind of engine, for coroutines."""
    caller = checked(engine)._caller
    if caller.native.has_home:
        # An embedder written in Python is called in the loop that asks.
        _bridge.adopt(caller.native)
    return Knowledge(caller)


def blocking(engine: Any) -> SyncKnowledge:
    """Returns the knowledge of either kind of engine, for callers that wait."""
    caller = checked(engine)._caller
    if caller.native.has_home and _is_in_a_loop():
        # An embedder written in Python would be called in this loop, which the caller keeps from
        # running: notebooks, and chains that mix `invoke` into coroutines, would wait for ever.
        _bridge_sync.adopt(caller.native)
    return SyncKnowledge(caller)


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def checked(engine: Any) -> Any:
    """Returns the engine. Raises `TypeError` if it is none."""
    if not isinstance(engine, (User, SyncUser)):
        raise TypeError(f"engine: is a {type(engine).__name__}; it is an `Engine`, or what `as_user` returns")
    return engine


def warn(page: Page[Any]) -> None:
    """Logs what could not be searched: callers of a retriever get passages alone."""
    for warning in page.rest.get("warnings", ()):
        logger.info("search: %s", warning)
