"""A model, an embedder, a reranker, a search and an observer of your own."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, AsyncIterator

import aimate
from aimate import types


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


class Tickets:
    """The tickets of a helpdesk, each company's apart: what it finds is cited as documents are."""

    tickets = {7: "The boiler lost pressure", 8: "No light in the hall"}

    async def retrieve(self, scope: types.Scope, question: str, limit: int) -> list[types.SourcePassage]:
        words = {word for word in question.lower().strip("?").split() if len(word) > 3}
        found = [id for id, text in self.tickets.items() if words & set(text.lower().split())]
        url = "https://helpdesk.example.org/tickets"
        return [
            {"source": f"ticket:{id}", "title": f"Ticket {id}", "text": self.tickets[id], "url": f"{url}/{id}"}
            for id in found[:limit]
        ]


class Quota(aimate.Observer):
    """Lets each user ask twice, and writes down what their answers used."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()

    def before_turn(self, scope: types.Scope, turn: types.TurnSummary) -> None:
        if self.asked[scope["user_id"]] >= 2:
            raise aimate.ForbiddenError("your plan has two questions; they are asked")
        self.asked[scope["user_id"]] += 1

    async def usage_recorded(self, scope: types.Scope, record: types.ListedUsage) -> None:
        self.tokens[scope["user_id"]] += record["usage"]["output_tokens"]


async def main() -> str:
    quota = Quota()
    parts: dict[str, Any] = {
        "providers": {"parrot": Parrot()},
        "embedder": Trigrams(),
        "reranker": Shortest(),
        "retrievers": {"tickets": Tickets()},
        "observers": [quota],
    }
    async with await aimate.Engine.open("sqlite::memory:", connections=[], **parts) as engine:
        await engine.knowledge.add_text("heating", "Maintenance of the boilers")
        await engine.knowledge.add_text("garden", "Watering of the roses")
        for hit in await engine.knowledge.search("How is a boiler maintained?", mode="vector"):
            print(f"{hit['score']:.2f}  {hit['title']}: {hit['text']}")
        chat = engine.chat("What is wrong with the boiler?", model="parrot/grey", retrievers=["tickets"])
        async for event in chat:
            if event["type"] == "retrieved":
                print([citation["title"] for citation in event["citations"]])
        answer = await engine.chat("Is anybody there?", model="parrot/grey").text()
        try:
            await engine.chat("And now?", model="parrot/grey")
        except aimate.ForbiddenError as refused:
            print(refused.detail)
    # All notices have come once the engine is closed.
    print(sum(quota.tokens.values()), "tokens")
    return answer


if __name__ == "__main__":
    print(asyncio.run(main()))
