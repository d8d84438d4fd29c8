"""What every group of calls is made of."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final, Generic, Mapping, NoReturn, TypeVar

if TYPE_CHECKING:
    from ._aimate import Engine

T = TypeVar("T")

Who = "tuple[str, str, str | None, str | None] | None"


class Unset(enum.Enum):
    """The type of :data:`UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that is not given, where ``None`` is a value of its own."""


class Page(list[T], Generic[T]):
    """A page of a list: a plain ``list``, and what came beside its items."""

    next_cursor: str | None
    """The ``cursor`` of the next page; ``None`` on the last one."""
    rest: dict[str, Any]
    """What else the answer holds, such as the ``warnings`` of a search."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(answer["data"])
        self.next_cursor = answer.get("next_cursor")
        self.rest = {key: value for key, value in answer.items() if key not in ("data", "next_cursor")}


class Caller:
    """An engine and who asks it."""

    __slots__ = ("native", "who")

    def __init__(self, native: Engine, who: tuple[str, str, str | None, str | None] | None) -> None:
        self.native = native
        self.who = who

    # All that holds an engine holds one of these: an application's settings that are copied keep
    # their engine, and what would send one to another process is told so.

    def __copy__(self) -> Caller:
        return self

    def __deepcopy__(self, memo: Any) -> Caller:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("an engine belongs to its process and cannot be pickled; open another one over there")


def given(**fields: Any) -> dict[str, Any]:
    """Returns the fields that are given."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def some(**fields: Any) -> dict[str, Any]:
    """Returns the fields that are not ``None``."""
    return {name: value for name, value in fields.items() if value is not None}


_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


def quoted(text: Any, name: str = "id") -> str:
    """Returns text as one part of a path."""
    # UUIDs come as strings, and as `uuid.UUID` from an application's own code.
    if not isinstance(text, str):
        if type(text).__name__ != "UUID":
            raise TypeError(f"{name}: is a {type(text).__name__}; it is a string")
        text = str(text)
    if not text:
        raise ValueError(f"{name}: is empty")
    return _encoded(text)


def _encoded(text: str) -> str:
    return "".join(chr(b) if b in _PLAIN else f"%{b:02X}" for b in text.encode("utf-8", "surrogatepass"))


def query(**fields: Any) -> str:
    """Returns a query of the fields that are not ``None``."""
    parts = []
    for name, value in fields.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, (list, tuple)):
            value = ",".join(str(item) for item in value)
        elif hasattr(value, "isoformat"):
            from ._plain import plain

            value = plain(value, name)
        parts.append(f"{name.rstrip('_')}={_encoded(str(value))}")
    return "?" + "&".join(parts) if parts else ""
