"""A LangChain retriever over collections; needs ``langchain-core``.

>>> from aimate.langchain import AimateRetriever
>>> retriever = AimateRetriever(engine=engine, collections=["docs"], limit=5)
>>> retriever.invoke("How do I reset it?")
"""

from __future__ import annotations

from typing import Any, List, Optional

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from ._views import views

__all__ = ["AimateRetriever"]


class AimateRetriever(BaseRetriever):
    """Finds passages with aiMate's search. ``engine`` is an `Engine`, a `SyncEngine` or what
    `as_user` returns, whichever way the retriever is called."""

    engine: Any
    """Who is asked."""
    collections: List[str] = []
    """The collections, by id or name; without any, all."""
    limit: int = 5
    """Passages at most, 1 to 200."""
    mode: Optional[str] = None
    """``hybrid`` (the default), ``vector`` or ``text``."""
    filter: Any = None
    """Conditions on the documents."""

    def _options(self) -> dict[str, Any]:
        return {"collections": self.collections, "limit": self.limit, "mode": self.mode, "filter": self.filter}

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> List[Document]:
        hits = views(self.engine)[1].knowledge.search(query, **self._options())
        return [_document(hit) for hit in hits]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> List[Document]:
        hits = await views(self.engine)[0].knowledge.search(query, **self._options())
        return [_document(hit) for hit in hits]


def _document(hit: Any) -> Document:
    names = ("document_id", "collection_id", "title", "page", "start", "end", "score")
    metadata = {name: hit[name] for name in names if hit.get(name) is not None}
    return Document(id=hit["chunk_id"], page_content=hit["text"], metadata=metadata)
