"""aiMate beside other libraries: the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aimate.testing import Scripted

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "python"


async def test_langchain_retriever_and_documents(scripted: Scripted) -> None:
    documents = pytest.importorskip("langchain_core.documents")
    from aimate.langchain import AimateRetriever

    async with await scripted.open() as engine:
        page = documents.Document(page_content="The boiler is in the cellar.", metadata={"source": "house.txt", "floor": 0})
        added = await engine.knowledge.add_documents([page], collection="docs")
        assert added[0]["metadata"]["floor"] == 0
        retriever = AimateRetriever(engine=engine, collections=["docs"], limit=3)
        found = await retriever.ainvoke("boiler")
        assert found[0].page_content == page.page_content and found[0].metadata["title"] == "house.txt"
        # The blocking way, on the same engine.
        assert retriever.invoke("boiler") == found
        with pytest.raises(TypeError, match="engine"):
            AimateRetriever(engine=3).invoke("x")


async def test_llama_index_retriever_and_documents(scripted: Scripted) -> None:
    schema = pytest.importorskip("llama_index.core.schema")
    from aimate.llama_index import AimateRetriever

    async with await scripted.open() as engine:
        page = schema.Document(text="The boiler is in the cellar.", metadata={"file_name": "house.txt"})
        added = await engine.knowledge.add_documents([page], collection="docs")
        assert added[0]["name"] == "house.txt"
        retriever = AimateRetriever(engine, collections=["docs"])
        found = await retriever.aretrieve("boiler")
        assert found[0].node.get_content() == "The boiler is in the cellar." and 0 <= found[0].score <= 1
        assert [node.node.node_id for node in retriever.retrieve("boiler")] == [found[0].node.node_id]


def test_pandas_reads_pages(scripted: Scripted) -> None:
    pandas = pytest.importorskip("pandas")
    with scripted.open_sync() as engine:
        engine.knowledge.add_text("a", "The boiler is in the cellar.")
        engine.chat("x").collect()
        hits = pandas.DataFrame(engine.knowledge.search("boiler"))
        assert list(hits["title"]) == ["a"]
        usage = pandas.DataFrame(engine.usage.summarize(group_by=["model", "day"]))
        assert usage["input_tokens"].sum() == 7


def test_flask_view_streams(scripted: Scripted) -> None:
    flask = pytest.importorskip("flask")
    with scripted.open_sync() as engine:
        app = flask.Flask("helpdesk")

        @app.get("/ask")
        def ask() -> Any:
            def pieces() -> Any:
                for event in engine.chat(flask.request.args["question"]):
                    if event["type"] == "text":
                        yield event["text"]

            return flask.Response(flask.stream_with_context(pieces()), mimetype="text/plain")

        assert app.test_client().get("/ask?question=Hello").text == "Hello there"


def test_notebook_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "In May." in printed and "heating" in printed
