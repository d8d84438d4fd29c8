"""A LlamaIndex retriever over collections; needs ``llama-index-core``.

>>> from aimate.llama_index import AimateRetriever
>>> retriever = AimateRetriever(engine, collections=["docs"], limit=5)
>>> retriever.retrieve("How do I reset it?")
"""

from __future__ import annotations

from typing import Any, Iterable, List

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from ._views import views

__all__ = ["AimateRetriever"]


class AimateRetriever(BaseRetriever):
    """Finds passages with aiMate's search. ``engine`` is an `Engine`, a `SyncEngine` or what
    `as_user` returns, whichever way the retriever is called."""

    def __init__(
        self,
        engine: Any,
        *,
        collections: Iterable[str] = (),
        limit: int = 5,
        mode: Any = None,
        filter: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._async, self._sync = views(engine)
        self._search: dict[str, Any] = {
            "collections": list(collections),
            "limit": limit,
            "mode": mode,
            "filter": filter,
        }

    def _retrieve(self, query_bundle: QueryBundle) -> List[NodeWithScore]:
        hits = self._sync.knowledge.search(query_bundle.query_str, **self._search)
        return [_node(hit) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> List[NodeWithScore]:
        hits = await self._async.knowledge.search(query_bundle.query_str, **self._search)
        return [_node(hit) for hit in hits]


def _node(hit: Any) -> NodeWithScore:
    names = ("document_id", "collection_id", "title", "page")
    metadata = {name: hit[name] for name in names if hit.get(name) is not None}
    node = TextNode(
        id_=hit["chunk_id"],
        text=hit["text"],
        metadata=metadata,
        start_char_idx=hit["start"],
        end_char_idx=hit["end"],
        # Ids are of no use to an embedding or a model.
        excluded_embed_metadata_keys=list(names),
        excluded_llm_metadata_keys=["document_id", "collection_id"],
    )
    return NodeWithScore(node=node, score=hit["score"])
