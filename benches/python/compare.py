"""aiMate beside LangChain with Chroma and LlamaIndex: the same documents, questions and embedder,
each in a process of its own, all kept on disk.

    pip install aimate langchain-chroma langchain-text-splitters llama-index-core
    python benches/python/compare.py [--documents 300]

The embedder hashes words: it costs each the same, and what is measured is what they do beside it.
It is no model, so `found` says most of all whether a search looks at words too.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import inspect
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

DIMENSIONS = 256
WORDS = "boiler pump valve garden rose meter cellar roof window kitchen heating water pressure month winter".split()


def embed(texts: list[str]) -> list[list[float]]:
    """Hashes words."""
    vectors = []
    for text in texts:
        vector = [0.001] * DIMENSIONS
        for word in text.lower().split():
            vector[_place(word.strip(".,"))] += 1.0
        vectors.append(vector)
    return vectors


_PLACES: dict[str, int] = {}


def _place(word: str) -> int:
    if word not in _PLACES:
        _PLACES[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") % DIMENSIONS
    return _PLACES[word]


def corpus(count: int) -> list[tuple[str, str]]:
    """Documents of some 3,000 characters, each with a word of its own."""
    dice = random.Random(7)
    documents = []
    for n in range(count):
        sentences = [" ".join(dice.choices(WORDS, k=9)).capitalize() + "." for _ in range(45)]
        sentences[dice.randrange(45)] = f"The part unit{n} is changed every {n % 12 + 1} months."
        documents.append((f"manual-{n}.txt", " ".join(sentences)))
    return documents


def questions(count: int) -> list[tuple[str, str]]:
    """Questions, with the document that each is about."""
    dice = random.Random(8)
    return [(f"When is the part unit{n} changed?", f"manual-{n}.txt") for n in dice.choices(range(count), k=100)]


def aimate(documents: list[tuple[str, str]], asked: list[tuple[str, str]], folder: str) -> Any:
    from aimate import SyncEngine

    class Hashed:
        name, dimensions = "hashed", DIMENSIONS

        def embed(self, texts: list[str]) -> list[list[float]]:
            return embed(texts)

    with SyncEngine.open(f"sqlite:{folder}/aimate.db", connections=[], embedder=Hashed()) as engine:
        engine.knowledge.add_documents({"name": name, "text": text} for name, text in documents)
        yield
        for question, _ in asked:
            yield [hit["title"] for hit in engine.knowledge.search(question, limit=5)]


def langchain(documents: list[tuple[str, str]], asked: list[tuple[str, str]], folder: str) -> Any:
    from langchain_chroma import Chroma
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class Hashed(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return embed(texts)

        def embed_query(self, text: str) -> list[float]:
            return embed([text])[0]

    splitter = RecursiveCharacterTextSplitter(chunk_size=1500, chunk_overlap=150)
    store = Chroma("docs", embedding_function=Hashed(), persist_directory=folder)
    pages = [Document(page_content=text, metadata={"source": name}) for name, text in documents]
    chunks = splitter.split_documents(pages)
    for n in range(0, len(chunks), 5_000):
        store.add_documents(chunks[n : n + 5_000])
    yield
    for question, _ in asked:
        yield [hit.metadata["source"] for hit in store.similarity_search(question, k=5)]


def llama_index(documents: list[tuple[str, str]], asked: list[tuple[str, str]], folder: str) -> Any:
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.node_parser import SentenceSplitter

    class Hashed(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return embed([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return embed(texts)

        def _get_query_embedding(self, query: str) -> list[float]:
            return embed([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return embed([query])[0]

    pages = [Document(text=text, metadata={"source": name}) for name, text in documents]
    splitter = SentenceSplitter(chunk_size=400, chunk_overlap=40, tokenizer=str.split)
    index = VectorStoreIndex.from_documents(pages, embed_model=Hashed(), transformations=[splitter])
    index.storage_context.persist(folder)
    retriever = index.as_retriever(similarity_top_k=5)
    yield
    for question, _ in asked:
        yield [hit.node.metadata["source"] for hit in retriever.retrieve(question)]


SYSTEMS = {"aimate": aimate, "langchain": langchain, "llama_index": llama_index}
PACKAGES = {"aimate": ["aimate"], "langchain": ["langchain-chroma", "langchain-text-splitters"], "llama_index": ["llama-index-core"]}


def packages(names: list[str]) -> int:
    """How many packages come with these, themselves included."""
    import re

    found: set[str] = set()
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        names += [re.split(r"[\s;<>=!~\[(]", need)[0] for need in needs if "extra ==" not in need]
    return len(found)


def one(system: str, count: int) -> dict[str, Any]:
    """Runs one of them here."""
    documents, asked = corpus(count), questions(count)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        begun = time.perf_counter()
        steps = SYSTEMS[system](documents, asked, folder)
        next(steps)
        ingested = time.perf_counter() - begun
        took, right = [], 0
        for _, expected in asked:
            begun = time.perf_counter()
            found = next(steps)
            took.append(time.perf_counter() - begun)
            right += expected in found
        steps.close()
    lines = [line for line in inspect.getsource(SYSTEMS[system]).splitlines()[1:] if line.strip()]
    return {
        "ingest, s": round(ingested, 2),
        "search, ms": round(sorted(took)[len(took) // 2] * 1e3, 2),
        "found, %": right * 100 // len(asked),
        "memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "lines": len(lines),
        "packages": packages(PACKAGES[system]),
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--only", choices=SYSTEMS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(one(arguments.only, arguments.documents)))
        return
    rows: dict[str, dict[str, Any]] = {}
    for system in SYSTEMS:
        command = [sys.executable, __file__, "--only", system, "--documents", str(arguments.documents)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"{system}: did not run: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            continue
        rows[system] = json.loads(done.stdout.splitlines()[-1])
    names = list(next(iter(rows.values())))
    print("| |", " | ".join(names), "|")
    print("|---|", "|".join("--:" for _ in names), "|", sep="")
    for system, row in rows.items():
        print(f"| {system} |", " | ".join(str(row[name]) for name in names), "|")


if __name__ == "__main__":
    main()
