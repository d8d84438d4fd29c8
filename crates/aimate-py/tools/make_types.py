"""Makes `aimate/types.py` out of the OpenAPI document of an engine.

    python tools/make_types.py           # writes it
    python tools/make_types.py --check   # fails if it is not what it should be
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Any

from aimate.testing import Scripted

TARGET = Path(__file__).resolve().parent.parent / "python" / "aimate" / "types.py"

# What is handed in or comes back somewhere; what they are made of comes along.
ROOTS = """AuditRecord GroupChange MemberKind PromptChange ToolServerChange WorkspaceChange WorkspaceRole Budget ChatEvent Chunk Chunking Collection Connection ConnectionSettings ConnectionTest
Conversation CreatedShare Document EmbeddingSpace Group GroupMember ListedMessage ListedUsage Message ModelPrice
NewConnection NewConversation OfferedModel Part Prices Prompt Run SearchHit Share SourcePassage ToolServer
ToolServerDetail ToolServerTest ToolSpec UsableTool UsageSum Workspace WorkspaceMember""".split()

# Written by hand below: most of their fields are keywords of Python.
PLAIN = {"Filter": "Filter"}

HEADER = '''"""The shapes of aiMate's data: plain dicts, as the HTTP API has them in JSON.

Ids are UUIDs as strings, times RFC 3339 in UTC (``datetime.fromisoformat`` reads them from
Python 3.11 on), costs US dollars.
"""
# Made by tools/make_types.py; change that, or the Rust types that it is made of.

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

'''

FOOTER = '''
Content = Union[str, List[Part]]
"""What is said: text, or a list of parts."""


FilterValue = Union[str, float, bool]
"""What a field is compared with."""


class FilterField(TypedDict):
    """A field of a document: a key of its metadata, or several joined by dots for nested objects;
    ``$id``, ``$name``, ``$title``, ``$source`` and ``$media_type`` are the document's own."""

    field: str
    """The field."""


class FieldValue(FilterField):
    """A field and a value."""

    value: FilterValue
    """The value."""


class FieldValues(FilterField):
    """A field and several values."""

    values: List[FilterValue]
    """At most 1,000."""


class FieldRange(FilterField, total=False):
    """A field and one bound or more, all numbers or all strings."""

    gt: Union[str, float]
    """Greater than."""
    gte: Union[str, float]
    """Greater than or equal to."""
    lt: Union[str, float]
    """Less than."""
    lte: Union[str, float]
    """Less than or equal to."""


EqFilter = TypedDict("EqFilter", {"eq": FieldValue})
"""The field is this. Numbers compare by value."""
InFilter = TypedDict("InFilter", {"in": FieldValues})
"""The field is one of these."""
RangeFilter = TypedDict("RangeFilter", {"range": FieldRange})
"""The field is within these bounds. Strings compare by their UTF-8 bytes, so times in RFC 3339 do
by time."""
ContainsFilter = TypedDict("ContainsFilter", {"contains": FieldValue})
"""The field is a list that holds this value, or a string that holds this string (case counts)."""
ExistsFilter = TypedDict("ExistsFilter", {"exists": FilterField})
"""The field is there and not null."""
AndFilter = TypedDict("AndFilter", {"and": "List[Filter]"})
"""All of these hold."""
OrFilter = TypedDict("OrFilter", {"or": "List[Filter]"})
"""One of these holds."""
NotFilter = TypedDict("NotFilter", {"not": "Filter"})
"""This does not hold."""
Filter = Union[EqFilter, InFilter, RangeFilter, ContainsFilter, ExistsFilter, AndFilter, OrFilter, NotFilter]
"""A condition on documents, such as ``{"eq": {"field": "team", "value": "a"}}`` or
``{"and": [{"range": {"field": "year", "gte": 2024}}, {"not": {"exists": {"field": "draft"}}}]}``."""


class User(TypedDict):
    """A person or service of a tenant."""

    id: str
    """Its id."""
    key: Optional[str]
    """The application's own name for the user; see ``Engine.as_user``."""
    email: Optional[str]
    """The login address, for a user who has an account."""
    name: str
    """The name to show."""
    role: Literal["user", "admin"]
    """What the user may do."""
    is_active: bool
    """Whether the user may act at all."""
    settings: Any
    """Settings of a front end."""
    created_at: str
    """When the user was made."""
    updated_at: str
    """When the user last changed."""


class Scope(TypedDict):
    """Who asks, as code of the application is told."""

    tenant_id: str
    """The tenant whose data it is."""
    user_id: str
    """The user who asks."""
    role: Literal["user", "admin"]
    """What the user may do."""


class TurnSummary(TypedDict):
    """A turn that is about to be answered; nothing of it is stored yet."""

    conversation_id: Optional[str]
    """The conversation; ``None`` for a new one, and for a call that is not stored."""
    workspace_id: Optional[str]
    """The workspace that the turn names for a new conversation."""
    model: str
    """The model that is to answer, as ``CONNECTION/MODEL``."""
    question: str
    """The text of the last message that is to be answered; empty where an earlier question is
    answered again."""
    tags: List[str]
    """What the application wants its usage summed by."""
    client_id: Optional[str]
    """The caller's own id of the turn."""
    is_stored: bool
    """Whether question and answer will be stored."""


class Tenant(TypedDict, total=False):
    """A tenant: a customer of the application, say."""

    id: str
    """Its id."""
    key: Optional[str]
    """The application's own name for it; see ``Engine.as_user``."""
    is_active: bool
    """Whether its users may act."""
    created_at: str
    """When it was made."""
'''


# What is written by hand in it.
WRITTEN = re.findall(r"^(?:class )?([A-Z]\w+)(?: = |\()", FOOTER, re.M)


class Maker:
    """Makes Python of schemas."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas
        self.classes: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.unions: dict[str, str] = {}
        self.begun: set[str] = set()

    def name(self, name: str) -> str:
        """Returns how a schema of this name is referred to, making it if need be."""
        if name in PLAIN:
            return PLAIN[name]
        schema = self.schemas[name]
        if is_text(schema):
            return "str"
        if "enum" in schema:
            self.aliases.setdefault(name, f"Literal[{', '.join(map(quoted, schema['enum']))}]")
            return name
        if name not in self.begun:
            self.begun.add(name)
            self.define(name, schema)
        return self.aliases[name] if name in self.aliases else name

    def define(self, name: str, schema: dict[str, Any]) -> None:
        if "oneOf" in schema:
            members = [self.member(name, member) for member in schema["oneOf"]]
            literals = [member[8:-1] for member in members if member.startswith("Literal[")]
            others = [member for member in members if not member.startswith("Literal[")]
            if literals:
                others.insert(0, f"Literal[{', '.join(literals)}]")
            self.unions[name] = f"Union[{', '.join(others)}]" + docstring(schema, "")
        elif schema.get("properties"):
            self.record(name, schema, [])
        else:
            self.aliases[name] = self.kind(schema)

    def member(self, union: str, schema: dict[str, Any]) -> str:
        kind = type_of(schema)
        if kind is None:
            return self.kind(schema)
        ending = {"ChatEvent": "Event"}.get(union, union)
        name = "".join(word.capitalize() for word in kind.split("_")) + ending
        bases, own = [], schema
        if "allOf" in schema:
            bases = [self.name(part["$ref"].rsplit("/", 1)[1]) for part in schema["allOf"] if "$ref" in part]
            parts = [part for part in schema["allOf"] if "$ref" not in part]
            own = {
                "properties": {name: field for part in parts for name, field in part["properties"].items()},
                "required": [name for part in parts for name in part.get("required", ())],
                "description": schema.get("description", ""),
            }
        self.record(name, own, bases)
        return name

    def record(self, name: str, schema: dict[str, Any], bases: list[str]) -> None:
        required = set(schema.get("required", ()))
        fields = schema["properties"]
        fits = all(field.isidentifier() and not keyword.iskeyword(field) for field in fields)
        if not fits:
            self.aliases[name] = "Dict[str, Any]"
            return
        needed = [field for field in fields if field in required]
        free = [field for field in fields if field not in required]
        lines: list[str] = []
        if needed and free:
            base = f"_{name}Required"
            lines += [f"class {base}({', '.join(bases) or 'TypedDict'}):", *self.fields(schema, needed), "", ""]
            lines += [f"class {name}({base}, total=False):", *document(schema), *self.fields(schema, free)]
        elif free:
            lines += [f"class {name}({', '.join(bases) or 'TypedDict'}, total=False):", *document(schema)]
            lines += self.fields(schema, free)
        else:
            lines += [f"class {name}({', '.join(bases) or 'TypedDict'}):", *document(schema)]
            lines += self.fields(schema, needed)
        self.classes[name] = "\n".join(lines)

    def fields(self, schema: dict[str, Any], names: list[str]) -> list[str]:
        lines = []
        for name in names:
            field = schema["properties"][name]
            lines.append(f"    {name}: {self.kind(field)}")
            text = clean(field.get("description") or next((part.get("description", "") for part in field.get("oneOf", ())), ""))
            if text:
                lines += ['    """' + text.replace("\n", "\n    ") + '"""']
        return lines

    def kind(self, schema: dict[str, Any]) -> str:
        if "$ref" in schema:
            return self.name(schema["$ref"].rsplit("/", 1)[1])
        if "allOf" in schema:
            return self.kind(schema["allOf"][0])
        for several in ("oneOf", "anyOf"):
            if several in schema:
                kinds = list(dict.fromkeys(self.kind(part) for part in schema[several]))
                inner = [kind for kind in kinds if kind != "None"]
                one = inner[0] if len(inner) == 1 else f"Union[{', '.join(inner)}]"
                return f"Optional[{one}]" if "None" in kinds else one
        if "enum" in schema:
            return f"Literal[{', '.join(map(quoted, schema['enum']))}]"
        kind = schema.get("type")
        if isinstance(kind, list):
            inner = [self.kind({**schema, "type": one}) for one in kind if one != "null"]
            return f"Optional[{inner[0]}]" if "null" in kind else inner[0]
        if kind == "array":
            return f"List[{self.kind(schema.get('items', {}))}]"
        if kind == "object":
            inner = schema.get("additionalProperties")
            return f"Dict[str, {self.kind(inner) if isinstance(inner, dict) and inner else 'Any'}]"
        return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}.get(
            kind or "", "Any"
        )


def is_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and "enum" not in schema


def type_of(schema: dict[str, Any]) -> str | None:
    for part in [schema, *schema.get("allOf", ())]:
        values = part.get("properties", {}).get("type", {}).get("enum", ())
        if len(values) == 1:
            return str(values[0])
    return None


def quoted(value: str) -> str:
    return f'"{value}"'


def clean(text: str) -> str:
    # Rust's links mean nothing here.
    text = re.sub(r"\[`([^`\]]*)`\](\([^)]*\))?", r"`\1`", text)
    return text.replace("\\", "\\\\").replace("`None`", "``None``").strip()


def document(schema: dict[str, Any]) -> list[str]:
    text = clean(schema.get("description", ""))
    return ['    """' + text.replace("\n", "\n    ") + '"""', ""] if text else []


def docstring(schema: dict[str, Any], indent: str) -> str:
    text = clean(schema.get("description", ""))
    return f'\n{indent}"""{text}"""' if text else ""


def made(schemas: dict[str, Any]) -> str:
    """Returns the module."""
    maker = Maker(schemas)
    for root in ROOTS:
        maker.name(root)
    turn = {name: field for name, field in schemas["TurnBody"]["properties"].items() if name not in ("content", "stream")}
    maker.record("TurnOptions", {"properties": turn, "description": "How a turn is to be answered."}, [])
    literals = [f"{name} = {text}" for name, text in sorted(maker.aliases.items())]
    # A class comes after those that it is made of.
    classes = list(maker.classes.values())
    unions = [f"{name} = {text}" for name, text in maker.unions.items()]
    names = sorted([*maker.classes, *maker.aliases, *maker.unions, *WRITTEN])
    listed = "__all__ = [\n" + "".join(f'    "{name}",\n' for name in names) + "]\n"
    body = "\n".join(literals) + "\n\n\n" + "\n\n\n".join(classes) + "\n\n\n" + "\n\n".join(unions) + "\n" + FOOTER
    return HEADER + listed + "\n" + body


def main() -> int:
    """Writes or checks it."""
    with Scripted().open_sync() as engine:
        document = engine._caller.native.request(None, "GET", "/openapi.json").wait()
    text = made(document["components"]["schemas"])
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() != text:
        print("aimate/types.py is not what the OpenAPI document makes of it; run tools/make_types.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
