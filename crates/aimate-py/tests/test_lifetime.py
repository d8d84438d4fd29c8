"""Loops, threads, processes, and the end."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from typing import Any, AsyncIterator

import pytest

import aimate
from aimate import SyncEngine
from aimate.testing import Scripted, hangs, says


def run(code: str, *, timeout: float = 30, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )


async def test_closed_engine_says_so(scripted: Scripted) -> None:
    engine = await scripted.open()
    await engine.aclose()
    await engine.aclose()
    assert engine.is_closed and "closed" in repr(engine)
    with pytest.raises(aimate.ClosedError, match="closed"):
        await engine.conversations.list()
    with pytest.raises(aimate.ClosedError):
        engine.chat("x")
    with pytest.raises(aimate.ClosedError):
        engine.tools.register(lambda: "x", name="x")


async def test_copies_are_the_same_engine_and_pickles_are_refused(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        settings = {"engine": engine, "ann": engine.as_user("acme", "ann")}
        copied = copy.deepcopy(settings)
        assert await copied["engine"].chat("x").text() == "Hello there"
        made = await copy.copy(settings["ann"]).conversations.create(title="x")
        assert await copied["ann"].conversations.get(made["id"]) == made
        for handle in (engine, settings["ann"], engine.knowledge, engine.chat("x")):
            with pytest.raises(TypeError, match="cannot be pickled|cannot pickle"):
                pickle.dumps(handle)
    assert copied["engine"].is_closed


async def test_closing_ends_running_answers(scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    engine = await scripted.open()
    chat = engine.chat("x", on_disconnect="continue")
    events = aiter(chat)
    await anext(events)
    await engine.aclose()
    with pytest.raises((aimate.AimateError, StopAsyncIteration)):
        while True:
            await anext(events)


async def test_call_is_awaited_once(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        call = engine.conversations.list()
        await call
        with pytest.raises(RuntimeError, match="already awaited"):
            await call
        pending = engine._caller.native.request(None, "GET", "/api/v1/conversations")
        from aimate import _bridge

        await _bridge.run(pending)
        with pytest.raises(RuntimeError, match="once"):
            await _bridge.run(pending)


def test_engine_of_one_loop_works_in_another(scripted: Scripted) -> None:
    class Echo:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield "echo"

    engine = asyncio.run(aimate.Engine.open("sqlite::memory:", connections=[], providers={"echo": Echo()}))

    async def use() -> str:
        assert await engine.conversations.list() is not None
        return await engine.chat("x", model="echo/default").text()

    assert asyncio.run(use()) == "echo"
    assert asyncio.run(use()) == "echo"
    asyncio.run(engine.aclose())


def test_loops_in_threads_share_an_engine(scripted: Scripted) -> None:
    engine = asyncio.run(scripted.open())
    texts: list[str] = []

    def work() -> None:
        async def use() -> None:
            texts.extend(await asyncio.gather(*(engine.chat("x").text() for _ in range(5))))

        asyncio.run(use())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["Hello there"] * 20
    asyncio.run(engine.aclose())


def test_provider_whose_loop_is_gone_is_called_all_the_same() -> None:
    class Echo:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[str]:
            yield "echo"

    async def begin() -> tuple[aimate.Engine, Any]:
        engine = await aimate.Engine.open("sqlite::memory:", connections=[], providers={"echo": Echo()})
        chat = engine.chat("x", model="echo/default", on_disconnect="continue")
        events = aiter(chat)
        return engine, events

    engine, chat = asyncio.run(begin())

    async def look() -> None:
        for _ in range(400):
            page = await engine.conversations.list()
            if page and engine.running == 0:
                messages = await engine.conversations.messages(page[0]["id"])
                assert aimate.text_of(messages[-1]) == "echo" and chat is not None
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the provider was not called")

    asyncio.run(look())
    asyncio.run(engine.aclose())


def test_uvloop(scripted: Scripted) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def use() -> None:
        async with await scripted.open() as engine:
            texts = await asyncio.gather(*(engine.chat("x").text() for _ in range(20)))
            assert texts == ["Hello there"] * 20

    uvloop.run(use())


def test_fork_after_start_says_so(engine: SyncEngine) -> None:
    done = run(
        """
        import os, sys
        from aimate.testing import Scripted
        engine = Scripted().open_sync()
        pid = os.fork()
        if pid == 0:
            try:
                engine.conversations.list()
            except RuntimeError as error:
                print("child:", error, flush=True)
                sys.exit(7)
            sys.exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7, status
        assert engine.conversations.list() == []
        engine.close()
        print("parent is well")
        """
    )
    assert done.returncode == 0, done.stderr
    assert "forked" in done.stdout and "parent is well" in done.stdout


@pytest.mark.parametrize(
    "rest",
    [
        "pass",
        "chat = engine.chat('x'); events = iter(chat); next(events)",
        "import threading; threading.Thread(target=lambda: engine.chat('x').collect(), daemon=True).start(); time.sleep(0.2)",
        "engine.close()",
        "import aimate._host as h; h.own_port()",
        "raise SystemExit(0)",
    ],
)
def test_interpreter_ends(rest: str) -> None:
    done = run(
        f"""
        import time
        from aimate.testing import Scripted, hangs, says
        engine = Scripted([says("a"), hangs()]).open_sync()
        {rest}
        """
    )
    assert done.returncode == 0, done.stderr
    assert "panic" not in done.stderr and "Fatal" not in done.stderr


def test_interpreter_ends_within_a_loop() -> None:
    done = run(
        """
        import asyncio
        from aimate.testing import Scripted, hangs, says
        async def main():
            def tool() -> str:
                return "x"
            engine = await Scripted([says("a"), hangs()]).open(tools=[tool])
            task = asyncio.create_task(engine.chat("x").collect())
            await asyncio.sleep(0.2)
            print("leaving")
        asyncio.run(main())
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "leaving\n" and "panic" not in done.stderr


def test_import_brings_little_along() -> None:
    done = run(
        """
        import sys
        import aimate
        for module in ("asyncio", "inspect", "logging", "pydantic", "numpy"):
            assert module not in sys.modules, module
        """
    )
    assert done.returncode == 0, done.stderr


def test_program_that_logs_nowhere_has_a_quiet_end() -> None:
    done = run(
        """
        import aimate
        from aimate.testing import Scripted, fails
        with Scripted([fails("upstream")]).open_sync() as engine:
            try:
                engine.chat("x").collect()
            except aimate.UpstreamError as error:
                print(error)
        """
    )
    assert (done.stdout, done.stderr) == ("the script says so\n", "")


async def test_log_goes_to_logging(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="aimate")
    async with await scripted.open() as engine:
        with pytest.raises(aimate.NotFoundError):
            await engine.conversations.get("0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f")
        for _ in range(300):
            if any(record.name.startswith("aimate.") for record in caplog.records):
                return
            await asyncio.sleep(0.01)
    raise AssertionError("nothing was logged")


def test_pytest_has_a_fixture(tmp_path: Any) -> None:
    (tmp_path / "test_app.py").write_text(
        textwrap.dedent(
            """
            def test_app(aimate_scripted):
                aimate_scripted.push("In May.")
                with aimate_scripted.open_sync() as engine:
                    assert engine.chat("When?").text() == "In May."
            """
        )
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "aimate.testing", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
