"""The vector stores of other frameworks on the same PostgreSQL and vectors.

Run by `cargo xtask bench`; says one line of JSON. Each store is used as its
documentation shows, without a vector index, which is how each is set up where
nobody says otherwise: a search for vectors is exact.
"""

import argparse
import json
import math
import time
import uuid
from pathlib import Path

import numpy
import psycopg
from sqlalchemy.engine import make_url

# Rows that are added through the store's own interface at a time.
BATCH = 500
HITS = 10
DEPTH = 100


class Data:
    """What the Rust side wrote."""

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / "questions.json").read_text())
        self.dimensions = about["dimensions"]
        self.of_document = about["of_document"]
        self.buckets = about["buckets"]
        self.kept = about["kept"]
        self.questions = about["questions"]
        self.texts = json.loads((folder / "texts.json").read_text())
        self.vectors = numpy.fromfile(folder / "vectors.f32", "<f4").reshape(-1, self.dimensions)
        self.queries = numpy.fromfile(folder / "queries.f32", "<f4").reshape(-1, self.dimensions)

    def bucket(self, chunk: int) -> int:
        return chunk // self.of_document % self.buckets


def vector_text(vector: numpy.ndarray) -> str:
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


class LangChainPGVector:
    title = "LangChain PGVector"
    hybrid = False

    def __init__(self, url, data: Data) -> None:
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_postgres import PGVector

        self.data = data
        self.store = PGVector(
            embeddings=DeterministicFakeEmbedding(size=data.dimensions),
            collection_name="bench",
            connection=url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False),
            embedding_length=data.dimensions,
            use_jsonb=True,
        )

    def add(self, chunks: range) -> None:
        self.store.add_embeddings(
            texts=[self.data.texts[chunk] for chunk in chunks],
            embeddings=[self.data.vectors[chunk].tolist() for chunk in chunks],
            metadatas=[{"bucket": self.data.bucket(chunk)} for chunk in chunks],
            ids=[str(chunk) for chunk in chunks],
        )

    def load(self, connection, chunks: range) -> None:
        row = connection.execute("SELECT uuid FROM langchain_pg_collection").fetchone()
        columns = "(id, collection_id, embedding, document, cmetadata)"
        with connection.cursor().copy(f"COPY langchain_pg_embedding {columns} FROM STDIN") as copy:
            for chunk in chunks:
                metadata = json.dumps({"bucket": self.data.bucket(chunk)})
                vector = vector_text(self.data.vectors[chunk])
                copy.write_row((str(chunk), row[0], vector, self.data.texts[chunk], metadata))

    def search(self, query: list[float], text: str, filtered: bool, hybrid: bool) -> list[int]:
        keep = {"bucket": {"$eq": self.data.kept}} if filtered else None
        found = self.store.similarity_search_by_vector(query, k=HITS, filter=keep)
        return [int(document.id) for document in found]


class LangChainPGVectorStore:
    title = "LangChain PGVectorStore"
    hybrid = True

    def __init__(self, url, data: Data) -> None:
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_postgres import Column, PGEngine, PGVectorStore
        from langchain_postgres.v2.hybrid_search_config import HybridSearchConfig

        self.data = data
        self.config = lambda words: HybridSearchConfig(
            tsv_column="content_tsv", fts_query=words, primary_top_k=DEPTH, secondary_top_k=DEPTH
        )
        engine = PGEngine.from_connection_string(url.set(drivername="postgresql+asyncpg"))
        engine.init_vectorstore_table(
            "langchain_store",
            data.dimensions,
            metadata_columns=[Column("bucket", "INTEGER")],
            hybrid_search_config=self.config(""),
        )
        self.store = PGVectorStore.create_sync(
            engine,
            DeterministicFakeEmbedding(size=data.dimensions),
            "langchain_store",
            metadata_columns=["bucket"],
            hybrid_search_config=self.config(""),
        )

    def add(self, chunks: range) -> None:
        self.store.add_embeddings(
            texts=[self.data.texts[chunk] for chunk in chunks],
            embeddings=[self.data.vectors[chunk].tolist() for chunk in chunks],
            metadatas=[{"bucket": self.data.bucket(chunk)} for chunk in chunks],
            ids=[str(uuid.UUID(int=chunk)) for chunk in chunks],
        )

    def load(self, connection, chunks: range) -> None:
        connection.execute(
            "CREATE TEMP TABLE rest (id uuid, content text, embedding vector, bucket int)"
        )
        with connection.cursor().copy("COPY rest FROM STDIN") as copy:
            for chunk in chunks:
                vector = vector_text(self.data.vectors[chunk])
                copy.write_row(
                    (uuid.UUID(int=chunk), self.data.texts[chunk], vector, self.data.bucket(chunk))
                )
        connection.execute(
            "INSERT INTO langchain_store (langchain_id, content, embedding, content_tsv, bucket)"
            " SELECT id, content, embedding, to_tsvector('pg_catalog.english', content), bucket FROM rest"
        )

    def finish(self) -> None:
        # Its documentation says to make this index for hybrid search.
        self.store.apply_hybrid_search_index()

    def search(self, query: list[float], text: str, filtered: bool, hybrid: bool) -> list[int]:
        found = self.store.similarity_search_by_vector(
            query,
            k=HITS,
            filter={"bucket": self.data.kept} if filtered else None,
            hybrid_search_config=self.config(text) if hybrid else None,
        )
        return [uuid.UUID(str(document.id)).int for document in found]


class LlamaIndexPGVectorStore:
    title = "LlamaIndex PGVectorStore (hybrid_search)"
    hybrid = True

    def __init__(self, url, data: Data) -> None:
        from llama_index.vector_stores.postgres import PGVectorStore

        self.data = data
        self.store = PGVectorStore.from_params(
            connection_string=url.set(drivername="postgresql+psycopg2"),
            async_connection_string=url.set(drivername="postgresql+asyncpg"),
            table_name="llamaindex",
            embed_dim=data.dimensions,
            hybrid_search=True,
            text_search_config="english",
            use_jsonb=True,
        )

    def node(self, chunk: int):
        from llama_index.core.schema import TextNode

        return TextNode(
            id_=str(chunk),
            text=self.data.texts[chunk],
            metadata={"bucket": self.data.bucket(chunk)},
            embedding=self.data.vectors[chunk].tolist(),
        )

    def add(self, chunks: range) -> None:
        self.store.add([self.node(chunk) for chunk in chunks])

    def load(self, connection, chunks: range) -> None:
        from llama_index.core.vector_stores.utils import node_to_metadata_dict

        columns = "(text, metadata_, node_id, embedding)"
        with connection.cursor().copy(f"COPY data_llamaindex {columns} FROM STDIN") as copy:
            for chunk in chunks:
                node = self.node(chunk)
                metadata = node_to_metadata_dict(
                    node, remove_text=True, flat_metadata=self.store.flat_metadata
                )
                vector = vector_text(self.data.vectors[chunk])
                copy.write_row((node.text, json.dumps(metadata), node.node_id, vector))

    def search(self, query: list[float], text: str, filtered: bool, hybrid: bool) -> list[int]:
        from llama_index.core.vector_stores.types import (
            MetadataFilter,
            MetadataFilters,
            VectorStoreQuery,
            VectorStoreQueryMode,
        )

        keep = MetadataFilters(filters=[MetadataFilter(key="bucket", value=self.data.kept)])
        asked = VectorStoreQuery(
            query_embedding=query,
            similarity_top_k=HITS,
            query_str=text,
            mode=VectorStoreQueryMode.HYBRID if hybrid else VectorStoreQueryMode.DEFAULT,
            filters=keep if filtered else None,
        )
        if hybrid:
            asked.similarity_top_k = DEPTH
            asked.sparse_top_k = DEPTH
        return [int(node_id) for node_id in self.store.query(asked).ids]


def fill(store, data: Data, url, most: int, seconds: float) -> tuple[int, float]:
    """Adds rows through the store's interface for a while, the rest by COPY."""
    added, begun = 0, time.perf_counter()
    while added < min(most, len(data.texts)) and time.perf_counter() - begun < seconds:
        until = min(added + BATCH, len(data.texts))
        store.add(range(added, until))
        added = until
    time_taken = time.perf_counter() - begun
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        if added < len(data.texts):
            store.load(connection, range(added, len(data.texts)))
    if hasattr(store, "finish"):
        store.finish()
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return added, time_taken


def share(times: list[float], at: float) -> float:
    return times[round((len(times) - 1) * at)] * 1e3


def measure(store, data: Data, filtered: bool, hybrid: bool, seconds: float) -> dict:
    times, right, wanted = [], 0, 0

    def ask(number: int) -> tuple[float, list[int]]:
        query = data.queries[number].tolist()
        before = time.perf_counter()
        found = store.search(query, data.questions[number]["text"], filtered, hybrid)
        return time.perf_counter() - before, found

    begun = time.perf_counter()
    # As the Rust side warms up.
    for number in range(max(1, len(data.questions) // 20)):
        ask(number)
        if time.perf_counter() - begun > seconds / 4:
            break
    for number, question in enumerate(data.questions):
        taken, found = ask(number)
        times.append(taken)
        truth = question["filtered_truth" if filtered else "truth"]
        right += len(set(truth) & set(found[:HITS]))
        wanted += len(truth)
        if time.perf_counter() - begun > seconds and len(times) >= 10:
            break
    times.sort()
    return {
        "hybrid": hybrid,
        "filtered": filtered,
        "p50": share(times, 0.5),
        "p95": share(times, 0.95),
        "p99": share(times, 0.99),
        "recall": None if hybrid else right / max(1, wanted),
        "count": len(times),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True, help="URL of an empty database")
    parser.add_argument("--data", required=True, type=Path, help="folder that the Rust side wrote")
    parser.add_argument("--rows", type=int, default=5_000, help="added through each store's interface")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement at most")
    arguments = parser.parse_args()
    # Not every driver knows libpq's options.
    url = make_url(arguments.database).set(query={})
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    data = Data(arguments.data)
    stores = []
    for kind in (LangChainPGVector, LangChainPGVectorStore, LlamaIndexPGVectorStore):
        said = {"title": kind.title}
        try:
            store = kind(url, data)
            rows, seconds = fill(store, data, url, arguments.rows, 6 * arguments.seconds)
            said["rows"] = rows
            said["rows_per_second"] = rows / seconds
            said["searches"] = [
                measure(store, data, filtered, hybrid, arguments.seconds)
                for hybrid in ([False, True] if kind.hybrid else [False])
                for filtered in (False, True)
            ]
        except Exception as error:  # noqa: BLE001 - the others may still tell something
            said["error"] = f"{type(error).__name__}: {error}"[:300].replace("\n", " ").replace("|", "/")
        stores.append(said)
    if any(isinstance(value, float) and math.isnan(value) for said in stores for value in said.values()):
        raise SystemExit("a figure is no number")
    print(json.dumps({"stores": stores}))


main()
