"""A document, a question, and the answer while it is written.

    pip install aimate
    python quickstart.py

With whatever Ollama serves on this machine, or OPENAI_API_KEY.
"""

from __future__ import annotations

import asyncio
import sys

import aimate


async def main(url: str = "sqlite:quickstart.db", **options: object) -> None:
    async with await aimate.Engine.open(url, **options) as engine:  # type: ignore[arg-type]
        await engine.knowledge.add_text("heating", "The boiler is serviced in May.", collection="house")
        async for event in engine.chat("When is the boiler serviced?", knowledge=["house"]):
            if event["type"] == "retrieved":
                print([citation["title"] for citation in event["citations"]])
            elif event["type"] == "text":
                print(event["text"], end="", flush=True)
        print()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except aimate.AimateError as error:
        sys.exit(f"{error.code}: {error}")
