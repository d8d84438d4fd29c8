"""Answers as streams: their events, their end, and leaving them."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time

import pytest

import aimate
from aimate import SyncEngine
from aimate.testing import Scripted, fails, hangs, says, thinks, waits
from conftest import until


async def test_events_are_dicts_in_the_contracts_order(scripted: Scripted) -> None:
    scripted.push([thinks("hm"), says("In May.")])
    async with await scripted.open() as engine:
        chat = engine.chat("When?", model="scripted/test")
        events = [event async for event in chat]
        assert [event["type"] for event in events] == ["started", "reasoning", "text", "finished"]
        assert chat.run_id == events[0]["run_id"] and chat.conversation_id and chat.message_id
        assert chat.finished is not None and chat.finished["finish_reason"] == "stop"
        assert chat.model == "scripted/test" and chat.last_event_id == 4


async def test_collect_returns_the_message_and_text_its_text(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        message = await engine.chat("Hi").collect()
        assert message["role"] == "assistant" and aimate.text_of(message) == "Hello there"
        assert await engine.chat("Hi").text() == "Hello there"
        assert aimate.text_of(await engine.chat("Hi")) == "Hello there"


async def test_conversation_goes_on(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        first = engine.chat("One")
        await first.collect()
        await engine.chat("Two", conversation_id=first.conversation_id).collect()
        messages = await engine.conversations.messages(first.conversation_id or "")
        assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
        asked = scripted.requests[-1]["messages"]
        assert [message["text"] for message in asked] == ["One", "Hello there", "Two"]


async def test_failure_in_mid_stream_is_an_event_and_an_exception(scripted: Scripted) -> None:
    scripted.push([says("In "), fails("upstream", "the server went away")])
    async with await scripted.open() as engine:
        seen = []
        with pytest.raises(aimate.UpstreamError, match="the server went away") as raised:
            async for event in engine.chat("When?"):
                seen.append(event)
        assert seen[-1]["type"] == "error" and seen[-1]["retryable"] and raised.value.retryable
        scripted.push([fails("rate_limited", "slow down")])
        with pytest.raises(aimate.RateLimitedError):
            await engine.chat("When?").collect()


async def test_break_cancels_the_run(scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        chat = engine.chat("x")
        async for event in chat:
            if event["type"] == "text":
                break
        await until(lambda: scripted.open_answers == 0)
        await until(lambda: engine.running == 0)
        run = await engine.runs.get(chat.run_id or "")
        assert run["status"] == "cancelled"


async def test_dropping_it_cancels_the_run(scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        events = aiter(engine.chat("x"))
        await anext(events)
        del events
        gc.collect()
        await until(lambda: engine.running == 0)


async def test_cancelled_task_cancels_the_run(scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        task = asyncio.create_task(engine.chat("x").collect())
        await until(lambda: engine.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: engine.running == 0 and scripted.open_answers == 0)


async def test_timeout_cancels_the_run(scripted: Scripted) -> None:
    scripted.push([hangs()])
    async with await scripted.open() as engine:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(engine.chat("x").collect(), 0.2)
        await until(lambda: engine.running == 0)


async def test_context_manager_cancels_the_run(scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        async with engine.chat("x") as chat:
            events = aiter(chat)
            await anext(events)
        await until(lambda: engine.running == 0)


async def test_run_goes_on_where_the_turn_says_so_and_is_attached_to(scripted: Scripted) -> None:
    scripted.push([says("a"), waits(0.2), says("b")])
    async with await scripted.open() as engine:
        chat = engine.chat("x", on_disconnect="continue")
        async for event in chat:
            if event["type"] == "text":
                break
        again = engine.runs.attach(chat.run_id or "", after=chat.last_event_id)
        assert [event["type"] async for event in again] == ["text", "finished"]


async def test_cancel_keeps_the_partial_answer(scripted: Scripted) -> None:
    scripted.push([says("half"), hangs()])
    async with await scripted.open() as engine:
        chat = engine.chat("x")
        kinds = []
        async for event in chat:
            kinds.append(event["type"])
            if event["type"] == "text":
                await chat.cancel()
        assert kinds[-1] == "finished" and chat.finished is not None
        assert chat.finished["finish_reason"] == "cancelled"
        assert aimate.text_of(chat.finished["message"]) == "half"


async def test_events_are_taken_once(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        chat = engine.chat("x")
        await chat.collect()
        with pytest.raises(RuntimeError, match="once"):
            await chat.collect()


async def test_many_chats_share_a_loop(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        texts = await asyncio.gather(*(engine.chat(f"{n}").text() for n in range(50)))
        assert texts == ["Hello there"] * 50


async def test_regenerate_and_edit_make_branches(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        chat = engine.chat("x")
        message = await chat.collect()
        again = await engine.conversations.regenerate(message["conversation_id"], message["id"]).collect()
        assert again["id"] != message["id"] and again["parent_id"] == message["parent_id"]
        edited = engine.conversations.edit(message["conversation_id"], chat.user_message_id or "", "y")
        assert aimate.text_of(await edited.collect()) == "Hello there"


def test_blocking_engine_iterates(engine: SyncEngine, scripted: Scripted) -> None:
    kinds = [event["type"] for event in engine.chat("x")]
    assert kinds == ["started", "text", "text", "finished"]
    scripted.push([says("a"), hangs()])
    for event in engine.chat("x"):
        if event["type"] == "text":
            break
    for _ in range(500):
        if engine.running == 0:
            break
        time.sleep(0.01)
    assert engine.running == 0


def test_ctrl_c_ends_a_blocking_chat(engine: SyncEngine, scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.chat("x").collect()
    assert time.monotonic() - started < 3
    for _ in range(500):
        if engine.running == 0:
            break
        time.sleep(0.01)
    assert engine.running == 0


def test_blocking_engine_lets_other_threads_run(engine: SyncEngine, scripted: Scripted) -> None:
    scripted.push([waits(0.5), says("a")])
    counted = 0
    thread = threading.Thread(target=lambda: engine.chat("x").collect())
    thread.start()
    until_end = time.monotonic() + 0.3
    while time.monotonic() < until_end:
        counted += 1
    thread.join()
    assert counted > 10_000


def test_threads_share_a_blocking_engine(engine: SyncEngine) -> None:
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(engine.chat("x").text())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["Hello there"] * 8


async def test_two_tasks_that_take_turns_with_one_stream(scripted: Scripted) -> None:
    scripted.push([waits(0.1), *[step for n in range(50) for step in (says(f"{n} "), thinks("hm"))]])
    async with await scripted.open() as engine:
        events = aiter(engine.chat("x"))

        async def take() -> int:
            return len([event async for event in events])

        counts = await asyncio.wait_for(asyncio.gather(take(), take()), 10)
        assert sum(counts) >= 102


async def test_slow_reader_holds_the_model_up_and_loses_nothing(scripted: Scripted) -> None:
    scripted.push([step for n in range(20_000) for step in (says(f"{n} "), thinks("hm"))])
    async with await scripted.open() as engine:
        chat = engine.chat("x")
        said: list[str] = []
        async for event in chat:
            if event["type"] == "text":
                said.append(event["text"])
                if len(said) < 50:
                    await asyncio.sleep(0.001)
        assert "".join(said) == "".join(f"{n} " for n in range(20_000))
