"""Documents go in, cited answers come out.

    pip install aimate
    python rag.py "When is the boiler serviced?" [FILE...]

Ollama on this machine answers, or OpenAI with OPENAI_API_KEY in the environment. Search goes by
words; give `Engine.open` an `embedder` or a `model_dir` to search by meaning too.
"""

from __future__ import annotations

import asyncio
import sys

import aimate

MANUAL = """
# House manual

## Heating
The boiler is serviced in May, by Miller & Sons. Its pressure is between 1.2 and 1.8 bar.

## Water
The main tap is in the cellar, behind the shelves.
"""


async def main(question: str, files: list[str]) -> None:
    async with await aimate.Engine.open("sqlite:rag.db") as engine:
        # The same source again replaces the document; one that did not change is left alone.
        await engine.knowledge.add_text("House manual", MANUAL, collection="house", source="manual")
        for file in files:
            document = await engine.knowledge.add_file(file, collection="house", source=file)
            print(f"{document['name']}: {document['chunk_count']} passages")

        for hit in await engine.knowledge.search(question, collections=["house"], limit=3):
            print(f"{hit['score']:.2f}  {hit['title']}: {hit['text'][:60]!r}")

        async for event in engine.chat(question, knowledge=["house"]):
            if event["type"] == "retrieved":
                for citation in event["citations"]:
                    print(f"[{citation['n']}] {citation['title']}")
            elif event["type"] == "text":
                print(event["text"], end="", flush=True)
        print()


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["When is the boiler serviced?"]
    asyncio.run(main(arguments[0], arguments[1:]))
