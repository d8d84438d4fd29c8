"""Observers and retrievers of the application's own."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from typing import Any, AsyncIterator, Iterator

import pytest

import aimate
from aimate import types
from aimate.testing import Scripted, says
from conftest import until


class Recorder:
    """Takes everything down; derives from nothing."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, Any]] = []
        self.thread: int | None = None

    def before_turn(self, scope: Any, turn: Any) -> None:
        self.thread = threading.get_ident()
        self.told.append(("before_turn", scope, turn))

    async def run_finished(self, scope: Any, run: Any) -> None:
        self.told.append(("run_finished", scope, run))

    async def usage_recorded(self, scope: Any, record: Any) -> None:
        self.told.append(("usage_recorded", scope, record))

    async def document_ready(self, scope: Any, document: Any) -> None:
        self.told.append(("document_ready", scope, document))

    def document_failed(self, scope: Any, document: Any) -> None:
        self.told.append(("document_failed", scope, document))


async def test_observer_is_told_of_everything(scripted: Scripted) -> None:
    recorder = Recorder()
    async with await scripted.open(observers=[recorder]) as engine:
        ann = engine.as_user("acme", "ann")
        chat = ann.chat("Hello", tags=["ticket:1"], client_id="c-1")
        await chat.collect()
        document = await ann.knowledge.add_text("note", "The boiler is in the cellar.")
        with pytest.raises(aimate.InvalidError):
            await ann.knowledge.add_bytes("broken.pdf", b"%PDF-1.4 nonsense")
        scope = await ann.scope()
        loop_thread = threading.get_ident()
    # Closing waits until the last notice is delivered.
    kinds = [kind for kind, _, _ in recorder.told]
    assert sorted(kinds) == ["before_turn", "document_failed", "document_ready", "run_finished", "usage_recorded"]
    assert all(told == scope for _, told, _ in recorder.told)
    told = {kind: what for kind, _, what in recorder.told}
    assert told["before_turn"] == {
        "conversation_id": None,
        "workspace_id": None,
        "model": "scripted/test",
        "question": "Hello",
        "tags": ["ticket:1"],
        "client_id": "c-1",
        "is_stored": True,
    }
    assert told["run_finished"]["id"] == chat.run_id and told["run_finished"]["status"] == "completed"
    assert told["usage_recorded"]["run_id"] == chat.run_id and told["usage_recorded"]["user_id"] == scope["user_id"]
    assert told["document_ready"]["id"] == document["id"] and told["document_ready"]["status"] == "ready"
    assert told["document_failed"]["error"]["code"] == "damaged"
    # What is plain runs in a thread of its own.
    assert recorder.thread != loop_thread


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_observer_refuses_a_turn(scripted: Scripted, kind: str) -> None:
    class Plan(aimate.Observer):
        def before_turn(self, scope: types.Scope, turn: types.TurnSummary) -> None:
            if turn["question"] == "large":
                raise aimate.ForbiddenError("your plan has no large questions")
            if turn["question"] == "again":
                raise aimate.RateLimitedError("come back in a minute", retry_after=60)

    class AsyncPlan(aimate.Observer):
        async def before_turn(self, scope: types.Scope, turn: types.TurnSummary) -> None:
            await asyncio.sleep(0)
            Plan().before_turn(scope, turn)

    async with await scripted.open(observers=[Plan() if kind == "plain" else AsyncPlan()]) as engine:
        with pytest.raises(aimate.ForbiddenError, match="^your plan has no large questions$"):
            await engine.chat("large")
        with pytest.raises(aimate.RateLimitedError, match="in a minute") as limited:
            await engine.chat("again")
        assert limited.value.retry_after == 60
        assert await engine.conversations.list() == [] and scripted.requests == []
        assert await engine.chat("small").text() == "Hello there"


async def test_observer_that_fails_is_the_log_s_alone(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(aimate.Observer):
        def before_turn(self, scope: types.Scope, turn: types.TurnSummary) -> None:
            raise ZeroDivisionError("secret")

        async def run_finished(self, scope: types.Scope, run: types.Run) -> None:
            raise aimate.InvalidError("the audit is full")

    class Closed(Broken):
        fail_closed = True

    recorder = Recorder()
    async with await scripted.open(observers=[Broken(), recorder]) as engine:
        assert await engine.chat("x").text() == "Hello there"
    assert "secret" in caplog.text and "run_finished" in [kind for kind, _, _ in recorder.told]
    await until(lambda: "the audit is full" in caplog.text)
    async with await scripted.open(observers=[Closed()]) as engine:
        with pytest.raises(aimate.UnavailableError, match="could not be found out") as refused:
            await engine.chat("x")
        assert "secret" not in str(refused.value)


async def test_observer_has_a_deadline(scripted: Scripted) -> None:
    cancelled: list[bool] = []

    class Slow(aimate.Observer):
        fail_closed = True

        async def before_turn(self, scope: types.Scope, turn: types.TurnSummary) -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

    async with await scripted.open(observers=[Slow()], observer_timeout=0.05) as engine:
        with pytest.raises(aimate.UnavailableError):
            await engine.chat("x")
        await until(lambda: bool(cancelled))


def test_blocking_engine_has_observers_too(scripted: Scripted) -> None:
    recorder = Recorder()
    with scripted.open_sync(observers=iter([recorder])) as engine:
        engine.chat("x").collect()
    assert {"before_turn", "run_finished", "usage_recorded"} == {kind for kind, _, _ in recorder.told}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (3, r"observers\[0\]: is a int; .* before_turn"),
        (aimate.Observer(), r"observers\[0\]: is a Observer"),
        (Recorder, "is the class Recorder"),
    ],
)
async def test_what_is_no_observer_is_refused(scripted: Scripted, wrong: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        await scripted.open(observers=[wrong])


def test_fail_closed_is_a_bool(scripted: Scripted) -> None:
    class Wrong(Recorder):
        def fail_closed(self) -> bool:
            return False

    with pytest.raises(TypeError, match=r"observers\[0\]\.fail_closed: is a method"):
        scripted.open_sync(observers=[Wrong()])
    with pytest.raises(aimate.InvalidError, match="observer_timeout"):
        scripted.open_sync(observer_timeout=-1)


def test_program_ends_although_an_observer_is_not_told(tmp_path: Any) -> None:
    """The interpreter's end waits for no loop that does not run any more."""
    program = """if True:
        import asyncio, sys
        from aimate.testing import Scripted, says, waits

        class Told:
            async def run_finished(self, scope, run):
                print("told")

        async def main():
            engine = await Scripted([says("a"), waits(0.2)]).open(sys.argv[1], observers=[Told()])
            chat = engine.chat("x", on_disconnect="continue")
            async for event in chat:
                if event["type"] == "text":
                    return engine

        engine = asyncio.run(main())
    """
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:{tmp_path}/x.db"], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr
    # The engine has two seconds at the interpreter's end, and does not need them.
    assert time.monotonic() - begun < 2.5 + _start_time()


def _start_time() -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", "import aimate.testing, asyncio"], check=True)
    return time.monotonic() - begun


PASSAGE = {
    "source": "ticket:7",
    "title": "Ticket 7",
    "text": "The boiler lost pressure.",
    "url": "https://helpdesk.example.org/tickets/7",
}


class Tickets:
    """Gives what it is asked to by the question."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def retrieve(self, scope: Any, question: str, limit: int) -> list[dict[str, Any]]:
        self.asked.append((scope, question, limit))
        return [PASSAGE]


class PlainTickets:
    def retrieve(self, scope: Any, question: str, limit: int) -> Iterator[dict[str, Any]]:
        yield PASSAGE


class StreamedTickets:
    async def retrieve(self, scope: Any, question: str, limit: int) -> AsyncIterator[dict[str, Any]]:
        yield PASSAGE


async def retrieved(engine: aimate.User, name: str) -> tuple[Any, list[str]]:
    """Returns the citations, and the warnings, of a turn that asks a retriever."""
    warnings: list[str] = []
    citations: Any = []
    async for event in engine.chat("What is wrong with the boiler?", retrievers=[name]):
        if event["type"] == "retrieved":
            citations = event["citations"]
            warnings += event.get("warnings", [])
        elif event["type"] == "warning":
            warnings.append(event["detail"])
    return citations, warnings


async def test_retriever_s_passages_are_cited(scripted: Scripted) -> None:
    tickets = Tickets()
    retrievers = {"tickets": tickets, "plain": PlainTickets(), "streamed": StreamedTickets()}
    async with await scripted.open(retrievers=retrievers) as engine:
        ann = engine.as_user("acme", "ann")
        for name in retrievers:
            scripted.push([says("It lost pressure [1].")])
            citations, warnings = await retrieved(ann, name)
            assert [citation["source"] for citation in citations] == ["ticket:7"] and warnings == []
            assert citations[0]["title"] == "Ticket 7" and citations[0]["url"] == PASSAGE["url"]
            assert PASSAGE["text"] in json.dumps(scripted.requests[-1])
        scope, question, limit = tickets.asked[0]
        assert scope == await ann.scope() and question == "What is wrong with the boiler?" and limit >= 1
        # Who names none asks none.
        await ann.chat("x")
        assert len(tickets.asked) == 1
        with pytest.raises(aimate.AimateError, match="nope"):
            await ann.chat("x", retrievers=["nope"])


async def test_turn_goes_on_without_a_retriever_that_fails(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def retrieve(self, scope: Any, question: str, limit: int) -> Any:
            raise KeyError("secret")

    class Typed:
        async def retrieve(self, scope: Any, question: str, limit: int) -> Any:
            raise aimate.UnavailableError("the helpdesk is closed")

    class Slow:
        async def retrieve(self, scope: Any, question: str, limit: int) -> Any:
            await asyncio.sleep(60)

    def gives(found: Any) -> Any:
        class Gives:
            async def retrieve(self, scope: Any, question: str, limit: int) -> Any:
                return found

        return Gives()

    cases: dict[str, tuple[Any, str]] = {
        "broken": (Broken(), "raised KeyError"),
        "typed": (Typed(), "the helpdesk is closed"),
        "slow": (Slow(), "0.2"),
        "text": (gives("ticket 7"), "returned a str; it is a list of passages"),
        "none": (gives(None), "returned a NoneType"),
        "sourceless": (gives([PASSAGE, {"text": "x"}]), r"passage (number 2) that is none: missing field `source`"),
        "unknown": (gives([{**PASSAGE, "uri": "x"}]), "unknown field `uri`"),
        "object": (gives([object()]), "passages[0]: is a builtins.object, which is no JSON"),
    }
    retrievers = {name: retriever for name, (retriever, _) in cases.items()}
    caplog.set_level(logging.WARNING)
    async with await scripted.open(retrievers=retrievers, retriever_timeout=0.2) as engine:
        for name, (_, why) in cases.items():
            citations, warnings = await retrieved(engine, name)
            assert citations == [] and why in " ".join(warnings), (name, warnings)
            assert name in " ".join(warnings) and "secret" not in " ".join(warnings)
    assert "secret" in caplog.text


def test_blocking_engine_has_retrievers_too(scripted: Scripted) -> None:
    with scripted.open_sync(retrievers={"tickets": Tickets()}) as engine:
        events = list(engine.chat("boiler?", retrievers=["tickets"]))
        found = [event for event in events if event["type"] == "retrieved"]
        assert found[0]["citations"][0]["source"] == "ticket:7"
        with pytest.raises(TypeError, match=r"retrievers\['x'\]: has no method `retrieve"):
            scripted.open_sync(retrievers={"x": object()})
