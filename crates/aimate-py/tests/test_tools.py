"""Functions as tools, and providers, embedders and rerankers of an application's own."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import threading
from typing import Any, AsyncIterator, Iterator, Literal, Optional, TypedDict

import pytest

import aimate
from aimate import SyncEngine, ToolContext, ToolError
from aimate._tools import tool_of
from aimate.testing import Scripted, says, tool_call


def schema(function: Any) -> Any:
    return tool_of(function).spec["parameters"]


def test_signature_is_the_schema() -> None:
    def lookup(order: str, kind: Literal["parcel", "letter"] = "parcel", count: Optional[int] = None) -> str:
        """Says where an order is.

        Args:
            order: The number of the order, such as `A-17`.
            kind: What was sent.
        """
        return order

    spec = tool_of(lookup).spec
    assert spec["name"] == "lookup" and spec["description"] == "Says where an order is."
    assert spec["parameters"] == {
        "type": "object",
        "properties": {
            "order": {"type": "string", "description": "The number of the order, such as `A-17`."},
            "kind": {"enum": ["parcel", "letter"], "description": "What was sent.", "default": "parcel"},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        },
        "required": ["order"],
        "additionalProperties": False,
    }


class Color(enum.Enum):
    RED = "red"


class Address(TypedDict):
    street: str


@dataclasses.dataclass
class Person:
    """A person."""

    name: str
    address: Address
    favourite: Color = Color.RED


def test_classes_are_read_as_what_they_are() -> None:
    seen: list[Any] = []

    def greet(person: Person, tags: list[str], scores: dict[str, float]) -> str:
        seen.extend([person, tags, scores])
        return "ok"

    found = schema(greet)
    assert found["properties"]["person"] == {"$ref": "#/$defs/Person"}
    assert found["$defs"]["Person"]["required"] == ["name", "address"]
    arguments = {
        "person": {"name": "Ann", "address": {"street": "x"}, "favourite": "red"},
        "tags": ["a"],
        "scores": {"a": 1},
    }
    kind, text = asyncio.run(tool_of(greet).call(arguments, {"progress": print}))
    assert (kind, text) == ("text", "ok")
    assert seen[0] == Person("Ann", {"street": "x"}, Color.RED) and seen[2] == {"a": 1.0}


def test_pydantic_models_are_read() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Order(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        number: int = pydantic.Field(gt=0)

    def place(order: Order) -> str:
        return str(order.number)

    place.__annotations__["order"] = Order
    assert asyncio.run(tool_of(place).call({"order": {"number": 3}}, {}))[1] == "3"
    kind, why = asyncio.run(tool_of(place).call({"order": {"number": 0}}, {}))
    assert kind == "error" and "greater than 0" in why


def test_parameter_without_a_schema_is_named() -> None:
    class Thing:
        pass

    def act(thing: Thing) -> None: ...

    act.__annotations__["thing"] = Thing
    with pytest.raises(TypeError, match=r"act\(thing\)"):
        tool_of(act)

    def many(*things: str) -> None: ...

    with pytest.raises(TypeError, match="things"):
        tool_of(many)


async def test_model_calls_plain_and_async_functions(scripted: Scripted) -> None:
    loop_thread = threading.get_ident()
    threads: dict[str, int] = {}

    def plain(order: str) -> dict[str, str]:
        """Looks an order up."""
        threads["plain"] = threading.get_ident()
        return {"order": order, "state": "sent"}

    async def waiting(context: ToolContext, order: str) -> str:
        """Looks an order up."""
        threads["async"] = threading.get_ident()
        context.progress(1, total=2, message="half")
        assert context.run_id and context.idempotency_key
        await asyncio.sleep(0)
        return f"{order} is sent"

    scripted.push([tool_call("plain", id="1", order="A"), tool_call("waiting", id="2", order="B")], "Done.")
    async with await scripted.open(tools=[plain]) as engine:
        chat = engine.chat("Where?", tools=["plain", waiting])
        events = [event async for event in chat]
        kinds = [event["type"] for event in events]
        assert "tool_progress" in kinds and kinds[-1] == "finished"
        returned = {event["id"]: event["output"] for event in events if event["type"] == "tool_returned"}
        assert returned == {"1": {"order": "A", "state": "sent"}, "2": "B is sent"}
        assert threads["plain"] != loop_thread and threads["async"] == loop_thread


async def test_exceptions_are_failed_results(scripted: Scripted) -> None:
    def broken() -> str:
        raise KeyError("nothing here")

    async def refuses() -> str:
        raise ToolError("Ask for one order at a time.")

    scripted.push([tool_call("broken", id="1"), tool_call("refuses", id="2")], "Sorry.")
    async with await scripted.open(tools=[broken, refuses]) as engine:
        events = [event async for event in engine.chat("x", tools=["broken", "refuses"])]
        failed = {event["id"]: event for event in events if event["type"] == "tool_returned"}
        assert failed["1"]["is_error"] and "KeyError" in failed["1"]["output"]
        assert failed["2"]["output"] == "Ask for one order at a time."
        assert events[-1]["type"] == "finished"


async def test_call_waits_for_approval(scripted: Scripted) -> None:
    @aimate.tool(policy="ask")
    def cancel_order(order: str) -> str:
        return f"{order} is cancelled"

    scripted.push([tool_call("cancel_order", order="A")], "Done.")
    async with await scripted.open(tools=[cancel_order]) as engine:
        chat = engine.chat("x", tools=["cancel_order"])
        kinds = []
        async for event in chat:
            kinds.append(event["type"])
            if event["type"] == "approval_required":
                await engine.runs.approve(chat.run_id or "", event["call"]["id"])
        assert "tool_returned" in kinds and kinds[-1] == "finished"


def test_blocking_engine_calls_tools(scripted: Scripted) -> None:
    async def later(order: str) -> str:
        await asyncio.sleep(0.01)
        return order

    def now(order: str) -> str:
        return order

    scripted.push([tool_call("later", id="1", order="A"), tool_call("now", id="2", order="B")], "Done.")
    with scripted.open_sync(tools=[later, now]) as engine:
        assert engine.chat("x", tools=["later", "now"]).text() == "Done."


class Parrot:
    models = ["grey", {"id": "green", "context_window": 1000}]

    async def chat(self, request: dict[str, Any]) -> AsyncIterator[Any]:
        yield {"type": "reasoning", "text": "squawk"}
        for word in request["messages"][-1]["text"].split():
            yield word + " "
        yield {"type": "usage", "input_tokens": 3, "output_tokens": 2}


class Plain:
    def chat(self, request: dict[str, Any]) -> Iterator[str]:
        yield "pl"
        yield "ain"


async def test_providers_of_ones_own_answer() -> None:
    providers = {"parrot": Parrot(), "plain": Plain()}
    async with await aimate.Engine.open("sqlite::memory:", connections=[], providers=providers) as engine:
        chat = engine.chat("who is there", model="parrot/grey")
        assert await chat.text() == "who is there "
        assert chat.finished is not None and chat.finished["usage"]["input_tokens"] == 3
        assert await engine.chat("x", model="plain/default").text() == "plain"
        ids = {model["id"] for model in await engine.models.list()}
        assert {"parrot/grey", "parrot/green", "plain/default"} <= ids


def test_blocking_engine_has_providers_too() -> None:
    with SyncEngine.open("sqlite::memory:", connections=[], providers={"parrot": Parrot()}) as engine:
        assert engine.chat("a b", model="parrot/grey").text() == "a b "


async def test_provider_that_raises_in_mid_stream(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[Any]:
            yield "In "
            raise ZeroDivisionError("secret")

    class Typed:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[Any]:
            raise aimate.RateLimitedError("come back in May")
            yield ""

    class Wrong:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[Any]:
            yield {"type": "txet", "text": "x"}

    providers = {"broken": Broken(), "typed": Typed(), "wrong": Wrong()}
    async with await aimate.Engine.open("sqlite::memory:", connections=[], providers=providers) as engine:
        with pytest.raises(aimate.UpstreamError, match="ZeroDivisionError") as raised:
            await engine.chat("x", model="broken/default").collect()
        assert "secret" not in str(raised.value) and "secret" in caplog.text
        with pytest.raises(aimate.RateLimitedError, match="May"):
            await engine.chat("x", model="typed/default").collect()
        with pytest.raises(aimate.UpstreamError, match="ValueError"):
            await engine.chat("x", model="wrong/default").collect()


async def test_provider_is_cancelled_with_its_run() -> None:
    ended: list[str] = []

    class Slow:
        async def chat(self, request: dict[str, Any]) -> AsyncIterator[Any]:
            try:
                while True:
                    yield "x"
                    await asyncio.sleep(0.01)
            finally:
                ended.append("yes")

    async with await aimate.Engine.open("sqlite::memory:", connections=[], providers={"slow": Slow()}) as engine:
        async for event in engine.chat("x", model="slow/default"):
            if event["type"] == "text":
                break
        for _ in range(500):
            if ended:
                break
            await asyncio.sleep(0.01)
        assert ended == ["yes"]


class Letters:
    """Counts letters: no match for a model."""

    name = "letters"
    dimensions = 26

    def embed(self, texts: list[str]) -> Any:
        numpy = pytest.importorskip("numpy")
        rows = [[float(text.lower().count(chr(97 + n))) + 0.01 for n in range(26)] for text in texts]
        return numpy.array(rows, dtype="float32")


async def test_embedder_and_reranker_of_ones_own(scripted: Scripted) -> None:
    pytest.importorskip("numpy")

    class Shortest:
        async def rerank(self, query: str, passages: list[str]) -> list[float]:
            return [-len(passage) for passage in passages]

    async with await scripted.open(embedder=Letters(), reranker=Shortest()) as engine:
        await engine.knowledge.add_text("a", "zebra zoo zigzag jazz", collection="docs")
        await engine.knowledge.add_text("b", "hello", collection="docs")
        hits = await engine.knowledge.search("zz", mode="vector", collections=["docs"], rerank=False)
        assert hits[0]["title"] == "a" and 0 <= hits[0]["score"] <= 1
        hits = await engine.knowledge.search("zz", collections=["docs"], mode="vector", rerank=True)
        assert hits[0]["title"] == "b"


def test_embedder_need_not_say_its_dimensions(scripted: Scripted) -> None:
    class Three:
        async def embed(self, texts: list[str], purpose: str) -> list[list[float]]:
            assert purpose in ("passage", "query")
            return [[1.0, 2.0, 3.0] for _ in texts]

    async def within_a_loop() -> None:
        with scripted.open_sync(embedder=Three()) as engine:
            engine.knowledge.add_text("a", "x")
            assert engine.knowledge.search("x", mode="vector")[0]["title"] == "a"

    asyncio.run(within_a_loop())


@pytest.mark.parametrize(
    ("vectors", "why"),
    [
        ([[1.0] * 25], "25 numbers"),
        ([[1.0] * 26, [1.0] * 26], "2 vectors for 1"),
        ([[float("nan")] * 26], "not finite"),
        ("nonsense", "no list of lists of numbers"),
    ],
)
async def test_embedder_that_returns_the_wrong_shape(scripted: Scripted, vectors: Any, why: str) -> None:
    class Wrong(Letters):
        def embed(self, texts: list[str]) -> Any:
            return vectors

    async with await scripted.open(embedder=Wrong()) as engine:
        await engine.knowledge.collections.create("docs")
        with pytest.raises(aimate.AimateError, match=why):
            await engine.knowledge.search("x", mode="vector", collections=["docs"])


async def test_arrays_are_vectors_of_whatever_kind(scripted: Scripted) -> None:
    numpy = pytest.importorskip("numpy")

    class Any_:
        def __init__(self, make: Any) -> None:
            self.make = make

        def embed(self, texts: list[str]) -> Any:
            return self.make([[1.0 + text.count("z"), 1.0 + text.count("b"), 0.0] for text in texts])

    kinds: list[Any] = [
        lambda rows: numpy.array(rows),
        lambda rows: numpy.array(rows, dtype="float16"),
        lambda rows: numpy.array(rows, dtype="int64"),
        lambda rows: numpy.array(rows, dtype=">f4"),
        lambda rows: numpy.array(rows).T.copy().T,
        lambda rows: list(numpy.array(rows)),
    ]
    for make in kinds:
        # How many numbers there are is found out by asking.
        async with await scripted.open(embedder=Any_(make)) as engine:
            added = await engine.knowledge.add_documents([{"name": name, "text": name * 3} for name in "zb"])
            assert len(added) == 2
            assert [hit["title"] for hit in await engine.knowledge.search("zz", mode="vector")] == ["z", "b"]
    wrong: list[tuple[Any, str]] = [
        (lambda rows: numpy.ones((len(rows), 4)), "of 4 numbers"),
        (lambda rows: numpy.ones((len(rows) + 1, 3)), "2 vectors for 1"),
        (lambda rows: numpy.full((len(rows), 3), numpy.nan), "not finite"),
        (lambda rows: numpy.full((len(rows), 3), 1e300), "not finite"),
        (lambda rows: numpy.ones(3), "1 dimensions"),
    ]
    for make, why in wrong:
        embedder = Any_(make)
        embedder.dimensions = 3  # type: ignore[attr-defined]
        async with await scripted.open(embedder=embedder) as engine:
            await engine.knowledge.collections.create("docs")
            with pytest.raises(aimate.UpstreamError, match=why):
                await engine.knowledge.search("zz", mode="vector")
    with pytest.raises(TypeError, match="0 vectors"):
        await scripted.open(embedder=Any_(lambda rows: numpy.ones((0, 3))))


async def test_extract_gives_a_value(scripted: Scripted) -> None:
    scripted.push([says('{"name": "Ann", "address": {"street": "x"}}')], "no json")
    async with await scripted.open() as engine:
        person = await engine.extract(Person, "Who?")
        assert person == Person("Ann", {"street": "x"})
        assert "json_schema" in scripted.requests[0]["response_format"]
        with pytest.raises(aimate.UpstreamError):
            await engine.extract(Person, "Who?")
