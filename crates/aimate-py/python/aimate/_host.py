"""Running what an application wrote in Python: tools, providers, embedders and so on."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
import inspect
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Coroutine, Iterator

from . import _aimate, _bridge
from ._observer import METHODS, Observer
from .errors import AimateError, UpstreamError

if TYPE_CHECKING:
    from ._aimate import Port, Reply, Sink

logger = logging.getLogger("aimate")

_lock = threading.Lock()
_own: Port | None = None
_own_loop: asyncio.AbstractEventLoop | None = None
_tasks: set[asyncio.Task[None]] = set()
# As many as are needed: a tool in a thread may ask the engine for what needs another thread, such
# as the embedder of a search, and would wait for ever where all of a few are taken by tools.
_threads = ThreadPoolExecutor(10_000, thread_name_prefix="aimate")


def start(function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], reply: Reply) -> asyncio.Task[None]:
    """Runs ``function`` as a task of this loop; the native module calls it."""
    # In a context of its own: that of whoever woke this loop first is nothing to it.
    loop = asyncio.get_running_loop()
    task = contextvars.Context().run(loop.create_task, _answer(function, arguments, reply))
    # A loop holds its tasks weakly.
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def _answer(function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], reply: Reply) -> None:
    try:
        result = await function(*arguments)
    except Exception as error:
        if not isinstance(error, AimateError):
            logger.exception("code of the application raised an exception")
        reply.fail(error)
    except BaseException as error:
        # Cancelled, or the program is ending: who waits has to know, and so has the loop.
        reply.fail(error)
        raise
    else:
        reply.give(result)


def own_port() -> Port:
    """Returns the port of a loop in a thread of the package's own, starting it if need be."""
    global _own
    with _lock:
        if _own is None:
            started = threading.Event()
            thread = threading.Thread(target=_run_loop, args=(started,), name="aimate-loop", daemon=True)
            thread.start()
            started.wait()
        assert _own is not None
        return _own


def _run_loop(started: threading.Event) -> None:
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def main() -> None:
        global _own, _own_loop
        _own_loop = loop
        _own = _bridge.port()
        started.set()
        await over.wait()

    thread = threading.current_thread()

    def stop() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(over.set)
            thread.join(2)

    atexit.register(stop)
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def run_here(work: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine in the loop of the package's own, and waits for it."""
    own_port()
    assert _own_loop is not None
    asyncio.run_coroutine_threadsafe(work, _own_loop).result()


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a thread."""
    run = functools.partial(contextvars.copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads, run)


async def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function: a coroutine function in the loop, any other in a thread."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):
        return await function(*arguments)
    result = await in_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


def provider(name: str, provider: Any) -> dict[str, Any]:
    """Returns what the native module needs of a provider."""
    chat = getattr(provider, "chat", None)
    if not callable(chat):
        raise TypeError(f"providers[{name!r}]: has no method `chat(request)`")

    async def answer(request: dict[str, Any], sink: Sink) -> None:
        events: Any = chat(request)
        if inspect.isawaitable(events):
            events = await events
        if events is None:
            return
        if isinstance(events, (str, dict)):
            await _put(sink, events)
        elif hasattr(events, "__aiter__"):
            try:
                async for event in events:
                    if not await _put(sink, event):
                        break
            finally:
                close = getattr(events, "aclose", None)
                if close is not None:
                    await close()
        else:
            each: Iterator[Any] = iter(events)
            over = object()
            while (event := await in_thread(next, each, over)) is not over:
                if not await _put(sink, event):
                    break

    models: Any = getattr(provider, "models", ())
    if callable(models):
        models = models()
    listed = [{"id": model} if isinstance(model, str) else dict(model) for model in models]
    return {"chat": answer, "models": listed}


async def _put(sink: Sink, event: Any) -> bool:
    waiting = sink.put(event)
    if waiting is False:
        return False
    if waiting is not None:
        await _bridge.run(waiting)
    return True


def embedder(embedder: Any) -> Callable[[list[str], str], Awaitable[Any]]:
    """Returns ``embed`` as the native module calls it."""
    embed = getattr(embedder, "embed", None)
    if not callable(embed):
        raise TypeError("embedder: has no method `embed(texts)`")
    takes_purpose = "purpose" in inspect.signature(embed).parameters

    async def embedded(texts: list[str], purpose: str) -> Any:
        if takes_purpose:
            result = await call(lambda: embed(texts, purpose=purpose)) if not inspect.iscoroutinefunction(embed) else await embed(texts, purpose=purpose)
        else:
            result = await call(embed, texts)
        return _vectors(result)

    return embedded


def _vectors(result: Any) -> Any:
    if hasattr(result, "astype") and hasattr(result, "shape"):  # numpy
        if len(result.shape) != 2:
            raise UpstreamError(f"the embedder returned an array of {len(result.shape)} dimensions; it is one of 2")
        return result.astype("<f4").tobytes(), int(result.shape[1])
    try:
        return [[float(number) for number in row] for row in result]
    except (TypeError, ValueError):
        kind = type(result).__name__
        raise UpstreamError(f"the embedder returned a {kind} that is no list of lists of numbers") from None


def reranker(reranker: Any) -> Callable[[str, list[str]], Awaitable[Any]]:
    """Returns ``rerank`` as the native module calls it."""
    rerank = getattr(reranker, "rerank", None)
    if not callable(rerank):
        raise TypeError("reranker: has no method `rerank(query, passages)`")

    async def reranked(query: str, passages: list[str]) -> list[float]:
        scores = await call(rerank, query, passages)
        return [float(score) for score in scores]

    return reranked


def retriever(name: str, retriever: Any) -> Callable[..., Awaitable[Any]]:
    """Returns ``retrieve`` as the native module calls it."""
    retrieve = getattr(retriever, "retrieve", None)
    if not callable(retrieve):
        raise TypeError(f"retrievers[{name!r}]: has no method `retrieve(scope, question, limit)`")

    async def retrieved(scope: dict[str, Any], question: str, limit: int) -> list[Any]:
        found = await call(retrieve, scope, question, limit)
        if hasattr(found, "__aiter__"):
            return [passage async for passage in found]
        if isinstance(found, (str, bytes, dict)) or not hasattr(found, "__iter__"):
            raise UpstreamError(f"the retriever `{name}` returned a {type(found).__name__}; it is a list of passages")
        # A generator does its work here, and may take its time.
        return found if isinstance(found, list) else await in_thread(list, found)

    return retrieved


def observer(n: int, observer: Any) -> dict[str, Any]:
    """Returns what the native module needs of an observer."""
    methods: dict[str, Callable[..., Awaitable[Any]]] = {}
    for name in METHODS:
        method = getattr(observer, name, None)
        # What does nothing need not be called.
        if callable(method) and getattr(method, "__func__", None) is not getattr(Observer, name):
            methods[name] = functools.partial(call, method)
    if not methods or isinstance(observer, type):
        kind = f"the class {observer.__name__}" if isinstance(observer, type) else f"a {type(observer).__name__}"
        raise TypeError(f"observers[{n}]: is {kind}; it is an object with at least one of {', '.join(METHODS)}")
    fail_closed = getattr(observer, "fail_closed", False)
    if not isinstance(fail_closed, bool):
        raise TypeError(f"observers[{n}].fail_closed: is a {type(fail_closed).__name__}; it is a bool")
    return {"name": type(observer).__name__, "fail_closed": fail_closed, "methods": methods}
