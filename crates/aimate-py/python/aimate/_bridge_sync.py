"""Between blocking callers and the engine's threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import _aimate
    from ._aimate import Pending, Stream

from . import _bridge as _bridge  # for the end of the interpreter


def run(pending: Pending) -> Any:
    """Waits for a call without holding Python's lock; Ctrl-C breaks it off."""
    return pending.wait()


def ready(stream: Stream) -> None:
    """Waits until a stream has something to take."""
    stream.block()


def breathe() -> None:
    """Does nothing: there is no loop that others would wait for."""


def adopt(native: _aimate.Engine) -> None:
    """Lets a loop in a thread call an engine's tools and providers."""
    from . import _host

    native.adopt(_host.own_port(), lambda: True)
