# Made by tools/make_sync.py out of aimate/_async; change that instead.
"""The engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Iterable, Literal, Mapping, Sequence, TypeVar, cast

from .. import _bridge_sync as _bridge
from .._calls import Caller
from .._config import configured
from .chat import Chat
from .groups import (
    Audit,
    Budgets,
    Connections,
    Conversations,
    Groups,
    Models,
    Prices,
    Prompts,
    Runs,
    Tenants,
    Usage,
    Users,
    Workspaces,
    turn,
)
from .knowledge import Knowledge
from .tools import Tools

if TYPE_CHECKING:
    from .. import _aimate, types
    from ..asgi import AsgiApp, ScopeOf
    from ..types import Content

T = TypeVar("T")


class User:
    """An engine for one user: every group acts for them, and sees what is theirs."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    @property
    def audit(self) -> Audit:
        """What was done, as far as it matters for security."""
        return Audit(self._caller)

    @property
    def budgets(self) -> Budgets:
        """What may be used up."""
        return Budgets(self._caller)

    @property
    def connections(self) -> Connections:
        """Model servers that users connect."""
        return Connections(self._caller)

    @property
    def conversations(self) -> Conversations:
        """Conversations and their messages."""
        return Conversations(self._caller)

    @property
    def groups(self) -> Groups:
        """Groups of users."""
        return Groups(self._caller)

    @property
    def knowledge(self) -> Knowledge:
        """Documents, and the search for passages in them."""
        return Knowledge(self._caller)

    @property
    def models(self) -> Models:
        """The models of all connections."""
        return Models(self._caller)

    @property
    def prices(self) -> Prices:
        """What models cost, where their servers do not say."""
        return Prices(self._caller)

    @property
    def prompts(self) -> Prompts:
        """Instructions that are kept."""
        return Prompts(self._caller)

    @property
    def runs(self) -> Runs:
        """Runs: the generation of one answer each."""
        return Runs(self._caller)

    @property
    def tools(self) -> Tools:
        """What models may call within an answer."""
        return Tools(self._caller)

    @property
    def usage(self) -> Usage:
        """What was used, and what it cost."""
        return Usage(self._caller)

    @property
    def users(self) -> Users:
        """The users of the tenant."""
        return Users(self._caller)

    @property
    def workspaces(self) -> Workspaces:
        """Workspaces: what people work on together."""
        return Workspaces(self._caller)

    def chat(
        self,
        content: Content,
        *,
        model: str | None = None,
        conversation_id: str | None = None,
        knowledge: Iterable[str] | None = None,
        tools: Iterable[str | Callable[..., Any] | types.ToolSpec] | None = None,
        system_prompt: str | None = None,
        parent_id: str | None = None,
        retrievers: Iterable[str] | None = None,
        passages: Iterable[types.SourcePassage] | None = None,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
        frequency_penalty: float | None = None,
        presence_penalty: float | None = None,
        reasoning_effort: str | None = None,
        on_disconnect: Literal["cancel", "continue"] = "cancel",
        client_id: str | None = None,
        retry: bool | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        conversation: types.NewConversation | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Chat:
        """Asks a question, in a new conversation or in ``conversation_id``.

        Args:
            content: Text, or a list of parts (``text``, ``image``, ``tool_result``).
            model: ``CONNECTION/MODEL``, or a bare name that one connection alone lists. By
                default the one that answered before, else the first.
            knowledge: Collections, by id or name, whose passages the model is shown.
            retrievers: Searches of your own (`SyncEngine.open`), by name, whose passages it is shown.
            passages: Passages that you found yourself.
            tools: What the model may call within the answer: names of tools, ``SERVER`` or
                ``SERVER/TOOL`` of an MCP server, functions (see `Tools.register`); or dicts,
                whose calls come back to you.
            system_prompt: Instructions of this turn in place of the conversation's own.
            parent_id: The message that it follows, for another branch.
            on_disconnect: What happens when the events are left: the run is cancelled, or goes
                on in the background.
            client_id: Your own id of the turn: sent twice, it is answered once.
            tags: What the usage can be summed by, such as ``ticket:42``.
            metadata: Free for you, at most 64 KiB as JSON; kept with the message.
            conversation: The title, tags and so on of the conversation that is begun.
            extra: More fields for the model server, under its own names.

        Returns:
            The events of the answer, or with `collect` its message.

        Raises:
            InvalidError: While it is iterated: an argument is wrong; it is named.
            NotFoundError: There is no such conversation, model, collection or tool.
        """
        named = None if tools is None else [self._tool(tool) for tool in _listed("tools", tools)]
        body = {
            "content": content,
            "model": model,
            "knowledge": None if knowledge is None else _listed("knowledge", knowledge),
            "tools": named,
            "system_prompt": system_prompt,
            "parent_id": parent_id,
            "retrievers": None if retrievers is None else _listed("retrievers", retrievers),
            "passages": None if passages is None else list(passages),
            "tool_choice": tool_choice,
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": response_format,
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "stop": None if stop is None else _listed("stop", stop),
            "seed": seed,
            "frequency_penalty": frequency_penalty,
            "presence_penalty": presence_penalty,
            "reasoning_effort": reasoning_effort,
            "on_disconnect": on_disconnect,
            "client_id": client_id,
            "retry": retry,
            "tags": None if tags is None else _listed("tags", tags),
            "metadata": metadata,
            "conversation": conversation,
            "extra": extra,
        }
        path = "/api/v1/messages"
        if conversation_id is not None:
            from .._calls import quoted

            path = f"/api/v1/conversations/{quoted(conversation_id, 'conversation_id')}/messages"
        return turn(self._caller, "POST", path, body)

    def _tool(self, tool: Any) -> Any:
        return self.tools.register(tool) if callable(tool) else tool

    def extract(self, type: type[T], content: Content, **options: Any) -> T:
        """Asks for an answer that is a value of ``type``: a pydantic model, a dataclass or a
        `TypedDict`. ``options`` are those of `chat`.

        Raises `UpstreamError` if the model's answer is no such value.
        """
        from .._extract import response_format, value_of

        format, read = response_format(type)
        text = self.chat(content, response_format=format, **options).text()
        return cast("T", value_of(text, read))

    def embed(
        self, texts: Sequence[str], *, model: str | None = None, dimensions: int | None = None
    ) -> list[list[float]]:
        """Returns a vector for each text, by ``CONNECTION/MODEL``, or by what new collections use."""
        body: dict[str, Any] = {"input": _listed("texts", texts)}
        if model is not None:
            body["model"] = model
        if dimensions is not None:
            body["dimensions"] = dimensions
        pending = self._caller.native.request(self._caller.who, "POST", "/v1/embeddings", body)
        return [item["embedding"] for item in (_bridge.run(pending))["data"]]

    def scope(self) -> dict[str, str]:
        """Returns who asks: ``tenant_id``, ``user_id`` and ``role``. Makes the user, if need be."""
        pending = self._caller.native.manage(self._caller.who, "scope", {})
        found: dict[str, str] = _bridge.run(pending)
        return found

    def __repr__(self) -> str:
        who = self._caller.who
        return f"<{type(self).__name__}>" if who is None else f"<{type(self).__name__} {who[0]}/{who[1]}>"


def _listed(name: str, values: Any) -> list[Any]:
    # A string is a sequence too, of letters.
    if isinstance(values, (str, bytes)):
        raise TypeError(f"{name}: is a string; it is a list of them")
    try:
        return list(values)
    except TypeError:
        raise TypeError(f"{name}: is a {type(values).__name__}; it is a list") from None


class SyncEngine(User):
    """aiMate within this process: a database, model servers, documents and tools.

    It acts for the one local user; `as_user` gives the same for others.

    >>> with SyncEngine.open("sqlite:aimate.db") as engine:
    ...     for event in engine.chat("Hello", model="ollama/llama3.2"):
    ...         if event["type"] == "text":
    ...             print(event["text"], end="")
    """

    def __init__(self, native: _aimate.Engine) -> None:
        """Not for callers; see `open`."""
        super().__init__(Caller(native, None))

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        connections: Iterable[str | types.NewConnection] | None = None,
        providers: Mapping[str, Any] | None = None,
        tools: Iterable[Callable[..., Any]] = (),
        tool_servers: Iterable[Mapping[str, Any]] = (),
        embedder: Any = None,
        model_dir: str | os.PathLike[str] | None = None,
        reranker: Any = None,
        retrievers: Mapping[str, Any] | None = None,
        retriever_timeout: float | None = None,
        observers: Iterable[Any] = (),
        observer_timeout: float | None = None,
        system_prompt: str | None = None,
        prefer: str | None = None,
        keys: str | None = None,
        allow_private: Iterable[str] = (),
        blobs: str | os.PathLike[str] | None = None,
        schema: str | None = None,
        table_prefix: str | None = None,
        row_level_security: bool = False,
        pool_size: int | None = None,
        timeout: float | None = None,
        migrate: bool = True,
        searxng_url: str | None = None,
        brave_api_key: str | None = None,
        readers: int | None = None,
        max_runs: int | None = None,
        max_runs_per_user: int | None = None,
        quotas: Mapping[str, int] | None = None,
        limits: Mapping[str, float] | None = None,
        isolate: bool = True,
    ) -> SyncEngine:
        """Opens an engine on a database.

        Args:
            url: ``sqlite:PATH``, ``sqlite::memory:`` or ``postgres://…``; by default a file in
                ``data_dir``.
            data_dir: The folder of the database, the documents and the encryption key, as
                ``aimate serve --data-dir`` has it.
            connections: Model servers that all users may use: ``"ollama"``, ``"openai"``,
                ``"openrouter"``, an address, or dicts of ``name``, ``provider``, ``url``,
                ``api_key`` and ``settings``. By default Ollama on this machine (or at
                ``OLLAMA_HOST``), and OpenAI and OpenRouter where the environment has
                ``OPENAI_API_KEY`` and ``OPENROUTER_API_KEY``.
            providers: Models of your own by name: objects with ``chat(request)`` that yields
                events. ``NAME/MODEL`` is answered by them.
            tools: Functions that models may call; see `Tools.register`.
            tool_servers: MCP servers: ``name`` and ``url`` or ``command``, ``headers``, ``env``,
                ``policy``.
            embedder: What makes vectors: an object with ``embed(texts)``, or a name:
                ``CONNECTION/MODEL``, ``none``. By default search goes by words alone.
            model_dir: The folder of a sentence-transformer to embed with in this process.
            reranker: An object with ``rerank(query, passages)``, or a dict of ``url``,
                ``model`` and ``api_key``.
            retrievers: Searches of your own by name, for ``retrievers=`` of `chat`: objects with
                ``retrieve(scope, question, limit)`` that returns or yields passages, best first
                (`types.SourcePassage`: ``source`` and ``text``, and what is known of ``title``,
                ``url``, ``page`` and ``score``), and none that the user of ``scope`` may not see.
            retriever_timeout: Seconds that a retriever may take, 10 by default; the turn goes on
                without one that is slower or fails, with a warning.
            observers: What may refuse turns, and is told of what happens; see `Observer`.
            observer_timeout: Seconds that an observer may take to say whether a turn is allowed,
                1 by default.
            system_prompt: Instructions that open every prompt.
            prefer: The provider whose models answer where nobody names one.
            keys: What stored keys are sealed with (`generate_key`), with ``2:NEW,1:OLD`` for
                rotation.
            allow_private: Hosts and networks that addresses of users may reach although they
                are private, such as ``127.0.0.1`` or ``10.2.0.0/16``.
            blobs: The folder of the documents' bytes.
            schema: Of PostgreSQL: the schema of the tables.
            table_prefix: What the tables' names begin with.
            timeout: Seconds to wait for the database; 10 by default.
            migrate: Whether to bring the schema up to date.
            quotas: ``user_documents``, ``user_bytes``, ``tenant_documents``, ``tenant_bytes``.
            limits: ``answer_bytes`` and ``answer_seconds``.
            isolate: Whether PDF, office files and other risky formats are read in a child
                process.

        Raises:
            InvalidError: An argument is wrong; it is named.
            UnavailableError: The database cannot be reached.
        """
        config, parts = configured(
            url,
            data_dir=data_dir,
            connections=connections,
            providers=providers,
            tools=tools,
            tool_servers=tool_servers,
            embedder=embedder,
            model_dir=model_dir,
            reranker=reranker,
            retrievers=retrievers,
            retriever_timeout=retriever_timeout,
            observers=observers,
            observer_timeout=observer_timeout,
            system_prompt=system_prompt,
            prefer=prefer,
            keys=keys,
            allow_private=allow_private,
            blobs=blobs,
            schema=schema,
            table_prefix=table_prefix,
            row_level_security=row_level_security,
            pool_size=pool_size,
            timeout=timeout,
            migrate=migrate,
            searxng_url=searxng_url,
            brave_api_key=brave_api_key,
            readers=readers,
            max_runs=max_runs,
            max_runs_per_user=max_runs_per_user,
            quotas=quotas,
            limits=limits,
            isolate=isolate,
        )
        if parts.needs_dimensions:
            parts.find_dimensions_sync()
        from .. import _aimate, _log

        _log.start()
        native: _aimate.Engine = _bridge.run(_aimate.open(config, parts.native()))
        if parts.is_written_here:
            _bridge.adopt(native)
        return cls(native)

    @property
    def tenants(self) -> Tenants:
        """All tenants: it is the application that asks here, for no user."""
        return Tenants(self._caller)

    @property
    def is_closed(self) -> bool:
        """Whether it is closed."""
        return self._caller.native.is_closed

    @property
    def running(self) -> int:
        """How many answers are being written."""
        return self._caller.native.running

    def as_user(
        self,
        tenant: str,
        user: str,
        *,
        role: Literal["user", "admin"] | None = None,
        name: str | None = None,
    ) -> User:
        """Returns the same engine for another user, by your own keys of tenant and user: 1 to 255
        bytes each. Both are made when they first ask. It costs nothing to call this for each
        request.

        Args:
            role: What the user may do; by default as it is stored, of a new one ``user``.
            name: The name to show.
        """
        for argument, value in (("tenant", tenant), ("user", user)):
            if not isinstance(value, str):
                raise TypeError(f"{argument}: is a {type(value).__name__}; it is a string")
        return User(Caller(self._caller.native, (tenant, user, role, name)))

    def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 3000,
        allowed_origins: Iterable[str] = (),
        drain: float = 25.0,
        scope: ScopeOf | None = None,
    ) -> Server:
        """Starts the HTTP server: on a loopback address for the local user, without a login; on
        any for whom ``scope`` knows.

        Args:
            port: 0 is a free one; see `Server.url`.
            scope: Who asks: a function, plain or async, of a dict with a request's ``method``,
                ``path`` and ``headers`` (pairs of bytes, names in small letters), that returns
                what `as_user` does, or ``None`` for nobody (401).
            drain: Seconds that streams have to end when it is stopped.

        Raises:
            UnavailableError: The port is taken.
        """
        origins = _listed("allowed_origins", allowed_origins)
        who = None
        if scope is not None:
            from ..asgi import asked_by

            who = asked_by(scope)
            _bridge.adopt(self._caller.native)
        return Server(_bridge.run(self._caller.native.serve(host, port, origins, float(drain), who)))

    def asgi(self, *, scope: ScopeOf | User | None = None) -> AsgiApp:
        """Returns the HTTP API as an ASGI app, to mount into FastAPI, Starlette and others.

        ``scope`` says who asks: a function of the ASGI scope, plain or async, that returns
        what `as_user` does, or ``None`` for nobody (401). By default everybody is the local
        user: then mount it only where nobody else comes.
        """
        from ..asgi import AsgiApp

        return AsgiApp(self, scope)

    def close(self, *, drain: float = 0.0) -> None:
        """Closes the engine: running answers have ``drain`` seconds to become whole, what came of
        the others is stored as interrupted. Closing it again does nothing."""
        _bridge.run(self._caller.native.close(float(drain)))

    def __enter__(self) -> SyncEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.is_closed else 'open'}>"


class Server:
    """An HTTP server of an engine. Leaving it as a context manager stops it; the engine goes on."""

    def __init__(self, native: _aimate.Server) -> None:
        self._native = native

    @property
    def url(self) -> str:
        """Where it is, such as ``http://127.0.0.1:3000``."""
        return self._native.url

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._native.port

    def stop(self) -> None:
        """Stops it, once its connections are closed."""
        _bridge.run(self._native.stop())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.url}>"
