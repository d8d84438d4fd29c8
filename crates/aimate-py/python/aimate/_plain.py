"""Objects that are no JSON, but have an obvious form in it."""

from __future__ import annotations

import datetime
import os
from typing import Any


def plain(value: Any, place: str) -> Any:
    """Returns ``value`` as JSON's own types; ``place`` names it in the error."""
    if isinstance(value, (datetime.datetime, datetime.date)):
        if isinstance(value, datetime.datetime) and value.tzinfo is None:
            value = value.astimezone()
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__name__ == "UUID":
        return str(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if hasattr(value, "tolist") and hasattr(value, "dtype"):  # numpy, pandas
        return value.tolist()
    if hasattr(value, "_value_") and hasattr(value, "_name_"):  # enum
        return value.value
    if not isinstance(value, type) and hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(f"{place}: is a {kind}, which is no JSON")
