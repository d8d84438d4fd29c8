"""Documents of other libraries."""

from __future__ import annotations

from typing import Any, Iterable, Iterator

from .errors import InvalidError

_FIELDS = ("name", "text", "url", "source", "media_type", "metadata")


def all_fields(documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yields what `Knowledge.add_text` takes, out of each of some documents."""
    seen: dict[str, int] = {}
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
        yield fields


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
