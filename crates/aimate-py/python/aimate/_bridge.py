"""Between coroutines and the engine's threads."""

from __future__ import annotations

import atexit
import contextvars
import threading
import weakref
from typing import TYPE_CHECKING, Any

from . import _aimate

if TYPE_CHECKING:
    import asyncio

    from ._aimate import Pending, Port, Stream

_ports: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Port] = weakref.WeakKeyDictionary()
_lock = threading.Lock()

# Before the interpreter ends, while threads may still enter it.
atexit.register(_aimate.shutdown)


def port() -> Port:
    """Returns what wakes the running loop."""
    import asyncio

    loop = asyncio.get_running_loop()
    found = _ports.get(loop)
    if found is None:
        found = _aimate.Port()
        # In no context: whatever is called through it would have that of who came first, such as
        # the request that an app served when it first used the engine.
        contextvars.Context().run(loop.add_reader, found.fileno(), found.drain)
        with _lock:
            _ports[loop] = found
    return found


async def run(pending: Pending) -> Any:
    """Awaits a call; cancelling it breaks the call off."""
    import asyncio

    future = asyncio.get_running_loop().create_future()
    pending.start(port(), future)
    try:
        return await future
    except (asyncio.CancelledError, GeneratorExit):
        # The latter where the coroutine is thrown away while it waits.
        pending.cancel()
        raise


async def ready(stream: Stream) -> None:
    """Waits until a stream has something to take."""
    import asyncio

    future = asyncio.get_running_loop().create_future()
    stream.wait(port(), future)
    await future


async def breathe() -> None:
    """Lets the loop's other tasks run."""
    import asyncio

    await asyncio.sleep(0)


def adopt(native: _aimate.Engine) -> None:
    """Lets the running loop call an engine's tools and providers from now on."""
    import asyncio

    native.adopt(port(), asyncio.get_running_loop().is_running)
