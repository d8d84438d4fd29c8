"""The same engine for coroutines and for blocking callers."""

from __future__ import annotations

from typing import Any

from ._async.engine import User
from ._calls import Caller
from ._sync.engine import User as SyncUser


def views(engine: Any) -> tuple[User, SyncUser]:
    """Returns both views of an engine, or of what `as_user` returned.

    Raises `TypeError` for anything else.
    """
    caller = getattr(engine, "_caller", None)
    if not isinstance(caller, Caller):
        kind = type(engine).__name__
        raise TypeError(f"engine: is a {kind}; it is an aimate.Engine, a SyncEngine, or what `as_user` returns")
    return User(caller), SyncUser(caller)
