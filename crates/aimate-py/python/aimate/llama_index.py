"""aiMate in LlamaIndex: ``pip install llama-index-core``.

>>> from aimate.llama_index import AimateRetriever
>>> retriever = AimateRetriever(engine, collections=["docs"], limit=4)
>>> retriever.retrieve("How do I reset it?")          # or `await retriever.aretrieve(...)`
>>> RetrieverQueryEngine.from_args(retriever, llm=llm).query("How do I reset it?")

Documents go the other way with ``engine.knowledge.add_documents(reader.load_data(), collection="docs")``.
"""

# The package is checked without LlamaIndex as well as with it.
# mypy: disable-error-code="import-not-found,misc,no-any-return,untyped-decorator"
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, List, Literal, Optional, Union

try:
    from llama_index.core.callbacks import CallbackManager
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode
except ImportError as error:
    raise ImportError("aimate.llama_index works with LlamaIndex: `pip install llama-index-core`") from error

from ._searches import asking, blocking, checked, warn

if TYPE_CHECKING:
    from ._async.engine import User
    from ._sync.engine import User as SyncUser
    from .types import SearchHit

__all__ = ["AimateRetriever", "nodes_of"]

# Of use to a program, and noise to a model.
_NOT_SHOWN = ["document_id", "chunk_id", "collection_id", "start", "end", "score"]


class AimateRetriever(BaseRetriever):
    """Finds passages in collections of an engine.

    Each is a ``NodeWithScore``: the node has the chunk's id, its ``SOURCE`` the document's,
    ``start_char_idx`` and ``end_char_idx``, and in ``metadata`` ``document_id``, ``chunk_id``,
    ``collection_id``, ``title``, ``page`` (where the format has pages), ``start``, ``end`` and
    ``score``, from 0 to 1. Models are shown title and page alone.

    Args:
        engine: An `Engine` or `SyncEngine`, or what its ``as_user`` returns. Both ``retrieve``
            and ``aretrieve`` work with each of them.
        collections: Ids or names; all are searched by default.
        limit: How many passages, 1 to 200.
        mode: ``hybrid``, ``vector`` or ``text``.
        filter: On the metadata of documents: ``{"eq": {"field": "team", "value": "a"}}``.
    """

    def __init__(
        self,
        engine: Union[User, SyncUser],
        *,
        collections: Union[str, Iterable[str]] = (),
        limit: int = 10,
        mode: Optional[Literal["hybrid", "vector", "text"]] = None,
        filter: Any = None,
        min_score: Optional[float] = None,
        diversity: Optional[float] = None,
        rerank: Optional[bool] = None,
        callback_manager: Optional[CallbackManager] = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        self._engine = checked(engine)
        self._options: dict[str, Any] = {
            "collections": [collections] if isinstance(collections, str) else list(collections),
            "limit": limit,
            "mode": mode,
            "filter": filter,
            "min_score": min_score,
            "diversity": diversity,
            "rerank": rerank,
        }

    def _retrieve(self, query_bundle: QueryBundle) -> List[NodeWithScore]:
        hits = blocking(self._engine).search(query_bundle.query_str, **self._options)
        warn(hits)
        return nodes_of(hits)

    async def _aretrieve(self, query_bundle: QueryBundle) -> List[NodeWithScore]:
        hits = await asking(self._engine).search(query_bundle.query_str, **self._options)
        warn(hits)
        return nodes_of(hits)


def nodes_of(hits: Iterable[SearchHit]) -> List[NodeWithScore]:
    """Returns passages, as ``knowledge.search`` finds them, as nodes of LlamaIndex."""
    return [NodeWithScore(node=_node(hit), score=hit["score"]) for hit in hits]


def _node(hit: SearchHit) -> TextNode:
    metadata: dict[str, Any] = {
        "title": hit["title"],
        "document_id": hit["document_id"],
        "chunk_id": hit["chunk_id"],
        "collection_id": hit["collection_id"],
        "start": hit["start"],
        "end": hit["end"],
        "score": hit["score"],
    }
    page = hit.get("page")
    if page is not None:
        metadata["page"] = page
    return TextNode(
        id_=hit["chunk_id"],
        text=hit["text"],
        metadata=metadata,
        excluded_llm_metadata_keys=_NOT_SHOWN,
        excluded_embed_metadata_keys=_NOT_SHOWN,
        start_char_idx=hit["start"],
        end_char_idx=hit["end"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=hit["document_id"])},
    )
