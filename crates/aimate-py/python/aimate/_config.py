"""From the arguments of `Engine.open` to what the native module takes."""

from __future__ import annotations

import os
import sys
from typing import Any, Iterable, Mapping

_KINDS = {"ollama", "openai", "openrouter", "builtin"}


class Parts:
    """What of an engine is written in Python."""

    def __init__(self) -> None:
        self.providers: list[tuple[str, Any]] = []
        self.tools: list[tuple[dict[str, Any], Any]] = []
        self.embedders: list[tuple[dict[str, Any], Any]] = []
        self.reranker: tuple[str, Any] | None = None
        self.retrievers: list[tuple[str, Any]] = []
        self.observers: list[dict[str, Any]] = []
        self.needs_dimensions = False

    @property
    def is_written_here(self) -> bool:
        """Whether there is anything that has to be called."""
        return any(self.native().values())

    async def find_dimensions(self) -> None:
        """Asks embedders that do not say how long their vectors are."""
        for model, embed in self.embedders:
            if model["dimensions"] is None:
                model["dimensions"] = _length(await embed(["dimensions"], "passage"))

    def find_dimensions_sync(self) -> None:
        """`find_dimensions` without a loop of the caller's."""
        from . import _host

        _host.run_here(self.find_dimensions())

    def native(self) -> dict[str, Any]:
        """Returns them as the native module takes them."""
        return {
            "providers": self.providers,
            "tools": self.tools,
            "embedders": self.embedders,
            "reranker": self.reranker,
            "retrievers": self.retrievers,
            "observers": self.observers,
        }


def _length(vectors: Any) -> int:
    if isinstance(vectors, tuple):  # of an array: its bytes, and the numbers of a row
        data, length = vectors
        rows = len(data) // max(4 * length, 1)
    else:
        rows, length = len(vectors), len(vectors[0]) if vectors else 0
    if rows != 1 or length == 0:
        raise TypeError(f"embedder: returned {rows} vectors for 1 text")
    return int(length)


def configured(url: str | None, **arguments: Any) -> tuple[dict[str, Any], Parts]:
    """Returns the plain part of the arguments, and the rest."""
    config = dict(arguments)
    parts = Parts()
    data_dir = _path("data_dir", config.pop("data_dir"))
    blobs = _path("blobs", config.pop("blobs"))
    key_file = None
    if data_dir is not None:
        os.makedirs(data_dir, exist_ok=True)
        blobs = blobs or os.path.join(data_dir, f"{config['table_prefix'] or ''}blobs")
        key_file = os.path.join(data_dir, "encryption.key")
        url = url or f"sqlite:{os.path.join(data_dir, 'aimate.db')}"
    if url is None:
        raise TypeError("url: is missing; it is `sqlite:PATH`, `sqlite::memory:` or `postgres://…`, or give `data_dir`")
    if not isinstance(url, str):
        raise TypeError(f"url: is a {type(url).__name__}; it is a string such as `sqlite:aimate.db`")
    if url.endswith(":memory:"):
        blobs = _path("blobs", arguments["blobs"])
    isolate = config.pop("isolate")
    config.update(
        url=url,
        blobs=blobs,
        key_file=key_file,
        model_dir=_path("model_dir", config.pop("model_dir")),
        connections=_connections(config.pop("connections")),
        allow_private=_strings("allow_private", config.pop("allow_private")),
        tool_servers=[dict(server) for server in config.pop("tool_servers")],
        quotas=dict(config.pop("quotas") or {}),
        limits=dict(config.pop("limits") or {}),
        worker=worker() if isolate else None,
    )
    _providers(parts, config.pop("providers"))
    _tools(parts, config.pop("tools"))
    _embedder(parts, config)
    _reranker(parts, config)
    _retrievers(parts, config.pop("retrievers"))
    _observers(parts, config.pop("observers"))
    return config, parts


def worker() -> list[str]:
    """Returns the program, with its arguments, that reads a document in a child process."""
    folder = os.path.dirname(os.path.abspath(__file__))
    code = f"import sys; sys.path.insert(0, {folder!r}); import _aimate; sys.exit(not _aimate.extract_worker())"
    return [sys.executable, "-I", "-S", "-c", code]


def _path(name: str, path: Any) -> str | None:
    if path is None:
        return None
    try:
        text = os.fspath(path)
    except TypeError:
        raise TypeError(f"{name}: is a {type(path).__name__}; it is a path") from None
    return os.fsdecode(text)


def _strings(name: str, values: Any) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"{name}: is a string; it is a list of them")
    return list(values)


def _connections(connections: Iterable[Any] | None) -> list[dict[str, Any]]:
    if connections is None:
        return _found()
    if isinstance(connections, (str, Mapping)):
        connections = [connections]
    return [_connection(connection, n) for n, connection in enumerate(connections)]


def _connection(connection: Any, n: int) -> dict[str, Any]:
    place = f"connections[{n}]"
    if isinstance(connection, str):
        if connection in _KINDS:
            return _kind(connection)
        if "://" in connection:
            return {"name": "openai", "provider": "openai", "url": connection}
        raise ValueError(f"{place}: is `{connection}`; it is one of {', '.join(sorted(_KINDS))}, an address, or a dict")
    if not isinstance(connection, Mapping):
        raise TypeError(f"{place}: is a {type(connection).__name__}; it is a string or a dict")
    known = ("name", "provider", "url", "api_key", "is_enabled", "settings")
    unknown = [key for key in connection if key not in known]
    if unknown:
        raise TypeError(f"{place}: has a field `{unknown[0]}`; the fields are {', '.join(known)}")
    for key in ("name", "provider", "url", "api_key"):
        value = connection.get(key)
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{place}.{key}: is a {type(value).__name__}; it is a string")
    fields = {key: value for key, value in connection.items() if value is not None}
    provider = fields.get("provider") or fields.get("name")
    if provider is None:
        raise TypeError(f"{place}: has no `provider`")
    fields.setdefault("provider", provider)
    fields.setdefault("name", provider)
    return fields


def _kind(kind: str) -> dict[str, Any]:
    connection: dict[str, Any] = {"name": kind, "provider": kind}
    if kind == "ollama":
        connection["url"] = _ollama_url()
    elif kind == "openai":
        connection["url"] = os.environ.get("OPENAI_BASE_URL") or None
        connection["api_key"] = os.environ.get("OPENAI_API_KEY") or None
    elif kind == "openrouter":
        connection["api_key"] = os.environ.get("OPENROUTER_API_KEY") or None
    return {key: value for key, value in connection.items() if value is not None}


def _ollama_url() -> str:
    host = os.environ.get("OLLAMA_HOST", "").strip()
    if not host:
        return "http://127.0.0.1:11434"
    if "://" not in host:
        host = f"http://{host}"
    # What a server binds to is no address to ask.
    host = host.replace("://0.0.0.0", "://127.0.0.1")
    return host if ":" in host.split("://", 1)[1] else f"{host}:11434"


def _found() -> list[dict[str, Any]]:
    kinds = ["ollama"]
    if os.environ.get("OPENAI_API_KEY"):
        kinds.append("openai")
    if os.environ.get("OPENROUTER_API_KEY"):
        kinds.append("openrouter")
    return [_kind(kind) for kind in kinds]


def _providers(parts: Parts, providers: Mapping[str, Any] | None) -> None:
    if not providers:
        return
    from . import _host
    from ._aimate import Script

    for name, provider in providers.items():
        script = getattr(provider, "_script", provider)
        parts.providers.append((name, script if isinstance(script, Script) else _host.provider(name, provider)))


def _tools(parts: Parts, tools: Iterable[Any]) -> None:
    for function in tools:
        from ._tools import tool_of

        tool = tool_of(function)
        parts.tools.append((tool.spec, tool.call))


def _embedder(parts: Parts, config: dict[str, Any]) -> None:
    embedder = config.pop("embedder")
    config["default_embedder"] = embedder if isinstance(embedder, str) else None
    if embedder is None or isinstance(embedder, str):
        return
    from . import _host

    name = getattr(embedder, "name", None) or type(embedder).__name__.lower()
    dimensions = getattr(embedder, "dimensions", None)
    model = {
        "name": name if "/" in name else f"local/{name}",
        "dimensions": dimensions,
        "version": str(getattr(embedder, "version", "")),
    }
    parts.embedders.append((model, _host.embedder(embedder)))
    parts.needs_dimensions = dimensions is None


def _reranker(parts: Parts, config: dict[str, Any]) -> None:
    reranker = config["reranker"]
    if reranker is None or isinstance(reranker, Mapping):
        return
    from . import _host

    config["reranker"] = None
    parts.reranker = (getattr(reranker, "name", None) or type(reranker).__name__, _host.reranker(reranker))


def _retrievers(parts: Parts, retrievers: Mapping[str, Any] | None) -> None:
    if not retrievers:
        return
    from . import _host

    for name, retriever in retrievers.items():
        parts.retrievers.append((name, _host.retriever(name, retriever)))


def _observers(parts: Parts, observers: Iterable[Any]) -> None:
    for n, observer in enumerate(observers):
        from . import _host

        parts.observers.append(_host.observer(n, observer))
