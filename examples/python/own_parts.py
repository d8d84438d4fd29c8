"""A model, an embedder and a reranker of your own."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator

import aimate


class Parrot:
    """Says the question back, word by word."""

    models = ["grey", {"id": "green", "context_window": 1_000}]

    async def chat(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        question: str = request["messages"][-1]["text"]
        for word in question.split():
            yield {"type": "text", "text": word + " "}
        yield {"type": "usage", "input_tokens": len(question.split()), "output_tokens": len(question.split())}


class Trigrams:
    """Hashes three letters at a time: no match for a model, but it needs none."""

    name = "trigrams"
    dimensions = 512
    # A change that makes other vectors needs another version.
    version = "1"

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [self._vector(f"  {text.lower()}  ") for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for n in range(len(text) - 2):
            hash = 17
            for letter in text[n : n + 3]:
                hash = (hash * 31) ^ ord(letter)
            vector[hash % self.dimensions] += 1.0
        return vector


class Shortest:
    """Puts short passages first."""

    def rerank(self, query: str, passages: list[str]) -> list[float]:
        return [1 / (1 + len(passage)) for passage in passages]


async def main() -> str:
    parts: dict[str, Any] = {"providers": {"parrot": Parrot()}, "embedder": Trigrams(), "reranker": Shortest()}
    async with await aimate.Engine.open("sqlite::memory:", connections=[], **parts) as engine:
        await engine.knowledge.add_text("heating", "Maintenance of the boilers")
        await engine.knowledge.add_text("garden", "Watering of the roses")
        for hit in await engine.knowledge.search("How is a boiler maintained?", mode="vector"):
            print(f"{hit['score']:.2f}  {hit['title']}: {hit['text']}")
        return await engine.chat("Is anybody there?", model="parrot/grey").text()


if __name__ == "__main__":
    print(asyncio.run(main()))
