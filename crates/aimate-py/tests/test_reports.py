"""What users of packages like this one reported, tried on this one.

Each test names the report. Cancelled tasks, forks, notebooks and frameworks have tests elsewhere.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any, AsyncIterator

import pytest

import aimate
from aimate import SyncEngine
from aimate.testing import Scripted, hangs, says, tool_call
from conftest import until


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own."""
    program = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=60)


def test_process_of_one_small_task_ends_well(tmp_path: Path) -> None:
    """PyO3/pyo3-async-runtimes #40, dhyansraj/mcp-mesh #877: spawned processes crash when they end."""
    (tmp_path / "work.py").write_text(
        textwrap.dedent(
            """
            import asyncio, multiprocessing
            from aimate.testing import Scripted, hangs, says

            async def begin():
                engine = await Scripted([says("a"), hangs()]).open()
                async for event in engine.chat("x", on_disconnect="continue"):
                    if event["type"] == "text":
                        return engine

            def task(n):
                global engine
                engine = asyncio.run(begin())
                return n

            if __name__ == "__main__":
                with multiprocessing.get_context("spawn").Pool(3, maxtasksperchild=1) as pool:
                    print(sum(pool.map(task, range(6), chunksize=1)))
                    pool.close()
                    pool.join()
            """
        )
    )
    done = subprocess.run([sys.executable, "work.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "15\n", "")


def test_call_that_ends_after_its_loop_is_quiet() -> None:
    """PyO3/pyo3-async-runtimes #90: a late completion calls into a closed loop."""
    done = run(
        """
        import asyncio, gc
        from aimate.testing import Scripted

        async def main(engine):
            for _ in range(20):
                asyncio.get_running_loop().create_task(engine.conversations.create(title="x"))
            await asyncio.sleep(0)

        engine = asyncio.run(Scripted().open())
        for _ in range(30):
            asyncio.run(main(engine))
        gc.collect()
        print(len(asyncio.run(engine.conversations.list(limit=1))))
        """
    )
    assert done.returncode == 0 and done.stdout == "1\n" and done.stderr == "", done.stderr


class _Waiting:
    """An embedder that waits until it is cancelled."""

    dimensions = 2

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0

    async def embed(self, texts: list[str]) -> list[list[float]]:
        self.begun += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return []


async def test_coroutine_that_is_thrown_away_ends_its_call(scripted: Scripted) -> None:
    """PyO3/pyo3-async-runtimes #64: the other side's work goes on when the future is dropped."""
    embedder = _Waiting()
    async with await scripted.open(embedder=embedder) as engine:
        await engine.knowledge.collections.create("docs")
        search = engine.knowledge.search("boiler", mode="vector")
        search.send(None)
        await until(lambda: embedder.begun == 1)
        search.close()
        await until(lambda: embedder.cancelled == 1)
        # awestlake87/pyo3-asyncio #47: nor after a time-out.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(engine.knowledge.search("garden", mode="vector"), 0.2)
        await until(lambda: embedder.cancelled == 2)


_request: contextvars.ContextVar[str] = contextvars.ContextVar("_request", default="nobody")


async def test_tools_see_no_context_of_another_request(scripted: Scripted) -> None:
    """huggingface/smolagents #2108, infiniflow/ragflow #16247: context variables in tools. Here
    they must not be those of whoever used the engine first."""
    seen: list[str] = []

    def plain() -> str:
        seen.append(_request.get())
        return "x"

    async def later() -> str:
        seen.append(_request.get())
        return "x"

    async def ask(engine: aimate.Engine, name: str) -> None:
        _request.set(name)
        scripted.push([tool_call("plain", id="1"), tool_call("later", id="2")], "Done.")
        await engine.chat("x", tools=["plain", "later"]).collect()

    _request.set("who opened it")
    async with await scripted.open(tools=[plain, later]) as engine:
        for name in ("ann", "bob"):
            await asyncio.create_task(ask(engine, name))
    assert seen == ["nobody"] * 4


def test_tools_in_threads_leave_threads_for_others(scripted: Scripted) -> None:
    """langchain-ai/langchain #10638, pydantic/pydantic-ai #3899: what runs in a thread waits for
    what needs one, and there is none left."""
    count = 24
    barrier = threading.Barrier(count)

    class Plain:
        dimensions = 2

        def embed(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, float(len(text))] for text in texts]

    def look_up(question: str) -> str:
        barrier.wait(30)
        return engine.knowledge.search(question, mode="vector")[0]["text"]

    scripted.push(*[[tool_call("look_up", question="x" * n)] for n in range(1, count + 1)])
    with scripted.open_sync(embedder=Plain(), tools=[look_up]) as engine:
        engine.knowledge.add_text("note", "The boiler.")
        found: list[Any] = []

        def ask() -> None:
            events = list(engine.chat("x", tools=["look_up"]))
            found.extend(event["output"] for event in events if event["type"] == "tool_returned")

        threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert found == ["The boiler."] * count


def test_ctrl_c_is_still_python_s() -> None:
    """ipython/ipython #14417, PyO3/pyo3 #4121: Ctrl-C is ignored once the module is loaded."""
    done = run(
        """
        import asyncio, os, signal
        before = signal.getsignal(signal.SIGINT)
        from aimate.testing import Scripted, hangs, says

        async def main():
            async with await Scripted([says("a"), hangs()]).open() as engine:
                async with await engine.serve(port=0):
                    assert signal.getsignal(signal.SIGINT) is not None
                try:
                    async for event in engine.chat("x"):
                        if event["type"] == "text":
                            os.kill(os.getpid(), signal.SIGINT)
                finally:
                    conversation = (await engine.conversations.list())[0]["id"]
                    for _ in range(200):
                        last = (await engine.conversations.messages(conversation))[-1]
                        if last["status"] == "cancelled":
                            break
                        await asyncio.sleep(0.01)
                    print(last["status"])

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        assert signal.getsignal(signal.SIGINT) is before
        """
    )
    assert done.stdout == "cancelled\ninterrupted\n", done.stderr


def test_module_that_is_loaded_before_a_fork_works_after_it() -> None:
    """BoundaryML/baml #2776: servers that load an application and then fork hang."""
    done = run(
        """
        import asyncio, os
        import aimate, aimate._host
        from aimate import SyncEngine
        from aimate.testing import Scripted
        aimate.generate_key()
        for _ in range(3):
            if (child := os.fork()) == 0:
                def tool() -> str:
                    return "x"
                with Scripted("It works.").open_sync(tools=[tool]) as engine:
                    os._exit(engine.chat("x").text() != "It works.")
            assert os.waitpid(child, 0)[1] == 0
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts what Linux shows")
def test_loop_after_loop_leaves_nothing_open(scripted: Scripted) -> None:
    """neo4j/neo4j-python-driver #1095, pytest-dev/pytest-asyncio #38: an engine that outlives the
    loop of each test."""

    async def use(engine: aimate.Engine) -> None:
        assert await engine.chat("x").text() == "Hello there"

    engine = asyncio.run(scripted.open())
    asyncio.run(use(engine))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        asyncio.run(use(engine))
    import gc

    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    asyncio.run(engine.aclose())


async def test_provider_that_will_not_end_harms_nobody_else() -> None:
    """HKUDS/LightRAG #3634: a generator that yields while it is closed."""

    class Stubborn:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[Any]:
            try:
                while True:
                    yield "x"
                    await asyncio.sleep(0)
            finally:
                yield "</think>"

    async with await aimate.Engine.open("sqlite::memory:", connections=[], providers={"own": Stubborn()}) as engine:
        for _ in range(3):
            async for event in engine.chat("x", model="own/default"):
                if event["type"] == "text":
                    break
        await until(lambda: engine.running == 0)


async def test_stream_of_events_is_left_while_it_is_waited_for(scripted: Scripted) -> None:
    """pydantic/pydantic-ai #4204, langchain-ai/langchain #37976: a client goes away in mid-stream,
    and what was under the generator stays open."""
    for _ in range(10):
        scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        for n in range(10):
            events = engine.chat("x").sse()
            while "event: text" not in await anext(events):
                pass
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.001 * (n % 3))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await events.aclose()  # type: ignore[attr-defined]
        await until(lambda: scripted.open_answers == 0 and engine.running == 0)


async def test_response_that_never_begins_ends_its_chat(scripted: Scripted) -> None:
    """stemdeckapp/stemdeck #513: a generator that is never started never cleans up."""
    pytest.importorskip("fastapi")
    example = _example()
    scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        answer = engine.chat("x")
        events = answer.sse()
        response = example["EventStream"](answer, example["with_heartbeat"](await anext(events), events))

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            raise OSError("the client is gone")

        with pytest.raises(BaseException):
            await response({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)
        await until(lambda: scripted.open_answers == 0 and engine.running == 0)


def _example() -> dict[str, Any]:
    import runpy

    path = Path(__file__).resolve().parents[3] / "examples" / "python" / "fastapi_app.py"
    return runpy.run_path(str(path), run_name="fastapi_app")


def test_exceptions_survive_a_queue(engine: SyncEngine) -> None:
    """lancedb/lancedb #3447, celery/celery #6990: exceptions that cannot be unpickled."""
    import pickle

    with pytest.raises(aimate.NotFoundError) as raised:
        engine.conversations.get("00000000-0000-7000-8000-000000000000")
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is aimate.NotFoundError and vars(again) == vars(raised.value) and str(again) == str(raised.value)
