"""What the tests share."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any, Callable, Iterator

import pytest

from aimate import SyncEngine
from aimate.testing import Scripted


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    """Runs coroutine functions, each in a loop of its own."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(function(**arguments), 60))
    return True


@pytest.fixture
def scripted() -> Scripted:
    """A provider that plays a script."""
    return Scripted()


@pytest.fixture
def engine(scripted: Scripted) -> Iterator[SyncEngine]:
    """A blocking engine in memory."""
    with scripted.open_sync() as engine:
        yield engine


def until(condition: Callable[[], bool], seconds: float = 5.0) -> Any:
    """Waits until something is so."""

    @functools.wraps(condition)
    async def wait() -> None:
        for _ in range(int(seconds / 0.01)):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not become so in time")

    return wait()
