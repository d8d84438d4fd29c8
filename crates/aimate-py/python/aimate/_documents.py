"""Documents of other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator

from .errors import AimateError, InvalidError, of_document, of_documents

if TYPE_CHECKING:
    from .types import Document

_FIELDS = ("name", "text", "url", "source", "media_type", "metadata")


def all_fields(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yields what `Knowledge.add_text` takes, out of each of some documents."""
    seen: dict[str, int] = {}
    places: dict[str, int] = {}
    for n, document in enumerate(documents):
        fields = fields_of(document, n)
        text = fields.get("text")
        if text is not None and (not isinstance(text, str) or not text.strip()):
            kind = "is empty" if isinstance(text, str) else f"is a {type(text).__name__}, not a str"
            raise InvalidError(f"`documents[{n}].text`: {kind}", errors={f"documents[{n}].text": kind})
        source = fields.get("source")
        if source is not None and not isinstance(document, dict):
            # What a splitter made of one file has its source in common, and a collection keeps one
            # document of a source: each would replace the one before.
            seen[source] = seen.get(source, 0) + 1
            if seen[source] > 1:
                fields["source"] = f"{source}#{seen[source]}"
        source = fields.get("source") or fields.get("url")
        if source is not None and places.setdefault(source, n) != n:
            kind = f"is that of documents[{places[source]}] too; a collection keeps one document of a source"
            raise InvalidError(f"`documents[{n}].source`: {kind}", errors={f"documents[{n}].source": kind})
        yield fields


def all_added(outcomes: list[tuple[Document | None, AimateError | None]]) -> list[Document]:
    """Returns the documents that were added. Raises what made some of them fail."""
    documents = [document for document, _ in outcomes]
    errors: dict[int, AimateError] = {}
    for n, (document, error) in enumerate(outcomes):
        if document is not None and document["status"] == "failed":
            failed = document.get("error") or {"code": "internal", "detail": "it failed"}
            error = of_document(failed["code"], failed["detail"])
        if error is not None:
            errors[n] = error
    if errors:
        raise of_documents(documents, errors) from next(iter(errors.values()))
    return [document for document in documents if document is not None]


def fields_of(document: Any, n: int) -> dict[str, Any]:
    """Returns what `Knowledge.add_text` takes, out of the ``n``-th of some documents."""
    if isinstance(document, dict):
        unknown = [name for name in document if name not in _FIELDS]
        if unknown:
            raise TypeError(f"documents[{n}]: has a field `{unknown[0]}`; the fields are {', '.join(_FIELDS)}")
        return dict(document)
    # LangChain's have `page_content`, LlamaIndex's nodes and documents `get_content()`.
    if hasattr(document, "page_content"):
        text = document.page_content
        id = getattr(document, "id", None)
    elif callable(getattr(document, "get_content", None)):
        text = document.get_content()
        id = getattr(document, "node_id", None) or getattr(document, "id_", None)
    else:
        kind = type(document).__name__
        raise TypeError(
            f"documents[{n}]: is a {kind}; it is a document of LangChain or LlamaIndex, or a dict of {', '.join(_FIELDS)}"
        )
    metadata = dict(getattr(document, "metadata", None) or {})
    source = metadata.get("source") or metadata.get("file_path")
    name = metadata.get("title") or metadata.get("file_name") or source or id or f"document {n + 1}"
    # Pages of one file have its source in common, and are documents of their own here.
    page = metadata.get("page_label", metadata.get("page"))
    if source is not None and page is not None:
        source = f"{source}#page={page}"
    if source is None:
        source = id
    fields: dict[str, Any] = {"name": str(name), "text": text, "metadata": metadata}
    if source is not None:
        fields["source"] = str(source)
    return fields
