"""aiMate in LangChain: ``pip install langchain-core``.

>>> from aimate.langchain import AimateAnswer, AimateRetriever
>>> retriever = AimateRetriever(engine=engine, collections=["docs"], limit=4)
>>> retriever.invoke("How do I reset it?")            # or `await retriever.ainvoke(...)`
>>> chain = {"passages": retriever} | prompt | model
>>> answer = AimateAnswer(engine, knowledge=["docs"])  # a chain's last step, answered by aiMate

Documents go the other way with ``engine.knowledge.add_documents(loader.load(), collection="docs")``.
"""

# The package is checked without LangChain as well as with it.
# mypy: disable-error-code="import-not-found,misc,no-any-return,untyped-decorator"
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AsyncIterator, Iterable, Iterator, List, Literal, Mapping, Optional, Union

try:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import Runnable, RunnableConfig
except ImportError as error:
    raise ImportError("aimate.langchain works with LangChain: `pip install langchain-core`") from error

from pydantic import Field, field_validator

from ._async.chat import Chat
from ._async.engine import User
from ._searches import asking, blocking, checked, warn
from ._sync.chat import Chat as SyncChat
from ._sync.engine import User as SyncUser

if TYPE_CHECKING:
    from .types import SearchHit

__all__ = ["AimateAnswer", "AimateRetriever", "documents_of"]


class AimateRetriever(BaseRetriever):
    """Finds passages in collections of an engine.

    Each is a ``Document`` whose ``id`` is the chunk's and whose ``metadata`` has
    ``document_id``, ``chunk_id``, ``collection_id``, ``title``, ``page`` (``None`` where the
    format has none), ``start`` and ``end`` (characters of the document's text) and ``score``,
    from 0 to 1; ``source`` is the title again, where chains of LangChain look for it.

    What is given to ``invoke`` goes before the retriever's own: ``invoke(question, limit=2)``.
    """

    engine: Union[User, SyncUser] = Field(exclude=True)
    """An `Engine` or `SyncEngine`, or what its ``as_user`` returns. Both ``invoke`` and
    ``ainvoke`` work with each of them."""
    collections: Union[str, List[str], None] = None
    """Ids or names; all are searched by default."""
    limit: int = 10
    """How many passages, 1 to 200."""
    mode: Optional[Literal["hybrid", "vector", "text"]] = None
    filter: Any = None
    """On the metadata of documents: ``{"eq": {"field": "team", "value": "a"}}``; also ``in``,
    ``range``, ``contains``, ``exists``, and ``and``, ``or`` and ``not`` of them."""
    min_score: Optional[float] = None
    diversity: Optional[float] = None
    rerank: Optional[bool] = None

    @field_validator("engine", mode="before")
    @classmethod
    def _any_engine(cls, engine: Any) -> Any:
        return checked(engine)

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        names = ("collections", "limit", "mode", "filter", "min_score", "diversity", "rerank")
        unknown = [name for name in given if name not in names]
        if unknown:
            raise TypeError(f"invoke: has no argument `{unknown[0]}`; there are {', '.join(names)}")
        options = {name: getattr(self, name) for name in names}
        options.update(given)
        options["collections"] = options["collections"] or ()
        return options

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> List[Document]:
        hits = blocking(self.engine).search(query, **self._options(options))
        warn(hits)
        return documents_of(hits)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> List[Document]:
        hits = await asking(self.engine).search(query, **self._options(options))
        warn(hits)
        return documents_of(hits)


def documents_of(hits: Iterable[SearchHit]) -> List[Document]:
    """Returns passages, as ``knowledge.search`` finds them, as documents of LangChain."""
    return [
        Document(
            id=hit["chunk_id"],
            page_content=hit["text"],
            metadata={
                "document_id": hit["document_id"],
                "chunk_id": hit["chunk_id"],
                "collection_id": hit["collection_id"],
                "title": hit["title"],
                "source": hit["title"],
                "page": hit.get("page"),
                "start": hit["start"],
                "end": hit["end"],
                "score": hit["score"],
            },
        )
        for hit in hits
    ]


class AimateAnswer(Runnable[Any, str]):
    """Answers a question as ``engine.chat`` does, as a step of a chain: what comes in is a text, or
    the value of a prompt; what goes out is the answer's text, streamed by ``stream`` and
    ``astream``. Leaving a stream cancels its run.

    ``options`` are those of ``chat``, such as ``model``, ``knowledge`` and ``tools``. The turns
    of a chain begin a conversation each, unless ``conversation_id`` is among them.
    """

    def __init__(self, engine: Union[User, SyncUser], **options: Any) -> None:
        self.engine = engine
        self.options = options

    def invoke(self, input: Any, config: Optional[RunnableConfig] = None, **kwargs: Any) -> str:
        """Answers."""
        return self._call_with_config(lambda question: "".join(self._texts(question, kwargs)), input, config)

    async def ainvoke(self, input: Any, config: Optional[RunnableConfig] = None, **kwargs: Any) -> str:
        """Answers."""

        async def answer(question: Any) -> str:
            return "".join([text async for text in self._atexts(question, kwargs)])

        return await self._acall_with_config(answer, input, config)

    def stream(self, input: Any, config: Optional[RunnableConfig] = None, **kwargs: Any) -> Iterator[str]:
        """Answers piece by piece."""

        def pieces(inputs: Iterator[Any]) -> Iterator[str]:
            for question in inputs:
                yield from self._texts(question, kwargs)

        yield from self._transform_stream_with_config(iter([input]), pieces, config)

    async def astream(self, input: Any, config: Optional[RunnableConfig] = None, **kwargs: Any) -> AsyncIterator[str]:
        """Answers piece by piece."""

        async def once() -> AsyncIterator[Any]:
            yield input

        async def pieces(inputs: AsyncIterator[Any]) -> AsyncIterator[str]:
            async for question in inputs:
                async for text in self._atexts(question, kwargs):
                    yield text

        async for text in self._atransform_stream_with_config(once(), pieces, config):
            yield text

    def _texts(self, question: Any, given: Mapping[str, Any]) -> Iterator[str]:
        user = SyncUser(self.engine._caller)
        chat: SyncChat = user.chat(_question(question), **{**self.options, **given})
        with chat:
            for event in chat:
                if event["type"] == "text":
                    yield event["text"]

    async def _atexts(self, question: Any, given: Mapping[str, Any]) -> AsyncIterator[str]:
        user = User(self.engine._caller)
        chat: Chat = user.chat(_question(question), **{**self.options, **given})
        async with chat:
            async for event in chat:
                if event["type"] == "text":
                    yield event["text"]


def _question(value: Any) -> Any:
    if hasattr(value, "to_string"):  # what a prompt makes
        return value.to_string()
    return value


