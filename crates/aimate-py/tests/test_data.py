"""The data groups: exactly the contract's dicts, checks and errors."""

from __future__ import annotations

import asyncio
import datetime
import pickle
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

import aimate
from aimate import SyncEngine, types
from aimate.testing import Scripted


async def test_conversations(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        made = await engine.conversations.create(title="Boiler", tags=["home"], metadata={"n": 1})
        assert made["title"] == "Boiler" and made["metadata"] == {"n": 1}
        changed = await engine.conversations.update(made["id"], is_pinned=True, title="Heating")
        assert changed["is_pinned"] and changed["title"] == "Heating" and changed["tags"] == ["home"]
        for n in range(3):
            await engine.conversations.create(title=f"{n}")
        page = await engine.conversations.list(limit=2)
        assert len(page) == 2 and page.next_cursor
        rest = await engine.conversations.list(limit=2, cursor=page.next_cursor)
        assert len(rest) == 2 and rest.next_cursor is None
        assert len([each async for each in engine.conversations.all()]) == 4
        assert [each["title"] for each in await engine.conversations.list(q="heat")] == ["Heating"]
        await engine.conversations.delete(made["id"])
        with pytest.raises(aimate.NotFoundError) as raised:
            await engine.conversations.get(made["id"])
        assert isinstance(raised.value, LookupError) and raised.value.code == "not_found"
        assert raised.value.status == 404 and made["id"] in raised.value.detail


def test_fork_and_shares(engine: SyncEngine) -> None:
    chat = engine.chat("Hello")
    message = chat.collect()
    copy = engine.conversations.fork(message["conversation_id"], message["id"])
    assert len(engine.conversations.messages(copy["id"])) == 2
    link = engine.conversations.share(copy["id"])
    assert link["token"] and len(engine.conversations.shares(copy["id"])) == 1


async def test_documents_and_search(scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "manual.md"
    path.write_text("# Reset\n\nHold the red button for ten seconds.")
    async with await scripted.open() as engine:
        document = await engine.knowledge.add_file(path, collection="docs", metadata={"lang": "en"})
        assert document["status"] == "ready" and document["name"] == "manual.md"
        hits = await engine.knowledge.search("red button", collections=["docs"])
        assert hits[0]["document_id"] == document["id"] and "ten seconds" in hits[0]["text"]
        assert "words alone" in hits.rest["warnings"][0]
        chunks = await engine.knowledge.chunks(document["id"])
        assert len(chunks) == 1
        chat = engine.chat("How long is the red button held?", knowledge=["docs"])
        retrieved = [event async for event in chat if event["type"] == "retrieved"]
        assert retrieved[0]["citations"][0]["document_id"] == document["id"]
        assert [each["id"] for each in await engine.knowledge.documents(collection="docs")] == [document["id"]]
        await engine.knowledge.delete(document["id"])
        assert await engine.knowledge.search("red button", collections=["docs"]) == []


async def test_search_takes_filters(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        documents = [
            {"name": f"report {year}", "text": "The boiler.", "metadata": {"year": year, "tags": ["a"]}} for year in (2024, 2025)
        ]
        documents.append({"name": "draft", "text": "The boiler.", "metadata": {"draft": True}})
        await engine.knowledge.add_documents(documents)
        cases: list[tuple[types.Filter, set[str]]] = [
            ({"eq": {"field": "year", "value": 2025}}, {"report 2025"}),
            ({"in": {"field": "year", "values": [2023, 2024]}}, {"report 2024"}),
            ({"range": {"field": "year", "gte": 2024, "lt": 2025}}, {"report 2024"}),
            ({"contains": {"field": "tags", "value": "a"}}, {"report 2024", "report 2025"}),
            ({"not": {"exists": {"field": "draft"}}}, {"report 2024", "report 2025"}),
            ({"and": [{"exists": {"field": "year"}}, {"eq": {"field": "$name", "value": "report 2025"}}]}, {"report 2025"}),
            ({"or": [{"eq": {"field": "draft", "value": True}}, {"eq": {"field": "year", "value": 2024}}]}, {"draft", "report 2024"}),
        ]
        for condition, titles in cases:
            assert {hit["title"] for hit in await engine.knowledge.search("boiler", filter=condition)} == titles, condition
        with pytest.raises(aimate.InvalidError, match="filter"):
            await engine.knowledge.search("boiler", filter={"eqq": {"field": "year", "value": 1}})  # type: ignore[arg-type]


async def test_progress_is_followed(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        document = await engine.knowledge.add_text("a", "text " * 1000, wait=False)
        steps = [step async for step in engine.knowledge.progress(document["id"])]
        assert steps[-1]["status"] == "ready"


async def test_document_that_cannot_be_read(scripted: Scripted, tmp_path: Path) -> None:
    async with await scripted.open() as engine:
        with pytest.raises(aimate.NotFoundError, match="nothing.pdf"):
            await engine.knowledge.add_file(tmp_path / "nothing.pdf")
        with pytest.raises(aimate.InvalidError) as raised:
            await engine.knowledge.add_bytes("broken.pdf", b"%PDF-1.4 nonsense")
        assert raised.value.reason == "damaged"
        files = Path(__file__).resolve().parents[2] / "aimate-text" / "tests" / "files"
        with pytest.raises(aimate.InvalidError, match="password") as raised:
            await engine.knowledge.add_file(files / "locked.pdf")
        assert raised.value.reason == "encrypted"
        with pytest.raises(aimate.NotFoundError):
            await engine.knowledge.search("x", collections=["there is none"])


async def test_documents_of_other_libraries(scripted: Scripted) -> None:
    class LangChain:
        page_content = "The boiler is in the cellar."
        metadata = {"source": "house.txt"}
        id = None

    class LlamaIndex:
        metadata: dict[str, Any] = {}
        node_id = "n-1"

        def get_content(self) -> str:
            return "The roses are watered."

    async with await scripted.open() as engine:
        documents = [LangChain(), LlamaIndex(), {"name": "c", "text": "A third."}]
        added = await engine.knowledge.add_documents(documents, collection="docs")
        assert [document["status"] for document in added] == ["ready"] * 3
        assert added[0]["metadata"] == {"source": "house.txt"}
        hits = await engine.knowledge.search("boiler", collections=["docs"])
        assert hits[0]["title"] == "house.txt"
        with pytest.raises(TypeError, match=r"documents\[0\]"):
            await engine.knowledge.add_documents([3])
        # One that is wrong leaves none added.
        before = len(await engine.knowledge.documents(collection="docs"))
        with pytest.raises(aimate.InvalidError, match=r"documents\[1\]") as raised:
            await engine.knowledge.add_documents(
                [{"name": "d", "text": "A fourth."}, {"name": "e", "text": " "}], collection="docs"
            )
        assert raised.value.errors == {"documents[1].text": "is empty"}
        assert len(await engine.knowledge.documents(collection="docs")) == before
        twice = [{"name": "d", "text": "A fourth.", "source": "s"}, {"name": "e", "text": "A fifth.", "source": "s"}]
        with pytest.raises(aimate.InvalidError, match=r"documents\[1\].source`: is that of documents\[0\] too"):
            await engine.knowledge.add_documents(twice, collection="other")
        with pytest.raises(aimate.NotFoundError):
            await engine.knowledge.collections.get("other")


async def test_documents_are_added_beside_each_other(scripted: Scripted) -> None:
    batches: list[int] = []

    class Counting:
        dimensions = 2

        def embed(self, texts: list[str]) -> list[list[float]]:
            batches.append(len(texts))
            # A model takes its time, and more come meanwhile.
            time.sleep(0.05)
            return [[1.0, float(len(text))] for text in texts]

    async with await scripted.open(embedder=Counting()) as engine:
        documents = [{"name": f"{n}", "text": f"The boiler number {n}."} for n in range(200)]
        added = await engine.knowledge.add_documents(iter(documents), collection="docs")
        assert [document["name"] for document in added] == [f"{n}" for n in range(200)]
        assert {document["status"] for document in added} == {"ready"}
        assert len(batches) < 100 and sum(batches) == 200
        assert await engine.knowledge.add_documents([], collection="docs") == []
        waiting = await engine.knowledge.add_documents(documents[:2], collection="docs", wait=False)
        assert [document["name"] for document in waiting] == ["0", "1"]


async def test_document_that_fails_leaves_the_others(scripted: Scripted) -> None:
    async with await scripted.open(quotas={"user_documents": 3}) as engine:
        documents = [
            {"name": "a.md", "text": "The boiler."},
            {"name": "b.html", "text": "<script>no(text)</script>", "media_type": "text/html"},
            {"name": "c", "url": "http://127.0.0.1:9/"},
            {"name": "d.md", "text": "The garden."},
        ]
        with pytest.raises(aimate.DocumentsError) as raised:
            await engine.knowledge.add_documents(documents, collection="docs")
        error = raised.value
        statuses = [document and document["status"] for document in error.documents]
        assert statuses == ["ready", "failed", None, "ready"]
        assert list(error.errors) == ["documents[1]", "documents[2]"]
        assert str(error).startswith("2 of 4 documents failed; the first of them, documents[1]: ")
        assert isinstance(error.__cause__, aimate.InvalidError) and error.reason == error.__cause__.reason
        assert error.code == "invalid" and error.status == 400
        # Queues of tasks bring exceptions from process to process.
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is aimate.DocumentsError and again.documents == error.documents and str(again) == str(error)
        assert [hit["title"] for hit in await engine.knowledge.search("boiler")] == ["a.md"]
        with pytest.raises(aimate.DocumentsError) as full:
            await engine.knowledge.add_documents([{"name": "e", "text": "Too many."}], wait=False)
        assert full.value.reason == "quota_exceeded" and full.value.documents == [None]


async def test_users_see_what_is_theirs(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        ann, bob = engine.as_user("acme", "ann", role="admin", name="Ann"), engine.as_user("acme", "bob")
        await ann.chat("Hello").collect()
        assert len(await ann.conversations.list()) == 1
        assert await bob.conversations.list() == [] and await engine.conversations.list() == []
        mine = (await ann.conversations.list())[0]
        with pytest.raises(aimate.NotFoundError):
            await bob.conversations.get(mine["id"])
        scope = await ann.scope()
        assert scope["role"] == "admin"
        await bob.scope()
        users = await ann.users.list()
        assert {user["key"] for user in users} == {"ann", "bob"}
        with pytest.raises(aimate.ForbiddenError):
            await bob.users.list()
        await ann.users.update((await bob.scope())["user_id"], is_active=False)
        with pytest.raises(aimate.ForbiddenError):
            await bob.conversations.list()
        assert [tenant["key"] for tenant in await engine.tenants.list() if tenant.get("key")] == ["acme"]
        await engine.tenants.delete("acme")


async def test_usage_and_budgets(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        await engine.chat("x", tags=["ticket:1"]).collect()
        day = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        sums = await engine.usage.summarize(from_=day, group_by=["model"])
        assert sums[0]["key"] == "scripted/test" and sums[0]["input_tokens"] == 7
        records = await engine.usage.records(tag="ticket:1")
        assert len(records) == 1
        boss = engine.as_user("acme", "boss", role="admin")
        budget = await boss.budgets.create({"type": "tenant"}, "month", max_tokens=1)
        assert (await boss.budgets.get(budget["id"]))["id"] == budget["id"]
        with pytest.raises(aimate.RateLimitedError) as raised:
            for _ in range(3):
                await boss.chat("x").collect()
        assert raised.value.reason == "budget_exceeded"


async def test_connections_and_models(scripted: Scripted) -> None:
    async with await scripted.open(keys=aimate.generate_key()) as engine:
        made = await engine.connections.create("mine", "openai", url="https://models.example.org/v1", api_key="sk-secret-1234")
        assert made["has_key"] and made["key_hint"] == "1234" and "secret" not in str(made)
        changed = await engine.connections.update(made["id"], is_enabled=False)
        assert not changed["is_enabled"]
        assert len(await engine.connections.list()) == 2
        await engine.connections.delete(made["id"])
        assert [model["id"] for model in await engine.models.list()] == ["scripted/test", "scripted/tiny"]
        off = await engine.models.disable("scripted/tiny")
        assert not off["is_active"]


async def test_private_address_of_a_user_is_refused(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        made = await engine.connections.create("mine", "openai", url="http://127.0.0.1:9/v1")
        tested = await engine.connections.test(made["id"])
        assert not tested["ok"]


def test_workspaces_prompts_and_groups(engine: SyncEngine) -> None:
    workspace = engine.workspaces.create("House", description="x")
    assert engine.workspaces.get(workspace["id"])["name"] == "House"
    assert len(engine.workspaces.members(workspace["id"])) == 1
    prompt = engine.prompts.create("Terse", "Be terse.")
    assert engine.prompts.update(prompt["id"], content="Be brief.")["content"] == "Be brief."
    engine.prompts.delete(prompt["id"])
    assert engine.prompts.list() == []
    group = engine.groups.create("Team")
    assert engine.groups.update(group["id"], name="Crew")["name"] == "Crew"
    member = engine.workspaces.put_member(workspace["id"], group["id"], "viewer", kind="group")
    engine.workspaces.remove_member(workspace["id"], member["id"])
    price = engine.prices.create("scripted/test", input=1.0, output=2.0)
    assert engine.prices.list()[0]["id"] == price["id"]
    assert engine.tools.list()[0]["name"]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda e: e.chat(5).collect(), "content"),
        (lambda e: e.chat("x", temperature="hot").collect(), "temperature"),
        (lambda e: e.chat("x", knowledge="docs"), "knowledge"),
        (lambda e: e.chat("x", tools=5), "tools"),
        (lambda e: e.chat("x", modl="y"), "modl"),
        (lambda e: e.chat("x", conversation_id=5), "conversation_id"),
        (lambda e: e.chat("x", metadata={"a": object()}).collect(), r"metadata\.a"),
        (lambda e: e.chat("x", metadata={"a": float("nan")}).collect(), r"metadata\.a"),
        (lambda e: e.chat("x\ud800").collect(), "content"),
        (lambda e: e.conversations.get(None), "id"),
        (lambda e: e.conversations.list(limit=500), "limit"),
        (lambda e: e.conversations.list(limt=5), "limt"),
        (lambda e: e.conversations.create(title=5), "title"),
        (lambda e: e.conversations.share("0190a5d2-7c1e-7cc3-98c4-dc0c0c07398f", nonsense=1), "nonsense"),
        (lambda e: e.knowledge.search(5), "query"),
        (lambda e: e.knowledge.search("x", mode="psychic"), "mode"),
        (lambda e: e.knowledge.add_file(5), "path|os.PathLike"),
        (lambda e: e.as_user("acme", 5), "user"),
        (lambda e: e.as_user("acme", "u", role="boss").scope(), "role"),
        (lambda e: e.as_user("", "u").scope(), "tenant"),
        (lambda e: e.workspaces.create("x", colour="red"), "colour"),
    ],
)
def test_wrong_argument_is_named(engine: SyncEngine, call: Any, named: str) -> None:
    with pytest.raises((TypeError, ValueError, aimate.InvalidError), match=named):
        call(engine)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "url"),
        ({"url": 5}, "url"),
        ({"url": "mysql://u:hunter2@h/d"}, "database"),
        ({"url": "sqlite::memory:", "connections": [5]}, r"connections\[0\]"),
        ({"url": "sqlite::memory:", "connections": [{"provider": "openai", "apikey": "x"}]}, "apikey"),
        ({"url": "sqlite::memory:", "connections": ["nonsense"]}, "nonsense"),
        ({"url": "sqlite::memory:", "providers": {"x": object()}}, "providers"),
        ({"url": "sqlite::memory:", "providers": {"X Y": type("P", (), {"chat": print})()}}, "X Y"),
        ({"url": "sqlite::memory:", "tools": [5]}, "tools"),
        ({"url": "sqlite::memory:", "embedder": object()}, "embedder"),
        ({"url": "sqlite::memory:", "reranker": 5}, "reranker"),
        ({"url": "sqlite::memory:", "pool_size": "many"}, "pool_size|integer|u32"),
        ({"url": "sqlite::memory:", "timeout": -1}, "timeout"),
        ({"url": "sqlite::memory:", "quotas": {"bytes": 5}}, "bytes"),
        ({"url": "sqlite::memory:", "allow_private": ["not a host!"]}, "allow_private"),
        ({"url": "sqlite::memory:", "keys": "short"}, "keys"),
        ({"url": "sqlite::memory:", "prefer": "nobody", "connections": []}, "nobody"),
        ({"url": "sqlite::memory:", "conections": []}, "conections"),
    ],
)
def test_wrong_argument_of_open_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises((TypeError, ValueError, aimate.AimateError), match=named) as raised:
        SyncEngine.open(**arguments)
    assert "hunter2" not in str(raised.value)


def test_objects_are_made_plain(engine: SyncEngine) -> None:
    id, when = uuid.uuid4(), datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    made = engine.conversations.create(metadata={"id": id, "when": when, "path": Path("a"), "set": {1}, "deep": ((1,),)})
    assert made["metadata"] == {"id": str(id), "when": when.isoformat(), "path": "a", "set": [1], "deep": [[1]]}


def test_repr_shows_no_secret() -> None:
    connections = [{"name": "openai", "provider": "openai", "url": "https://x.example.org/v1", "api_key": "sk-canary"}]
    with SyncEngine.open("sqlite::memory:", connections=connections) as engine:
        shown = repr(engine) + repr(engine.as_user("acme", "u")) + repr(engine.chat("x")) + repr(engine._caller.native)
        assert "canary" not in shown
        assert "canary" not in str(engine.connections.list())


async def test_data_is_kept_in_the_folder(tmp_path: Path, scripted: Scripted) -> None:
    async with await aimate.Engine.open(data_dir=tmp_path, connections=[], providers={"scripted": scripted}) as engine:
        await engine.chat("x").collect()
        await engine.connections.create("mine", "openai", url="https://x.example.org/v1", api_key="sk-secret")
    key = tmp_path / "encryption.key"
    assert key.stat().st_mode & 0o777 == 0o600 and (tmp_path / "aimate.db").exists()
    async with await aimate.Engine.open(data_dir=tmp_path, connections=[]) as engine:
        assert len(await engine.conversations.list()) == 1


def test_embed_gives_vectors(engine: SyncEngine) -> None:
    vectors = engine.embed(["a", "b"], model="scripted/test", dimensions=4)
    assert [len(vector) for vector in vectors] == [4, 4]
    with pytest.raises(aimate.AimateError, match="nobody"):
        engine.embed(["a"], model="nobody/none")


async def test_calls_beside_each_other(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        pages = await asyncio.gather(*(engine.conversations.list() for _ in range(100)))
        assert pages == [[]] * 100


async def test_document_that_goes_meanwhile(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        document = await engine.knowledge.add_text("a", "text")
        await engine.knowledge.delete(document["id"])
        with pytest.raises(aimate.NotFoundError):
            await engine.knowledge.wait(document["id"])
