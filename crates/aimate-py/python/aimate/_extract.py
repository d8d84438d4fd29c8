"""Answers as values of a type."""

from __future__ import annotations

import json
from typing import Any, Callable

from ._tools import _Schema
from .errors import UpstreamError


def response_format(type: Any) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """Returns the form that an answer must have, and what reads it."""
    builder = _Schema()
    schema, read = builder.of(type, "type")
    if "$ref" in schema:
        schema = builder.definitions.pop(schema["$ref"].rsplit("/", 1)[1])
    if builder.definitions:
        schema = {**schema, "$defs": builder.definitions}
    name = getattr(type, "__name__", "answer")
    return {"json_schema": {"name": name, "schema": schema}}, read


def value_of(text: str, read: Callable[[Any], Any]) -> Any:
    """Reads an answer, which may stand in a fence of Markdown."""
    text = text.strip()
    if text.startswith("```"):
        text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
    try:
        return read(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise UpstreamError(f"the model's answer is no value of the type: {type(error).__name__}") from error
