# Made by tools/make_sync.py out of aimate/_async; change that instead.
"""Documents and search."""

from __future__ import annotations

import builtins
import os
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping, cast

from .. import _bridge_sync as _bridge
from .._calls import UNSET, Page, Unset, given, query, quoted, some
from .._documents import all_added, all_fields
from ..errors import of_document
from .chat import Progress
from .groups import Group

if TYPE_CHECKING:
    from .. import types


class Collections(Group):
    """Collections of documents."""

    def list(
        self, *, workspace_id: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.Collection]:
        """Returns a page, newest first."""
        path = query(workspace_id=workspace_id, limit=limit, cursor=cursor)
        return self._page("/api/v1/knowledge/collections" + path)

    def create(
        self,
        name: str,
        *,
        description: str | None = None,
        embedder: str | None = None,
        chunking: types.Chunking | None = None,
        shared: bool | None = None,
        workspace_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> types.Collection:
        """Makes one. ``embedder`` is ``local/NAME``, ``none`` (search by words alone) or
        ``CONNECTION/MODEL``; by default the engine's."""
        body = some(
            name=name,
            description=description,
            embedder=embedder,
            chunking=chunking,
            shared=shared,
            workspace_id=workspace_id,
            metadata=metadata,
        )
        return cast("types.Collection", self._ask("POST", "/api/v1/knowledge/collections", body))

    def get(self, id_or_name: str) -> types.Collection:
        """Returns one by its id or name."""
        pending = self._caller.native.collection(self._caller.who, id_or_name, False)
        return cast("types.Collection", _bridge.run(pending))

    def get_or_create(self, name: str) -> types.Collection:
        """Returns the one of this id or name, made if there is none."""
        pending = self._caller.native.collection(self._caller.who, name, True)
        return cast("types.Collection", _bridge.run(pending))

    def update(
        self,
        id: str,
        *,
        name: str | Unset = UNSET,
        description: str | Unset = UNSET,
        embedder: str | Unset = UNSET,
        chunking: types.Chunking | Unset = UNSET,
        workspace_id: str | None | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset = UNSET,
    ) -> types.Collection:
        """Changes what is given. Another embedder's vectors are made in the background."""
        body = given(
            name=name,
            description=description,
            embedder=embedder,
            chunking=chunking,
            workspace_id=workspace_id,
            metadata=metadata,
        )
        path = f"/api/v1/knowledge/collections/{quoted(id)}"
        return cast("types.Collection", self._ask("PATCH", path, body))

    def delete(self, id: str) -> None:
        """Deletes it with its documents."""
        self._ask("DELETE", f"/api/v1/knowledge/collections/{quoted(id)}")

    def spaces(self, id: str) -> Page[types.EmbeddingSpace]:
        """Returns its vectors' spaces: the active one, one being built, former ones."""
        return self._page(f"/api/v1/knowledge/collections/{quoted(id)}/spaces")


class Knowledge(Group):
    """Documents, and the search for passages in them."""

    @property
    def collections(self) -> Collections:
        """The collections that documents are in."""
        return Collections(self._caller)

    def add_file(
        self,
        path: str | os.PathLike[str],
        *,
        collection: str = "default",
        name: str | None = None,
        media_type: str | None = None,
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        wait: bool = True,
    ) -> types.Document:
        """Adds a file of at most 1 GiB, and waits until it can be found.

        ``collection`` is an id or a name; one that is not there is made. A collection has one
        document of a ``source``: the same again replaces it. With ``wait=False`` the document
        comes back ``pending``; `progress` follows it.

        Raises `NotFoundError` if there is no such file, `UnsupportedError` for a format that
        is not read, `InvalidError` for what lies in the document (``reason`` is ``encrypted``,
        ``damaged``, ``no_text`` or another word), and what else made it fail.
        """
        path = os.fspath(path)
        new = some(
            name=os.path.basename(path) if name is None else name,
            media_type=media_type,
            source=source,
            metadata=metadata,
        )
        pending = self._caller.native.add_file(self._caller.who, collection, path, new)
        return self._added(_bridge.run(pending), wait)

    def add_bytes(
        self,
        name: str,
        content: bytes,
        *,
        collection: str = "default",
        media_type: str | None = None,
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        wait: bool = True,
    ) -> types.Document:
        """Adds what a file would hold; see `add_file`."""
        new = some(name=name, media_type=media_type, source=source, metadata=metadata)
        pending = self._caller.native.add_bytes(self._caller.who, collection, content, new)
        return self._added(_bridge.run(pending), wait)

    def add_text(
        self,
        name: str,
        text: str,
        *,
        collection: str = "default",
        media_type: str | None = None,
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        wait: bool = True,
    ) -> types.Document:
        """Adds a text, read as Markdown unless ``media_type`` says otherwise; see `add_file`."""
        body = some(name=name, text=text, media_type=media_type, source=source, metadata=metadata)
        return self._add(collection, body, wait)

    def add_url(
        self,
        url: str,
        *,
        collection: str = "default",
        name: str | None = None,
        source: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        wait: bool = True,
    ) -> types.Document:
        """Fetches a page and adds it. A private address needs ``allow_private`` of `SyncEngine.open`."""
        body = some(url=url, name=name, source=source, metadata=metadata)
        return self._add(collection, body, wait)

    def add_documents(
        self, documents: Iterable[Any], *, collection: str = "default", wait: bool = True
    ) -> builtins.list[types.Document]:
        """Adds documents of LangChain or LlamaIndex, or dicts of `add_text`'s and `add_url`'s
        arguments, several beside each other, and returns them in their order.

        Their metadata becomes the documents'; a ``source`` in it, or their id, their source. Those
        that a splitter made of one source are documents of their own: ``SOURCE``, ``SOURCE#2``, …
        One that is none raises before any is added, and so do two dicts of one source.

        Raises `DocumentsError` where some could not be added or read: the others are there, and
        ``documents`` and ``errors`` of the exception say what came of each.
        """
        # All of them are read first: a wrong one leaves none added.
        fields = builtins.list(all_fields(documents))
        into = (self.collections.get_or_create(collection))["id"]
        pending = self._caller.native.add_documents(self._caller.who, into, fields, wait)
        return all_added(_bridge.run(pending))

    def _add(self, collection: str, body: dict[str, Any], wait: bool) -> types.Document:
        into = self.collections.get_or_create(collection)
        path = f"/api/v1/knowledge/collections/{quoted(into['id'])}/documents"
        return self._added(cast("types.Document", self._ask("POST", path, body)), wait)

    def _added(self, document: types.Document, wait: bool) -> types.Document:
        return self.wait(document["id"]) if wait else document

    def wait(self, document_id: str) -> types.Document:
        """Waits until a document can be found. Raises what made it fail."""
        document: types.Document | None = None
        for document in self.progress(document_id):
            pass
        if document is None:
            return self.document(document_id)
        if document["status"] == "failed":
            failed = document.get("error") or {"code": "internal", "detail": "it failed"}
            raise of_document(failed["code"], failed["detail"])
        return document

    def progress(self, document_id: str) -> Progress:
        """Iterates over a document whenever it changes (``progress`` is from 0 to 1), until it is
        ready or failed."""
        path = f"/api/v1/knowledge/documents/{quoted(document_id, 'document_id')}/events"
        stream = self._caller.native.stream(self._caller.who, "GET", path)
        stream.start()
        return Progress(stream)

    def documents(
        self,
        *,
        collection: str | None = None,
        status: Literal["pending", "processing", "ready", "failed"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[types.Document]:
        """Returns a page, newest first."""
        into = None if collection is None else (self.collections.get(collection))["id"]
        path = query(collection_id=into, status=status, limit=limit, cursor=cursor)
        return self._page("/api/v1/knowledge/documents" + path)

    def document(self, id: str) -> types.Document:
        """Returns one."""
        return cast("types.Document", self._ask("GET", f"/api/v1/knowledge/documents/{quoted(id)}"))

    def delete(self, id: str) -> None:
        """Deletes a document with its passages and vectors."""
        self._ask("DELETE", f"/api/v1/knowledge/documents/{quoted(id)}")

    def cancel(self, id: str) -> types.Document:
        """Ends the reading of a document."""
        return cast("types.Document", self._ask("POST", f"/api/v1/knowledge/documents/{quoted(id)}/cancel"))

    def chunks(
        self, id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[types.Chunk]:
        """Returns a page of a document's passages, in order."""
        return self._page(f"/api/v1/knowledge/documents/{quoted(id)}/chunks" + query(limit=limit, cursor=cursor))

    def search(
        self,
        query: str,
        *,
        collections: Iterable[str] = (),
        limit: int | None = None,
        mode: Literal["hybrid", "vector", "text"] | None = None,
        filter: types.Filter | None = None,
        min_score: float | None = None,
        diversity: float | None = None,
        rerank: bool | None = None,
        explain: bool | None = None,
    ) -> Page[types.SearchHit]:
        """Finds the passages that fit a question best: ``limit`` of them, 1 to 200, 10 by default.

        ``score`` is from 0 to 1. What could not be searched is in ``rest["warnings"]``.

        Args:
            collections: Ids or names; without any, all are searched.
            mode: By words, by meaning, or by both, which is the default.
            filter: A condition on the documents' metadata, such as
                ``{"eq": {"field": "team", "value": "a"}}``; also ``in``, ``range``, ``contains``
                and ``exists``, and ``and``, ``or`` and ``not`` of them (`types.Filter`).
            min_score: Passages of a lower score are left out.
            diversity: From 0 to 1: how much passages that say the same as better ones are put
                behind others.
            rerank: Whether the reranker reorders the best; by default where there is one.
            explain: Whether each passage says how its score came about.
        """
        if isinstance(collections, str):
            collections = [collections]
        body = some(
            query=query,
            collections=builtins.list(collections) or None,
            limit=limit,
            mode=mode,
            filter=filter,
            min_score=min_score,
            diversity=diversity,
            rerank=rerank,
            explain=explain,
        )
        return Page(self._ask("POST", "/api/v1/knowledge/search", body))
