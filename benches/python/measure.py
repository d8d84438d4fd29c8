"""What the Python package costs over the engine, against its goals.

    python benches/python/measure.py [--chats 10000]

Run it with a wheel of a release build (`cargo xtask wheel`).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from aimate import Engine
from aimate.testing import Scripted, says, thinks, waits


def import_time() -> float:
    """Milliseconds to import the package in a fresh interpreter, the best of 7."""
    code = "import time; t = time.perf_counter(); import aimate; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(7)]
    return min(float(run.stdout) for run in runs) * 1e3


async def event_cost(events: int = 20_000) -> tuple[float, float]:
    """Microseconds of an event that is read in Python; and of the same events that are read to
    the end by the engine alone (`collect` in the router), so that the difference is Python's."""
    # Texts that follow each other become one event for who reads slowly; these do not.
    script = [says("word "), thinks("hm ")] * (events // 2)
    scripted = Scripted(script, script, script, script)
    async with await scripted.open() as engine:

        async def in_python() -> float:
            begun = time.perf_counter()
            count = 0
            async for _ in engine.chat("x"):
                count += 1
            assert count == events + 2, count
            return time.perf_counter() - begun

        async def in_engine() -> float:
            begun = time.perf_counter()
            caller = engine._caller
            body = {"content": "x", "stream": False}
            from aimate import _bridge

            await _bridge.run(caller.native.request(caller.who, "POST", "/api/v1/messages", body))
            return time.perf_counter() - begun

        python = min([await in_python() for _ in range(2)])
        alone = min([await in_engine() for _ in range(2)])
    return python / events * 1e6, (python - alone) / events * 1e6


async def loop_lag(chats: int = 100, events: int = 200) -> tuple[float, float, float]:
    """Milliseconds by which a timer of 1 ms is late (median, p99) while `chats` answers of an
    event each 5 ms are read in one loop; and the events read in a second."""
    step = [says("word "), waits(0.005)]
    scripted = Scripted(*[step * events for _ in range(chats)])
    lags: list[float] = []
    async with await scripted.open() as engine:

        async def watch() -> None:
            while True:
                begun = time.perf_counter()
                await asyncio.sleep(0.001)
                lags.append((time.perf_counter() - begun - 0.001) * 1e3)

        async def read() -> int:
            return len([event async for event in engine.chat("x")])

        watching = asyncio.create_task(watch())
        begun = time.perf_counter()
        counts = await asyncio.gather(*(read() for _ in range(chats)))
        took = time.perf_counter() - begun
        watching.cancel()
    lags.sort()
    return lags[len(lags) // 2], lags[int(len(lags) * 0.99)], sum(counts) / took


def rss() -> int:
    """Resident bytes now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def memory(chats: int) -> tuple[float, float, float]:
    """Resident MiB after a tenth of the chats, after all, and growth in percent. Every third is
    left in the middle."""
    async with await Scripted().open() as engine:
        first = 0

        async def one(n: int) -> None:
            chat = engine.chat("Hello")
            async for event in chat:
                if n % 3 == 0 and event["type"] == "text":
                    break
            if chat.conversation_id is not None:
                await engine.conversations.delete(chat.conversation_id)

        for n in range(0, chats, 20):
            await asyncio.gather(*(one(m) for m in range(n, n + 20)))
            if first == 0 and n >= chats // 10:
                gc.collect()
                first = rss()
        gc.collect()
        last = rss()
    return first / 2**20, last / 2**20, (last - first) / first * 100


async def search(documents: int = 200, calls: int = 300) -> tuple[float, float]:
    """Milliseconds of a search from Python (mean), and how many of them are not the engine's own,
    which it counts itself."""
    async with await Engine.open("sqlite::memory:", connections=[]) as engine:
        texts = [{"name": f"{n}", "text": f"Boiler number {n} is serviced in month {n % 12}."} for n in range(documents)]
        await engine.knowledge.add_documents(texts)
        await engine.knowledge.search("boiler in month 5", limit=10)
        before = await spent(engine)
        begun = time.perf_counter()
        for _ in range(calls):
            await engine.knowledge.search("boiler in month 5", limit=10)
        took = time.perf_counter() - begun
        own = await spent(engine) - before
    return took / calls * 1e3, (took - own) / calls * 1e3


async def spent(engine: Engine) -> float:
    """Seconds that the engine has spent on searches so far."""
    from aimate import _bridge

    text: bytes = await _bridge.run(engine._caller.native.request(None, "GET", "/metrics"))
    begins = 'aimate_http_request_duration_seconds_sum{method="POST",route="/api/v1/knowledge/search"'
    return sum(float(line.split()[-1]) for line in text.decode().splitlines() if line.startswith(begins))


def main() -> None:
    """Prints a table, and with --json one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chats", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    brought = import_time()
    event, over = asyncio.run(event_cost())
    lag, late, rate = asyncio.run(loop_lag())
    begun, ended, grown = asyncio.run(memory(arguments.chats))
    found, bridge = asyncio.run(search())
    rows = [
        ("import", brought, "ms", 50.0),
        ("an event that is read", event, "µs", 20.0),
        ("… of which over a plain answer", over, "µs", 20.0),
        ("loop lag with 100 chats, median", lag, "ms", None),
        ("loop lag with 100 chats, p99", late, "ms", 10.0),
        ("events read meanwhile", rate, "1/s", None),
        (f"memory after {arguments.chats // 10} chats", begun, "MiB", None),
        (f"memory after {arguments.chats} chats", ended, "MiB", None),
        ("growth", grown, "%", 5.0),
        ("a search of 10 hits", found, "ms", None),
        ("… of which over the engine alone", bridge, "ms", 0.2),
    ]
    if arguments.json:
        print(json.dumps({name: value for name, value, _, _ in rows}))
        return
    for name, value, unit, goal in rows:
        aim = "" if goal is None else f"  (goal: at most {goal:g})"
        print(f"{name:<36}{value:>10.2f} {unit}{aim}")


if __name__ == "__main__":
    main()
