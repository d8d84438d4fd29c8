"""The package within frameworks: retrievers, and the examples as their docstrings say to run them.

Their model is a script that a server in this process plays, found through OPENAI_BASE_URL. Tests
skip where their framework is not installed, unless AIMATE_PY_ALL_PACKAGES says that all of
``requirements.txt`` is.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import os
import re
import runpy
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import aimate
from aimate import SyncEngine
from aimate.testing import Scripted, fails, hangs, says, waits

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples" / "python"
PDF = ROOT / "crates" / "aimate-text" / "tests" / "files" / "tides.pdf"
MANUAL = "The boiler is serviced in May. The main tap is in the cellar."


def need(*names: str) -> Any:
    """Returns the first module, where all of them are installed."""
    try:
        return [importlib.import_module(name) for name in names][0]
    except ImportError as error:
        if os.environ.get("AIMATE_PY_ALL_PACKAGES"):
            pytest.fail(f"AIMATE_PY_ALL_PACKAGES is set, and yet: {error}")
        pytest.skip(str(error))


def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become so in time"
        time.sleep(0.01)


@pytest.fixture
def model_env(scripted: Scripted) -> Iterator[dict[str, str]]:
    """An environment in which the script is what OPENAI_BASE_URL leads to."""
    with scripted.open_sync() as engine, engine.serve(port=0, drain=0) as server:
        yield {
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": "any",
            # Nobody listens there: what answers on a developer's machine is left out.
            "OLLAMA_HOST": "127.0.0.1:9",
        }


@pytest.fixture
def here(model_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process in that environment, and in an empty folder."""
    for name, value in model_env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


class Program:
    """An example in a process of its own."""

    def __init__(self, arguments: list[str], env: dict[str, str], folder: Path) -> None:
        self.folder = folder
        self.log = folder / "program.log"
        path = os.pathsep.join([str(Path(aimate.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", *arguments],
                cwd=folder,
                env={**os.environ, **env, "PYTHONPATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def url(self) -> str:
        """Returns where it says that it listens."""
        found: list[str] = []

        def said() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            found[:] = re.findall(r"running on (http://127\.0\.0\.1:\d+)", self.log.read_text())
            return bool(found)

        until(said, 30)
        return found[0]

    def stop(self) -> float:
        """Asks it to end, and returns the seconds that it took."""
        begun = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
        return time.monotonic() - begun


def script(name: str, *arguments: str, env: dict[str, str], folder: Path) -> str:
    """Runs an example to its end and returns what it printed."""
    program = Program([str(EXAMPLES / f"{name}.py"), *arguments], env, folder)
    assert program.process.wait(60) == 0, program.log.read_text()
    return program.log.read_text()


def events_of(body: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns server-sent events by their names."""
    found = []
    for block in body.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            data = json.loads(fields["data"])
            assert data["type"] == fields["event"]
            found.append((fields["event"], data))
    return found


# LangChain


async def test_langchain_retriever_finds_documents(scripted: Scripted) -> None:
    need("langchain_core")
    from langchain_core.documents import Document

    from aimate.langchain import AimateRetriever

    async with await scripted.open() as engine:
        note = Document(page_content=MANUAL, metadata={"source": "house.md", "team": "a"})
        await engine.knowledge.add_documents([note], collection="docs")
        await engine.knowledge.add_file(PDF, collection="tides")
        retriever = AimateRetriever(engine=engine, collections="docs", limit=3)
        asked = await retriever.ainvoke("When is the boiler serviced?")
        assert retriever.invoke("When is the boiler serviced?") == asked
        hit = (await engine.knowledge.search("When is the boiler serviced?", collections=["docs"]))[0]
        assert asked[0].page_content == MANUAL and asked[0].id == hit["chunk_id"]
        assert asked[0].metadata == {
            "document_id": hit["document_id"],
            "chunk_id": hit["chunk_id"],
            "collection_id": hit["collection_id"],
            "title": "house.md",
            "source": "house.md",
            "page": None,
            "start": 0,
            "end": len(MANUAL),
            "score": hit["score"],
        }
        paged = await AimateRetriever(engine=engine, collections=["tides"]).ainvoke("tides")
        assert paged and all(document.metadata["page"] >= 1 for document in paged)
        # What a call says goes before what the retriever has.
        assert len(await AimateRetriever(engine=engine).ainvoke("the tides boiler", limit=1)) == 1
        team_b, team_a = ({"eq": {"field": "team", "value": team}} for team in "ba")
        only = AimateRetriever(engine=engine, filter=team_b)
        assert await only.ainvoke("boiler") == [] and len(await only.ainvoke("boiler", filter=team_a)) == 1
        # Others have their own documents.
        assert await AimateRetriever(engine=engine.as_user("acme", "eve")).ainvoke("boiler") == []
        with pytest.raises(aimate.NotFoundError):
            await AimateRetriever(engine=engine, collections="nope").ainvoke("x")
        with pytest.raises(TypeError, match="limt"):
            await retriever.ainvoke("x", limt=3)
        with pytest.raises(TypeError, match="engine: is a int"):
            AimateRetriever(engine=3)


def test_langchain_chains(scripted: Scripted) -> None:
    need("langchain_core")
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough

    from aimate.langchain import AimateAnswer, AimateRetriever

    with scripted.open_sync() as engine:
        engine.knowledge.add_text("manual", MANUAL, collection="docs")
        prompt = ChatPromptTemplate.from_template("{passages}\n\n{question}")
        answer = AimateAnswer(engine, model="scripted/test")
        retriever = AimateRetriever(engine=engine, collections=["docs"])
        chain = {"passages": retriever, "question": RunnablePassthrough()} | prompt | answer
        scripted.push("In May.")
        assert chain.invoke("When is the boiler serviced?") == "In May."
        assert MANUAL in scripted.requests[0]["messages"][0]["text"]
        assert list(chain.stream("boiler")) == ["Hello ", "there"]
        assert asyncio.run(chain.ainvoke("boiler")) == "Hello there"
        assert chain.batch(["a", "b", "c"]) == ["Hello there"] * 3
        # A stream that is left cancels its run.
        scripted.push([says("a"), hangs()])
        stream = chain.stream("boiler")
        assert next(stream) == "a"
        stream.close()
        until(lambda: scripted.open_answers == 0 and engine.running == 0)
        scripted.push([says("a"), fails("rate_limited")])
        with pytest.raises(aimate.RateLimitedError):
            chain.invoke("boiler")
        assert list(AimateAnswer(engine, knowledge=["docs"]).stream("boiler"))


class _Embedder:
    """One that needs a loop which runs."""

    dimensions = 2

    async def embed(self, texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return [[1.0, float(len(text) % 2)] for text in texts]


async def test_retriever_does_not_wait_for_the_loop_that_it_blocks() -> None:
    need("langchain_core")
    from aimate.langchain import AimateRetriever

    async with await aimate.Engine.open("sqlite::memory:", connections=[], embedder=_Embedder()) as engine:
        await engine.knowledge.add_text("manual", MANUAL)
        retriever = AimateRetriever(engine=engine, mode="vector")
        # Each question is another one, so that none is known already.
        assert len(await retriever.ainvoke("1")) == 1
        assert len(retriever.invoke("22")) == 1
        assert len(await asyncio.to_thread(retriever.invoke, "333")) == 1
        assert len(await retriever.ainvoke("4444")) == 1
        both = await asyncio.gather(retriever.ainvoke("5"), asyncio.to_thread(retriever.invoke, "6"), retriever.abatch(["7", "8"]))
        assert [len(found) for found in (*both[:2], *both[2])] == [1] * 4
    with SyncEngine.open("sqlite::memory:", connections=[], embedder=_Embedder()) as blocking:
        blocking.knowledge.add_text("manual", MANUAL)
        retriever = AimateRetriever(engine=blocking, mode="vector")
        assert len(retriever.invoke("1")) == 1 and len(await retriever.ainvoke("2")) == 1


def test_what_a_splitter_made_is_kept(engine: SyncEngine) -> None:
    need("langchain_core", "llama_index.core")
    from langchain_core.documents import Document
    from llama_index.core import Document as LlamaDocument
    from llama_index.core.node_parser import SentenceSplitter

    texts = ("The boiler is serviced in May.", "The main tap is in the cellar.")
    for _ in range(2):  # The same again replaces them.
        split = [Document(text, metadata={"source": "house.md"}) for text in texts]
        engine.knowledge.add_documents(iter(split), collection="docs")
    assert len(engine.knowledge.documents(collection="docs")) == 2
    for words, text in zip(("boiler", "tap"), texts):
        assert engine.knowledge.search(words, collections=["docs"])[0]["text"] == text
    whole = LlamaDocument(text=" ".join(f"Sentence {n} of many." for n in range(60)), metadata={"file_path": "a/b.md"})
    nodes = SentenceSplitter(chunk_size=100, chunk_overlap=0).get_nodes_from_documents([whole])
    engine.knowledge.add_documents(nodes, collection="nodes")
    assert len(engine.knowledge.documents(collection="nodes")) == len(nodes) > 1


async def test_blocking_engine_opens_within_a_loop() -> None:
    """As in a notebook, whose cells run within one."""

    class Measured:
        async def embed(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, 2.0, float(len(text))] for text in texts]

    with SyncEngine.open("sqlite::memory:", connections=[], embedder=Measured()) as blocking:
        blocking.knowledge.add_text("manual", MANUAL)
        assert len(blocking.knowledge.search("boiler", mode="vector")) == 1


# LlamaIndex


async def test_llama_index_retriever_finds_nodes(scripted: Scripted) -> None:
    need("llama_index.core")
    from llama_index.core.schema import Document, MetadataMode

    from aimate.llama_index import AimateRetriever

    async with await scripted.open() as engine:
        note = Document(text=MANUAL, metadata={"file_name": "house.md"})
        await engine.knowledge.add_documents([note], collection="docs")
        await engine.knowledge.add_file(PDF, collection="tides")
        retriever = AimateRetriever(engine, collections="docs", limit=3)
        asked = await retriever.aretrieve("When is the boiler serviced?")
        assert [each.node_id for each in retriever.retrieve("When is the boiler serviced?")] == [asked[0].node_id]
        hit = (await engine.knowledge.search("When is the boiler serviced?", collections=["docs"]))[0]
        node = asked[0].node
        assert asked[0].score == hit["score"] and node.get_content() == MANUAL
        assert node.node_id == hit["chunk_id"] and node.ref_doc_id == hit["document_id"]
        assert node.metadata["start"] == 0 and node.metadata["end"] == len(MANUAL)
        assert node.get_content(MetadataMode.LLM) == f"title: house.md\n\n{MANUAL}"
        paged = await AimateRetriever(engine, collections=["tides"]).aretrieve("tides")
        assert paged and all(each.metadata["page"] >= 1 for each in paged)
        assert await AimateRetriever(engine.as_user("acme", "eve")).aretrieve("boiler") == []
        with pytest.raises(TypeError, match="engine: is a str"):
            AimateRetriever("sqlite:x.db")  # type: ignore[arg-type]


def test_llama_index_query_engine(engine: SyncEngine) -> None:
    need("llama_index.core")
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine

    from aimate.llama_index import AimateRetriever

    engine.knowledge.add_text("manual", MANUAL, collection="docs")
    asks = RetrieverQueryEngine.from_args(AimateRetriever(engine, collections=["docs"]), llm=MockLLM())
    response = asks.query("When is the boiler serviced?")
    # The mock repeats what it is shown.
    assert MANUAL in str(response) and response.source_nodes[0].metadata["title"] == "manual"


@pytest.mark.parametrize(("module", "package"), [("langchain", "langchain-core"), ("llama_index", "llama-index-core")])
def test_module_without_its_package_says_what_to_install(module: str, package: str) -> None:
    hidden = {"langchain": "langchain_core", "llama_index": "llama_index"}[module]
    code = f"import sys; sys.modules[{hidden!r}] = None; import aimate.{module}"
    path = str(Path(aimate.__file__).parents[1])
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert ended.returncode == 1 and f"`pip install {package}`" in ended.stderr.splitlines()[-1]


# Scripts


def test_rag(scripted: Scripted, model_env: dict[str, str], tmp_path: Path) -> None:
    scripted.push("In May [1].")
    (tmp_path / "note.txt").write_text("The boiler's pressure gauge is on its left.")
    said = script("rag", "When is the boiler serviced?", "note.txt", env=model_env, folder=tmp_path)
    assert "note.txt: 1 passages" in said and "[1] House manual" in said and said.endswith("In May [1].\n")
    # Again: the same documents are there once.
    scripted.push("In May [1].")
    assert script("rag", env=model_env, folder=tmp_path).count("House manual: ") == said.count("House manual: ")


def test_pandas_usage(capsys: pytest.CaptureFixture[str]) -> None:
    pandas = need("pandas")
    example = runpy.run_path(str(EXAMPLES / "pandas_usage.py"))
    example["main"]()
    assert "scripted/test" in capsys.readouterr().out
    with Scripted("a", [says("b"), fails()]).open_sync() as engine:
        assert example["usage_by_day"](engine).empty and example["calls"](engine).empty
        assert list(example["hits"](engine, "boiler").columns)[:2] == ["score", "title"]
        engine.knowledge.add_text("manual", MANUAL)
        engine.chat("x").collect()
        with pytest.raises(aimate.UpstreamError):
            engine.chat("y").collect()
        days = example["usage_by_day"](engine)
        assert days.index.names == ["day", "model"] and days.loc[:, "calls"].sum() == 2
        assert pandas.api.types.is_datetime64_any_dtype(days.index.get_level_values("day"))
        assert pandas.api.types.is_integer_dtype(days["input_tokens"])
        calls = example["calls"](engine)
        assert set(calls["outcome"]) == {"completed", "interrupted"} and calls["created_at"].dt.tz is not None
        assert calls["usage.input_tokens"].sum() == days["input_tokens"].sum()
        found = example["hits"](engine, "boiler")
        assert len(found) == 1 and 0 < found["score"][0] <= 1 and found["text"][0] == MANUAL


# Notebook


@pytest.fixture
def quiet_jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYTHONPATH", str(Path(aimate.__file__).parents[1]))


def test_notebook_runs(tmp_path: Path, quiet_jupyter: None) -> None:
    need("nbclient", "ipykernel", "pandas")
    import nbclient
    import nbformat

    notebook = nbformat.read(str(EXAMPLES / "notebook.ipynb"), as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "it is kept without what it printed"
    client = nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "<Engine open>" in shown and "House manual" in shown and "**May**" in shown and "Blue." in shown
    assert '"stderr"' not in shown


def test_stop_button_of_a_notebook_cancels_the_run(tmp_path: Path, quiet_jupyter: None) -> None:
    need("ipykernel")
    need("jupyter_client")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:

        def said(code: str, *, stop: bool = False) -> str:
            texts: list[str] = []

            def hear(message: Any) -> None:
                content = message["content"]
                texts.append(content.get("text") or content.get("ename") or "")
                if stop and "begun" in texts[-1]:
                    manager.interrupt_kernel()

            client.execute_interactive(code, timeout=30, output_hook=hear)
            return "".join(texts)

        # A kernel that waits in `await` notices the button when something wakes its loop: a word of
        # the answer does.
        said(
            "from aimate.testing import *\n"
            "words = [step for n in range(500) for step in (waits(0.1), says('begun'))]\n"
            "scripted = Scripted(words, [says('begun'), hangs()])\n"
            "engine = await scripted.open()\nblocking = scripted.open_sync()"
        )
        asynchronous = "async for event in engine.chat('x'): print(event.get('text', ''), flush=True)"
        assert re.search("begun.*(KeyboardInterrupt|CancelledError)", said(asynchronous, stop=True), re.S)
        waiting = "for event in blocking.chat('x'): print(event.get('text', ''), flush=True)"
        assert re.search("begun.*KeyboardInterrupt", said(waiting, stop=True), re.S)
        left = "import asyncio; await asyncio.sleep(0.5); print(scripted.open_answers, engine.running, blocking.running)"
        assert said(left) == "0 0 0\n"
        assert said("print(await engine.chat('x').text(), blocking.chat('x').text())") == "Hello there Hello there\n"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# FastAPI


# Middleware of this kind stands between a response and the news that its client is gone.
WRAPPED = f"""
import sys
sys.path.insert(0, {str(EXAMPLES)!r})
import fastapi_app
from starlette.middleware.gzip import GZipMiddleware

def create_app():
    app = fastapi_app.create_app()

    @app.middleware("http")
    async def timed(request, call_next):
        return await call_next(request)

    app.add_middleware(GZipMiddleware)
    return app
"""


@pytest.fixture
def fastapi_client(request: pytest.FixtureRequest, model_env: dict[str, str], tmp_path: Path) -> Iterator[Any]:
    """The example under uvicorn, and a client of it."""
    httpx = need("httpx", "fastapi", "uvicorn")
    module, folder = "fastapi_app", EXAMPLES
    if getattr(request, "param", None) == "within middleware":
        module, folder = "wrapped", tmp_path
        (tmp_path / "wrapped.py").write_text(WRAPPED)
    arguments = ["-m", "uvicorn", "--factory", f"{module}:create_app", "--app-dir", str(folder)]
    program = Program([*arguments, "--port", "0", "--timeout-graceful-shutdown", "1"], model_env, tmp_path)
    try:
        with httpx.Client(base_url=program.url(), headers={"authorization": "Bearer ann"}, timeout=20) as client:
            client.program = program
            yield client
    finally:
        program.stop()


BOB = {"authorization": "Bearer bob"}


def test_fastapi_streams_and_mounts(fastapi_client: Any, scripted: Scripted) -> None:
    client = fastapi_client
    scripted.push("In May.")
    response = client.post("/chat", json={"question": "When?"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert re.findall(r"^id: (\d+)", response.text, re.M) == [str(n + 1) for n in range(len(events_of(response.text)))]
    events = events_of(response.text)
    assert [name for name, _ in events] == ["started", "text", "text", "finished"]
    assert "".join(data["text"] for name, data in events if name == "text") == "In May."
    conversation = events[0][1]["conversation_id"]

    # The next turn goes on with it, for its owner alone.
    asked = {"question": "And the tap?", "conversation_id": conversation}
    assert events_of(client.post("/chat", json=asked).text)[0][1]["conversation_id"] == conversation
    assert client.post("/chat", json=asked, headers=BOB).status_code == 404
    refused = client.post("/chat", json=asked, headers={"authorization": "Bearer nobody"})
    assert refused.status_code == 401

    # What is wrong with a question is a status, not a stream.
    wrong = client.post("/chat", json={"question": "x", "collections": ["nope"]})
    assert wrong.status_code == 404 and wrong.json()["code"] == "not_found" and "nope" in wrong.json()["detail"]

    # Documents of one user.
    house = client.post("/ai/api/v1/knowledge/collections", json={"name": "house"}).json()["id"]
    note = {"name": "manual", "text": MANUAL}
    added = client.post(f"/ai/api/v1/knowledge/collections/{house}/documents", json=note).json()
    document = f"/ai/api/v1/knowledge/documents/{added['id']}"
    until(lambda: client.get(document).json()["status"] == "ready")
    assert client.get(document, headers=BOB).status_code == 404
    events = events_of(client.post("/chat", json={"question": "boiler", "collections": ["house"]}).text)
    assert ("retrieved", "manual") in [(name, data.get("citations", [{}])[0].get("title")) for name, data in events]

    # The same, by aiMate's own API at /ai.
    listed = client.get("/ai/api/v1/conversations").json()["data"]
    assert conversation in [each["id"] for each in listed]
    assert client.get("/ai/api/v1/conversations", headers=BOB).json()["data"] == []
    assert client.get("/ai/api/v1/conversations", headers={"authorization": "x"}).status_code == 401
    assert client.get("/ai/openapi.json").json()["servers"] == [{"url": "/ai"}]
    made = client.post("/ai/api/v1/conversations", json={"title": "x"})
    assert client.get(made.headers["location"]).json()["title"] == "x"
    streamed = client.post("/ai/api/v1/messages", json={"content": "Hi"})
    assert [name for name, _ in events_of(streamed.text)][-1] == "finished"
    completion = {"model": "openai/scripted/test", "messages": [{"role": "user", "content": "Hi"}]}
    body = client.post("/ai/v1/chat/completions", json=completion).json()
    assert body["choices"][0]["message"]["content"] == "Hello there"


@pytest.mark.parametrize("fastapi_client", ["alone", "within middleware"], indirect=True)
def test_fastapi_client_that_leaves_stops_the_model(fastapi_client: Any, scripted: Scripted) -> None:
    client = fastapi_client
    # In the middle of an answer, before its first word, and by aiMate's own routes.
    for answer in ([says("a"), hangs()], [hangs()]):
        for path, body in (("/chat", {"question": "x"}), ("/ai/api/v1/messages", {"content": "x", "on_disconnect": "cancel"})):
            scripted.push(answer)
            with client.stream("POST", path, json=body) as response:
                lines = response.iter_lines()
                while "started" not in next(lines):
                    pass
                until(lambda: scripted.open_answers == 1)
            until(lambda: scripted.open_answers == 0)
    kept = client.get("/ai/api/v1/conversations").json()["data"]

    def statuses() -> list[str]:
        paths = [f"/ai/api/v1/conversations/{each['id']}/messages" for each in kept]
        return [client.get(path).json()["data"][-1]["status"] for path in paths]

    until(lambda: statuses() == ["cancelled"] * 4)
    # And it serves on.
    assert events_of(client.post("/chat", json={"question": "x"}).text)[-1][0] == "finished"


def test_fastapi_answer_that_fails_ends_well(fastapi_client: Any, scripted: Scripted) -> None:
    scripted.push([says("a"), fails("upstream")])
    events = events_of(fastapi_client.post("/chat", json={"question": "x"}).text)
    assert [name for name, _ in events] == ["started", "text", "error"] and events[-1][1]["code"] == "upstream"
    assert "Traceback" not in fastapi_client.program.log.read_text()


def test_fastapi_serves_many_at_once(fastapi_client: Any, scripted: Scripted) -> None:
    client = fastapi_client
    scripted.push(*[[says("a"), waits(2), says("b")]] * 20)
    answers: list[str] = []

    def ask() -> None:
        answers.append(events_of(client.post("/chat", json={"question": "x"}).text)[-1][0])

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: scripted.open_answers == 20)
    for thread in threads:
        thread.join()
    assert answers == ["finished"] * 20


def test_fastapi_stops_with_a_stream_open(fastapi_client: Any, scripted: Scripted) -> None:
    client, program = fastapi_client, fastapi_client.program
    scripted.push([says("a"), hangs()])
    with client.stream("POST", "/chat", json={"question": "x"}) as response:
        lines = response.iter_lines()
        while "event: text" not in next(lines):
            pass
        assert program.stop() < 10
    with SyncEngine.open(f"sqlite:{program.folder / 'fastapi_app.db'}", connections=[]) as engine:
        ann = engine.as_user("acme", "ann")
        last = ann.conversations.messages(ann.conversations.list()[0]["id"])[-1]
        assert last["status"] in ("cancelled", "interrupted") and aimate.text_of(last) == "a"


def test_fastapi_test_client(here: None, scripted: Scripted) -> None:
    """Starlette's own client for tests: the app in the loop of another thread."""
    need("fastapi", "httpx")
    from fastapi.testclient import TestClient

    app = runpy.run_path(str(EXAMPLES / "fastapi_app.py"), run_name="fastapi_app")["create_app"]()
    for _ in range(2):
        with TestClient(app, headers={"authorization": "Bearer ann"}) as client:
            assert events_of(client.post("/chat", json={"question": "x"}).text)[-1][0] == "finished"
            assert client.get("/ai/api/v1/conversations").json()["data"][0]["title"] == "x"


# What is written down


@pytest.mark.parametrize("n", range(4))
def test_frameworks_document_runs(n: int, scripted: Scripted) -> None:
    """Each block of docs/python-frameworks.md runs, with the names of the framework around it."""
    pandas = need("pandas", "fastapi", "langchain_core", "llama_index.core")
    from fastapi import FastAPI
    from langchain_core.language_models import FakeListChatModel
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python-frameworks.md").read_text(), re.S)
    assert len(blocks) == 4
    with scripted.open_sync() as engine:
        engine.knowledge.add_text("manual", MANUAL, collection="docs")
        space: dict[str, Any] = {
            "app": FastAPI(),
            "engine": engine,
            "user_of": lambda scope: None,
            "pd": pandas,
            "RunnablePassthrough": RunnablePassthrough,
            "prompt": ChatPromptTemplate.from_template("{passages} {question}"),
            "model": FakeListChatModel(responses=["In May."]),
            "RetrieverQueryEngine": RetrieverQueryEngine,
            "llm": MockLLM(),
        }
        code = compile(blocks[n], f"block {n}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, space)
        if asyncio.iscoroutine(result):
            asyncio.run(result)
        if "chain" in space:
            assert space["chain"].invoke("When is the boiler serviced?").content == "In May."


# Flask and Django


@pytest.fixture
def flask_url(here: None, scripted: Scripted) -> Iterator[tuple[str, SyncEngine]]:
    """The example on the threads of Flask's own server."""
    need("flask", "httpx")
    from werkzeug.serving import make_server

    app = runpy.run_path(str(EXAMPLES / "flask_app.py"))["create_app"]()
    engine = app.extensions["aimate"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", engine
    server.shutdown()
    thread.join()
    engine.close()


def test_flask_answers_on_many_threads(flask_url: tuple[str, SyncEngine], scripted: Scripted) -> None:
    import httpx

    url, engine = flask_url
    scripted.push(*[[waits(1), says("In May.")]] * 8)
    found: list[Any] = []

    def ask(name: str) -> None:
        response = httpx.post(f"{url}/ask", data={"question": "When?"}, headers={"x-user": name}, timeout=20)
        found.append((name, response.json()))

    threads = [threading.Thread(target=ask, args=(f"u{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: scripted.open_answers == 8)
    for thread in threads:
        thread.join()
    assert [answer["answer"] for _, answer in found] == ["In May."] * 8
    for name, answer in found:
        listed = httpx.get(f"{url}/conversations", headers={"x-user": name}).json()
        assert [each["id"] for each in listed] == [answer["conversation_id"]]
    assert httpx.post(f"{url}/ask", data={"question": "x"}).status_code == 401
    scripted.push([says("a"), fails("upstream")])
    refused = httpx.post(f"{url}/ask", data={"question": "x"}, headers={"x-user": "u1"})
    assert (refused.status_code, refused.json()["code"]) == (502, "upstream")
    refused = httpx.post(f"{url}/ask", data={"question": "x", "conversation_id": "y"}, headers={"x-user": "u1"})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


def test_flask_streams_and_notices_who_leaves(flask_url: tuple[str, SyncEngine], scripted: Scripted) -> None:
    import httpx

    url, engine = flask_url
    asked: Any = {"data": {"question": "x"}, "headers": {"x-user": "ann"}}
    body = httpx.post(f"{url}/stream", **asked).text
    assert [name for name, _ in events_of(body)] == ["started", "text", "text", "finished"]
    scripted.push([says("a"), fails("upstream")])
    assert events_of(httpx.post(f"{url}/stream", **asked).text)[-1][1]["code"] == "upstream"
    wrong: Any = {"data": {"question": ""}, "headers": {"x-user": "ann"}}
    assert httpx.post(f"{url}/stream", **wrong).status_code == 400
    # A thread that writes finds out by writing: the model goes on for a while, not for ever.
    scripted.push([step for n in range(1000) for step in (says(f"{n} "), waits(0.02))])
    with httpx.stream("POST", f"{url}/stream", **asked) as response:
        lines = response.iter_lines()
        while "event: text" not in next(lines):
            pass
    until(lambda: scripted.open_answers == 0 and engine.running == 0)


def test_django_views(scripted: Scripted, model_env: dict[str, str], tmp_path: Path) -> None:
    httpx = need("httpx", "django")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [str(EXAMPLES / "django_view.py"), "runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}"]
    program = Program(arguments, model_env, tmp_path)
    try:
        until(lambda: f":{port}/" in program.log.read_text() or program.process.poll() is not None, 20)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            scripted.push("In May.")
            assert client.post("/ask", data={"question": "When?"}).json()["answer"] == "In May."
            events = events_of(client.post("/stream", data={"question": "x"}).text)
            assert [name for name, _ in events] == ["started", "text", "text", "finished"]
            scripted.push([says("a"), fails("upstream")])
            assert client.post("/ask", data={"question": "x"}).status_code == 502
            assert client.post("/stream", data={"question": ""}).status_code == 400
            scripted.push([step for n in range(1000) for step in (says(f"{n} "), waits(0.02))])
            with client.stream("POST", "/stream", data={"question": "x"}) as response:
                lines = response.iter_lines()
                while "event: text" not in next(lines):
                    pass
            until(lambda: scripted.open_answers == 0)
    finally:
        program.stop()
    assert program.process.returncode in (0, -15), program.log.read_text()
