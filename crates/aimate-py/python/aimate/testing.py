"""Tests without a model: a provider that plays a script, and a pytest fixture.

>>> from aimate.testing import Scripted, fails, hang, says, tool_call
>>> async def test_answer():
...     scripted = Scripted("In May.", [says("In "), fails("upstream")])
...     async with await scripted.open() as engine:
...         assert await engine.chat("When?").text() == "In May."
...         with pytest.raises(aimate.UpstreamError):
...             await engine.chat("When?").collect()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping

from ._aimate import Script

if TYPE_CHECKING:
    from ._async.engine import Engine
    from ._sync.engine import SyncEngine


class Scripted:
    """A provider that plays one script for each call, and ``Hello there`` when none is left.

    A script is a text, or a list of steps: texts, events as a provider yields them, and what
    the functions of this module make. Its models are ``test`` and ``tiny``.
    """

    def __init__(self, *scripts: str | Iterable[str | Mapping[str, Any]]) -> None:
        self._script = Script(scripts)

    def push(self, *scripts: str | Iterable[str | Mapping[str, Any]]) -> None:
        """Adds scripts."""
        for script in scripts:
            self._script.push(script)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What it was asked so far."""
        return self._script.requests

    @property
    def open_answers(self) -> int:
        """How many answers are being played: 0 once everybody has left."""
        return self._script.open

    async def open(self, url: str = "sqlite::memory:", **options: Any) -> Engine:
        """Opens an engine in memory that this provider answers."""
        from . import Engine

        options.setdefault("connections", [])
        options.setdefault("providers", {"scripted": self})
        return await Engine.open(url, **options)

    def open_sync(self, url: str = "sqlite::memory:", **options: Any) -> SyncEngine:
        """`open` without a loop."""
        from . import SyncEngine

        options.setdefault("connections", [])
        options.setdefault("providers", {"scripted": self})
        return SyncEngine.open(url, **options)


def says(text: str) -> dict[str, Any]:
    """The model says this, in one piece."""
    return {"type": "text", "text": text}


def thinks(text: str) -> dict[str, Any]:
    """The model reasons."""
    return {"type": "reasoning", "text": text}


def tool_call(name: str, *, id: str = "1", **arguments: Any) -> dict[str, Any]:
    """The model calls a tool."""
    return {"type": "tool_call", "id": id, "name": name, "arguments": arguments}


def waits(seconds: float) -> dict[str, Any]:
    """Nothing comes for this long."""
    return {"type": "wait", "seconds": seconds}


def hangs() -> dict[str, Any]:
    """Nothing comes any more, and the connection stays open."""
    return {"type": "hang"}


def fails(code: str = "upstream", detail: str = "the script says so") -> dict[str, Any]:
    """The server fails: at once where it is the first step, else in mid-stream."""
    return {"type": "fail", "code": code, "detail": detail}


try:
    import pytest
except ImportError:  # pragma: no cover - outside of tests there is nothing to offer
    pass
else:

    @pytest.fixture
    def aimate_scripted() -> Iterator[Scripted]:
        """A `Scripted` provider: push scripts, and `open` or `open_sync` an engine with it."""
        yield Scripted()
