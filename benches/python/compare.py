"""aiMate beside LangChain with Chroma and LlamaIndex: the same documents, questions and vectors.

    python benches/python/compare.py --aimate PATH        # a wheel, or the folder of the package
    python benches/python/compare.py --aimate PATH --corpus FOLDER

Each runs in a process and an environment of its own (`--venvs`, made by pip where they are not
there), does what its documentation shows, and keeps what it made on disk. All take their vectors
from the same embedder, which hashes words: no model is needed, and no time goes into one. `FOLDER`
is a set of BEIR's shape (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv`); by default documents are
made by a generator with a fixed seed.

Lines are those of the functions below, which is what a user writes; `packages` and `MB` are what
pip installs; `of it embedding` is the time of the embedder, the same work for all; `memory` is the
peak of the process less what Python has when it starts.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, Callable, Iterable

PACKAGES = {
    "aimate": [],
    "langchain": ["langchain-chroma==1.1.0", "langchain-text-splitters==1.1.3"],
    "llama_index": ["llama-index-core==0.14.25"],
}
DIMENSIONS = 256
HITS = 10
WORD = re.compile(r"\w+")


class Hashing:
    """A vector for each text: words fall on dimensions by their hash."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def vectors(self, texts: Iterable[str]) -> list[list[float]]:
        begun = time.perf_counter()
        found = [self._vector(text) for text in texts]
        self.seconds += time.perf_counter() - begun
        return found

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * DIMENSIONS
        for word in WORD.findall(text.lower()):
            hash = zlib.crc32(word.encode())
            vector[hash % DIMENSIONS] += 1.0 if hash & 0x10000 else -1.0
        length = math.sqrt(sum(number * number for number in vector)) or 1.0
        return [number / length for number in vector]


Documents = list[tuple[str, str]]
Search = Callable[[str], list[str]]


def use_aimate(documents: Documents, folder: str, hashing: Hashing, mode: Any = None) -> Search:
    import aimate

    class Embedder:
        dimensions = DIMENSIONS

        def embed(self, texts: list[str]) -> list[list[float]]:
            return hashing.vectors(texts)

    engine = aimate.SyncEngine.open(data_dir=folder, connections=[], embedder=Embedder())
    engine.knowledge.add_documents([{"name": id, "text": text, "source": id} for id, text in documents], collection="docs")

    def search(question: str) -> list[str]:
        return [hit["title"] for hit in engine.knowledge.search(question, collections=["docs"], limit=HITS, mode=mode)]

    return search


def use_langchain(documents: Documents, folder: str, hashing: Hashing) -> Search:
    from langchain_chroma import Chroma
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class Embedder(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return hashing.vectors(texts)

        def embed_query(self, text: str) -> list[float]:
            return hashing.vectors([text])[0]

    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    chunks = splitter.split_documents([Document(text, metadata={"source": id}) for id, text in documents])
    store = Chroma("docs", Embedder(), persist_directory=folder, collection_metadata={"hnsw:space": "cosine"})
    # Chroma takes so many at a time.
    for start in range(0, len(chunks), 5000):
        store.add_documents(chunks[start : start + 5000])

    def search(question: str) -> list[str]:
        return [document.metadata["source"] for document in store.similarity_search(question, k=HITS)]

    return search


def use_llama_index(documents: Documents, folder: str, hashing: Hashing) -> Search:
    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding

    class Embedder(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return hashing.vectors([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return hashing.vectors([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    index = VectorStoreIndex.from_documents([Document(text=text, id_=id) for id, text in documents], embed_model=Embedder())
    index.storage_context.persist(folder)
    retriever = index.as_retriever(similarity_top_k=HITS)

    def search(question: str) -> list[str]:
        return [str(hit.node.ref_doc_id) for hit in retriever.retrieve(question)]

    return search


USES: dict[str, tuple[str, str, Callable[..., Search], dict[str, Any]]] = {
    "aimate": ("aiMate, by words and vectors", "aimate", use_aimate, {}),
    "aimate-vector": ("aiMate, by vectors alone", "aimate", use_aimate, {"mode": "vector"}),
    "langchain": ("LangChain with Chroma", "langchain", use_langchain, {}),
    "llama_index": ("LlamaIndex", "llama_index", use_llama_index, {}),
}


class Data:
    """Documents, questions, and which documents answer each."""

    def __init__(self, documents: Documents, questions: dict[str, str], answers: dict[str, dict[str, int]]) -> None:
        self.documents = documents
        self.questions = questions
        self.answers = answers


def generated(count: int) -> Data:
    """Returns documents of some thousand characters; each question is about one machine of one."""
    random_ = random.Random(13)
    syllables = ["ba", "ker", "lo", "min", "tu", "ras", "vel", "qua", "zen", "pho", "dri", "sto", "ga", "ul", "wen", "nim"]
    words = ["".join(random_.choices(syllables, k=random_.randint(1, 4))) for _ in range(4000)]
    # Few words are frequent, as in any language.
    weights = [1.0 / (rank + 2) for rank in range(len(words))]
    documents, questions, answers = [], {}, {}
    for n in range(count):
        sentences = [" ".join(random_.choices(words, weights, k=random_.randint(6, 16))).capitalize() + "." for _ in range(30)]
        machine, place = (" ".join(random_.choices(words[500:], k=2)) for _ in range(2))
        sentences.insert(random_.randint(0, len(sentences)), f"The {machine} stands in the {place} and is serviced in May.")
        paragraphs = [" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6)]
        documents.append((f"d{n}", "\n\n".join(paragraphs)))
        if n % max(1, count // 200) == 0:
            questions[f"q{n}"] = f"Where does the {machine} stand?"
            answers[f"q{n}"] = {f"d{n}": 1}
    return Data(documents, questions, answers)


def read(folder: Path) -> Data:
    """Returns a set of BEIR's shape."""

    def rows(name: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (folder / name).read_text().splitlines()]

    documents = [(row["_id"], f"{row.get('title', '')}\n\n{row['text']}".strip()) for row in rows("corpus.jsonl")]
    answers: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        question, document, score = line.split("\t")
        answers.setdefault(question, {})[document] = int(score)
    questions = {row["_id"]: row["text"] for row in rows("queries.jsonl") if row["_id"] in answers}
    return Data([(id, text) for id, text in documents if text], questions, answers)


def ndcg(found: list[str], relevant: dict[str, int]) -> float:
    """Returns nDCG@10 over documents: of several passages of one, the first counts."""
    gains = [relevant.get(id, 0) for id in dict.fromkeys(found)]
    best = sorted(relevant.values(), reverse=True)[:10]
    return _sum(gains) / (_sum(best) or 1.0)


def _sum(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def measure(name: str, data: Data, folder: Path) -> dict[str, Any]:
    """Does the work of one, in this process."""
    _, _, use, options = USES[name]
    hashing = Hashing()
    before = _peak()
    begun = time.perf_counter()
    search = use(data.documents, str(folder), hashing, **options)
    ingest, embedding = time.perf_counter() - begun, hashing.seconds
    kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    times, scores = [], []
    for id, question in data.questions.items():
        begun = time.perf_counter()
        found = search(question)
        times.append(time.perf_counter() - begun)
        scores.append(ndcg(found, data.answers[id]))
    times.sort()
    return {
        "ingest": ingest,
        "embedding": embedding,
        "search_p50": times[len(times) // 2],
        "search_p95": times[len(times) * 95 // 100],
        "ndcg": sum(scores) / len(scores),
        "memory": _peak() - before,
        "kept": kept,
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lines(use: Callable[..., Search]) -> int:
    """Returns how many lines of code a function has, without comments and what is blank."""
    code = [line.strip() for line in inspect.getsource(use).splitlines()[1:]]
    return sum(1 for line in code if line and not line.startswith("#"))


def environment(venvs: Path, name: str, aimate: Path) -> tuple[Path, int, float]:
    """Returns the Python of an environment with a contender's packages, their number and MB."""
    folder = venvs / name
    python = folder / "bin" / "python"
    is_wheel = name == "aimate" and aimate.suffix == ".whl"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        if is_wheel or PACKAGES[name]:
            what = [str(aimate)] if is_wheel else PACKAGES[name]
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what], check=True)
    code = (
        "import importlib.metadata as m, json, sysconfig\n"
        "print(json.dumps([sorted({d.name.lower() for d in m.distributions()} - {'pip', 'setuptools'}), sysconfig.get_path('purelib')]))"
    )
    packages, site = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)
    own = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}
    parts = [path for path in Path(site).iterdir() if path.name.split("-")[0] not in own]
    if name == "aimate" and not is_wheel:
        packages, parts = ["aimate"], [aimate / "aimate"]
    files = (path for part in parts for path in ([part] if part.is_file() else part.rglob("*")) if path.is_file())
    return python, len(packages), sum(path.stat().st_size for path in files if path.suffix != ".pyc") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--aimate", type=Path, help="a wheel, or the folder that `aimate` is in")
    parser.add_argument("--corpus", type=Path, help="a folder of BEIR's shape")
    parser.add_argument("--documents", type=int, default=1000, help="how many to generate")
    parser.add_argument("--venvs", type=Path, default=Path("target/compare-python"))
    parser.add_argument("--measure", choices=USES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data = read(arguments.corpus) if arguments.corpus else generated(arguments.documents)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, data, arguments.folder)))
        return
    if arguments.aimate is None:
        parser.error("--aimate: is missing")
    arguments.venvs.mkdir(parents=True, exist_ok=True)

    size = sum(len(text) for _, text in data.documents)
    where = arguments.corpus.name if arguments.corpus else "generated"
    print(f"{where}: {len(data.documents)} documents of {size / 1e6:.1f} million characters, {len(data.questions)} questions;")
    print(f"aimate is {arguments.aimate.name}; Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    head = ["", "lines", "packages", "MB", "ingest", "of it embedding", "search p50", "p95", "nDCG@10", "memory", "on disk"]
    print("| " + " | ".join(head) + " |\n|---" + "|--:" * (len(head) - 1) + "|")
    for name, (title, packages, use, _) in USES.items():
        python, count, megabytes = environment(arguments.venvs.absolute(), packages, arguments.aimate.absolute())
        env = dict(os.environ, ANONYMIZED_TELEMETRY="False")
        if packages == "aimate" and arguments.aimate.suffix != ".whl":
            env["PYTHONPATH"] = str(arguments.aimate.absolute())
        command: list[str | Path] = [python, __file__, "--measure", name, "--documents", str(arguments.documents)]
        command += ["--corpus", arguments.corpus] if arguments.corpus else []
        # Beside the environments and not in a temporary folder, which may be in memory.
        with tempfile.TemporaryDirectory(dir=arguments.venvs) as folder:
            ended = subprocess.run([*command, "--folder", folder], env=env, stdout=subprocess.PIPE, text=True)
        if ended.returncode != 0:
            print(f"| {title} | failed |")
            continue
        found = json.loads(ended.stdout.splitlines()[-1])
        row = [
            title,
            lines(use),
            count,
            f"{megabytes:.0f}",
            f"{found['ingest']:.1f} s",
            f"{found['embedding']:.1f} s",
            f"{found['search_p50'] * 1000:.1f} ms",
            f"{found['search_p95'] * 1000:.1f} ms",
            f"{found['ndcg']:.3f}",
            f"{found['memory'] / 1e6:.0f} MB",
            f"{found['kept'] / 1e6:.0f} MB",
        ]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
