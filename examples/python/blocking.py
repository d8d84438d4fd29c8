"""The engine without asyncio: in a script, a notebook, or a view of Flask or Django."""

from __future__ import annotations

from typing import Iterator

from aimate import SyncEngine


def summary(engine: SyncEngine, text: str) -> str:
    return engine.chat(f"Summarize in one sentence: {text}").text()


def answer(engine: SyncEngine, question: str) -> Iterator[str]:
    """Pieces of an answer, for a response that is streamed."""
    for event in engine.chat(question):
        if event["type"] == "text":
            yield event["text"]


if __name__ == "__main__":
    with SyncEngine.open("sqlite:blocking.db") as engine:
        for piece in answer(engine, "Hello"):
            print(piece, end="", flush=True)
        print()
