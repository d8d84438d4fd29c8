"""Functions as tools: what a model is told of them, and calling them."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import inspect
import logging
import re
import types
import typing
import uuid
from typing import Any, Callable, Literal, TypeVar, Union, overload

from . import _host
from .errors import AimateError, ToolError

logger = logging.getLogger("aimate")

# Characters of an exception's text that a model is given.
_MAX_ERROR = 2_000


@dataclasses.dataclass(frozen=True)
class ToolContext:
    """Who calls a tool, and for what. A parameter with this annotation gets it, and the model
    is not told of it."""

    tenant_id: str
    """The tenant of whose turn it is."""
    user_id: str
    """The user whose turn it is: the tool acts for this one and no other."""
    role: str
    """``user`` or ``admin``."""
    conversation_id: str | None
    """The conversation; ``None`` for a call that is not stored."""
    run_id: str | None
    """The run; ``None`` for a call that is not stored."""
    call_id: str
    """The id of the call."""
    idempotency_key: str
    """The same for the same call, however often it is made; of no other call."""
    knowledge: list[str]
    """The collections of the turn."""
    _progress: Callable[[dict[str, Any]], None] = dataclasses.field(repr=False)

    def progress(self, progress: float, *, total: float | None = None, message: str | None = None) -> None:
        """Tells whoever listens how far the tool is (``tool_progress``)."""
        told: dict[str, Any] = {"progress": progress}
        if total is not None:
            told["total"] = total
        if message is not None:
            told["message"] = message
        self._progress(told)


@dataclasses.dataclass(frozen=True)
class Tool:
    """A tool as the engine takes it."""

    name: str
    spec: dict[str, Any]
    call: Callable[..., Any]


F = TypeVar("F", bound=Callable[..., Any])


@overload
def tool(function: F, *, name: str | None = None, policy: Literal["allow", "ask", "deny"] | None = None) -> F: ...


@overload
def tool(
    *, name: str | None = None, policy: Literal["allow", "ask", "deny"] | None = None
) -> Callable[[F], F]: ...


def tool(
    function: Any = None,
    *,
    name: str | None = None,
    policy: Literal["allow", "ask", "deny"] | None = None,
) -> Any:
    """Marks a function as a tool with a name or a policy of its own, as a decorator."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__aimate_tool__ = {"name": name, "policy": policy}  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def tool_of(given: Any, *, name: str | None = None, policy: str | None = None) -> Tool:
    """Makes a tool of a function.

    Raises `TypeError` for a parameter whose type has no JSON Schema, naming it.
    """
    # What it is is looked at here, not by a type checker.
    function: Any = given
    if isinstance(function, Tool):
        return function
    if not callable(function):
        raise TypeError(f"tools: {function!r} is no function")
    marked = getattr(function, "__aimate_tool__", {})
    target = function if inspect.isroutine(function) else function.__call__
    own_name = str(getattr(function, "__name__", type(function).__name__))
    called: str = name or marked.get("name") or own_name
    policy = policy or marked.get("policy")
    signature = inspect.signature(function)
    hints = typing.get_type_hints(target, include_extras=True)
    description, parameter_docs = _docs(inspect.getdoc(function) or "")
    builder = _Schema()
    properties: dict[str, Any] = {}
    required: list[str] = []
    readers: dict[str, Callable[[Any], Any]] = {}
    context: str | None = None
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"tools: `{called}` takes `*{parameter.name}`; a tool's parameters are named one by one")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"tools: `{called}` takes `{parameter.name}` by its place alone; a tool is called by names")
        hint = hints.get(parameter.name, Any)
        if hint is ToolContext:
            context = parameter.name
            continue
        schema, read = builder.of(hint, f"{called}({parameter.name})")
        if parameter.name in parameter_docs:
            schema = {**schema, "description": parameter_docs[parameter.name]} if "$ref" not in schema else {
                "allOf": [schema],
                "description": parameter_docs[parameter.name],
            }
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        else:
            default = _json_default(parameter.default)
            if default is not _NO_DEFAULT:
                schema = {**schema, "default": default}
        properties[parameter.name] = schema
        readers[parameter.name] = read
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        parameters["required"] = required
    if builder.definitions:
        parameters["$defs"] = builder.definitions

    is_async = _is_async(function)

    async def call(arguments: Any, told: dict[str, Any]) -> tuple[str, Any]:
        try:
            if not isinstance(arguments, dict):
                return "error", "The arguments are no object."
            try:
                named = {key: readers[key](value) if key in readers else value for key, value in arguments.items()}
            except (TypeError, ValueError, KeyError) as error:
                return "error", f"The arguments are wrong: {error}"[:_MAX_ERROR]
            if context is not None:
                progress = told.pop("progress")
                named[context] = ToolContext(**told, _progress=progress)
            result: Any
            if is_async:
                pending: Any = function(**named)
                result = await pending
            else:
                result = await _host.call(lambda: function(**named))
        except ToolError as error:
            return "error", str(error)[:_MAX_ERROR]
        except AimateError as error:
            return "error", error.detail[:_MAX_ERROR]
        except Exception as error:
            logger.exception("the tool `%s` raised an exception", called)
            return "error", f"{type(error).__name__}: {error}"[:_MAX_ERROR]
        return ("text", result) if isinstance(result, str) else ("value", result)

    spec: dict[str, Any] = {"name": called, "description": description, "parameters": parameters}
    if policy is not None:
        spec["policy"] = policy
    return Tool(called, spec, call)


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


_NO_DEFAULT: Any = object()


def _json_default(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return _NO_DEFAULT


_ENTRY = re.compile(r"^\s{0,8}(?::param (?:[\w\[\], .|]+ )?)?\*{0,2}(\w+)(?:\s*\([^)]*\))?\s*:\s+(.*)$")


def _docs(text: str) -> tuple[str, dict[str, str]]:
    """Splits a docstring into what comes before its parameters, and each parameter's text, in
    Google's, Sphinx' or NumPy's style."""
    lines = text.splitlines()
    description: list[str] = []
    found: dict[str, str] = {}
    section: str | None = None
    current: str | None = None
    n = 0
    while n < len(lines):
        line = lines[n]
        stripped = line.strip()
        is_numpy = n + 1 < len(lines) and set(lines[n + 1].strip()) == {"-"} and bool(stripped)
        if is_numpy or re.fullmatch(r"(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?):", stripped):
            section = stripped.rstrip(":").lower()
            current = None
            n += 2 if is_numpy else 1
            continue
        if section in ("args", "arguments", "parameters"):
            numpy = re.fullmatch(r"(\w+)(?:\s*:\s*.*)?", line)
            entry = _ENTRY.match(line)
            if numpy and not line.startswith(" ") and not (entry and entry.group(2)):
                current = str(numpy.group(1))
                found[current] = ""
            elif entry and (current is None or not line.startswith("        ")):
                current = str(entry.group(1))
                found[current] = entry.group(2).strip()
            elif current is not None and stripped:
                found[current] = f"{found[current]} {stripped}".strip()
        elif stripped.startswith(":param"):
            entry = _ENTRY.match(line)
            if entry:
                found[entry.group(1)] = entry.group(2).strip()
        elif section is None and not stripped.startswith((":return", ":raise", ":rtype", ":type")):
            description.append(line)
        n += 1
    return "\n".join(description).strip(), {key: value for key, value in found.items() if value}


class _Schema:
    """JSON Schemas of Python's types, and what reads their values."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._readers: dict[str, Callable[[Any], Any]] = {}

    def of(self, hint: Any, place: str) -> tuple[dict[str, Any], Callable[[Any], Any]]:
        origin = typing.get_origin(hint)
        arguments = typing.get_args(hint)
        if origin is typing.Annotated:
            schema, read = self.of(arguments[0], place)
            for note in arguments[1:]:
                text = note if isinstance(note, str) else getattr(note, "description", None)
                if isinstance(text, str):
                    schema = {**schema, "description": text}
            return schema, read
        if hint is Any or hint is inspect.Parameter.empty:
            return {}, _same
        if hint is None or hint is type(None):
            return {"type": "null"}, _same
        if origin is Literal:
            values = [value.value if isinstance(value, enum.Enum) else value for value in arguments]
            return {"enum": values}, _same
        if origin is Union or origin is types.UnionType:
            return self._union(arguments, place)
        if hint in _SIMPLE:
            kind, read = _SIMPLE[hint]
            return dict(kind), read
        if origin in (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable) or hint in (list, set):
            inner, read = self.of(arguments[0] if arguments else Any, place)
            make: Any = {set: set, frozenset: frozenset}.get(origin or hint, list)
            array: dict[str, Any] = {"type": "array", "items": inner}
            if make is not list:
                array["uniqueItems"] = True
            return array, lambda value: make(read(item) for item in value)
        if origin is tuple or hint is tuple:
            return self._tuple(arguments, place)
        if origin in (dict, collections.abc.Mapping) or hint is dict:
            inner, read = self.of(arguments[1] if arguments else Any, place)
            return (
                {"type": "object", "additionalProperties": inner},
                lambda value: {key: read(item) for key, item in value.items()},
            )
        if isinstance(hint, type):
            return self._class(hint, place)
        raise TypeError(f"tools: the type of {place}, {hint!r}, has no JSON Schema")

    def _union(self, arguments: tuple[Any, ...], place: str) -> tuple[dict[str, Any], Callable[[Any], Any]]:
        members = [self.of(argument, place) for argument in arguments]
        others = [member for member in members if member[0] != {"type": "null"}]
        is_optional = len(others) < len(members)

        def read(value: Any) -> Any:
            if value is None and is_optional:
                return None
            failures: list[Exception] = []
            for _, reader in others:
                try:
                    return reader(value)
                except (TypeError, ValueError, KeyError) as error:
                    failures.append(error)
            raise failures[0]

        return {"anyOf": [member[0] for member in members]}, read

    def _tuple(self, arguments: tuple[Any, ...], place: str) -> tuple[dict[str, Any], Callable[[Any], Any]]:
        if not arguments or (len(arguments) == 2 and arguments[1] is Ellipsis):
            inner, read = self.of(arguments[0] if arguments else Any, place)
            return {"type": "array", "items": inner}, lambda value: tuple(read(item) for item in value)
        items = [self.of(argument, place) for argument in arguments]
        size = len(items)
        schema = {"type": "array", "prefixItems": [item[0] for item in items], "minItems": size, "maxItems": size}
        return schema, lambda value: tuple(read(item) for (_, read), item in zip(items, value))

    def _class(self, hint: Any, place: str) -> tuple[dict[str, Any], Callable[[Any], Any]]:
        if issubclass(hint, enum.Enum):
            return {"enum": [member.value for member in hint]}, hint
        if hasattr(hint, "model_json_schema") and hasattr(hint, "model_validate"):  # pydantic
            schema = hint.model_json_schema(ref_template="#/$defs/{model}")
            self.definitions.update(schema.pop("$defs", {}))
            return schema, hint.model_validate
        if dataclasses.is_dataclass(hint):
            fields = {field.name: field for field in dataclasses.fields(hint) if field.init}
            missing = dataclasses.MISSING
            required = [
                name for name, field in fields.items() if field.default is missing and field.default_factory is missing
            ]
            make: Any = hint
            return self._object(hint, list(fields), required, lambda values: make(**values), place)
        if typing.is_typeddict(hint):
            required = [name for name in hint.__annotations__ if name in hint.__required_keys__]
            return self._object(hint, list(hint.__annotations__), required, dict, place)
        raise TypeError(f"tools: the type of {place}, {hint.__name__}, has no JSON Schema")

    def _object(
        self, hint: Any, names: list[str], required: list[str], make: Callable[[dict[str, Any]], Any], place: str
    ) -> tuple[dict[str, Any], Callable[[Any], Any]]:
        key = str(hint.__name__)
        reference = {"$ref": f"#/$defs/{key}"}
        if key in self.definitions:
            return reference, lambda value: self._readers[key](value)
        # Before its fields are read: one may be of the same type.
        self.definitions[key] = {}
        hints = typing.get_type_hints(hint, include_extras=True)
        members = {name: self.of(_unwrapped(hints[name]), f"{place}.{name}") for name in names}

        def read(value: Any) -> Any:
            if not isinstance(value, dict):
                raise TypeError(f"{key} is no object")
            return make({name: members[name][1](item) for name, item in value.items() if name in members})

        self._readers[key] = read
        description = inspect.getdoc(hint) if hint.__doc__ and not hint.__doc__.startswith(f"{key}(") else None
        schema: dict[str, Any] = {"type": "object", "properties": {name: member[0] for name, member in members.items()}}
        if required:
            schema["required"] = required
        if description and not description.startswith("dict()"):
            schema["description"] = description
        self.definitions[key] = schema
        return reference, read


def _unwrapped(hint: Any) -> Any:
    """Without ``Required`` and ``NotRequired``."""
    name = getattr(typing.get_origin(hint), "_name", None)
    return typing.get_args(hint)[0] if name in ("Required", "NotRequired") else hint


def _same(value: Any) -> Any:
    return value


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is no whole number")
    return int(value)


_SIMPLE: dict[Any, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    str: ({"type": "string"}, _same),
    bool: ({"type": "boolean"}, _same),
    int: ({"type": "integer"}, _whole),
    float: ({"type": "number"}, float),
    uuid.UUID: ({"type": "string", "format": "uuid"}, uuid.UUID),
    datetime.datetime: ({"type": "string", "format": "date-time"}, datetime.datetime.fromisoformat),
    datetime.date: ({"type": "string", "format": "date"}, datetime.date.fromisoformat),
}
