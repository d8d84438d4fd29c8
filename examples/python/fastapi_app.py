"""aiMate within a FastAPI service: answers as server-sent events, each user with conversations and
documents of their own, and the whole of aiMate's HTTP API under /ai for the same users.

    pip install aimate fastapi uvicorn
    uvicorn --factory fastapi_app:create_app --timeout-graceful-shutdown 5
    curl -N localhost:8000/chat -H 'authorization: Bearer ann' -H 'content-type: application/json' \\
        -d '{"question": "When is the boiler serviced?"}'
    curl localhost:8000/ai/api/v1/conversations -H 'authorization: Bearer ann'

Ollama on this machine answers, or OpenAI with OPENAI_API_KEY in the environment.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated, Any, AsyncIterator, MutableMapping

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

import aimate
from aimate.asgi import AsgiApp, Receive, Send

# Your own login comes here: whose token it is, as your keys of company and person.
TOKENS = {"ann": ("acme", "ann"), "bob": ("acme", "bob"), "eve": ("other", "eve")}

# Proxies end connections on which nothing comes for a minute or so.
HEARTBEAT = 15.0


def user_of(scope: MutableMapping[str, Any]) -> aimate.User | None:
    """Returns the engine for the user of a request, who is made when they first ask."""
    authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    found = TOKENS.get(authorization.removeprefix("Bearer "))
    engine: aimate.Engine = scope["app"].state.engine
    return None if found is None else engine.as_user(*found)


def current_user(request: Request) -> aimate.User:
    user = user_of(request.scope)
    if user is None:
        raise HTTPException(401, "say who you are: `Authorization: Bearer ann`")
    return user


class Question(BaseModel):
    question: str
    conversation_id: str | None = None
    collections: list[str] | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with await aimate.Engine.open("sqlite:fastapi_app.db") as engine:
        app.state.engine = engine
        yield
        # Answers that are being written have a moment to become whole.
        await engine.aclose(drain=5)


def create_app() -> FastAPI:
    """Makes the app, which opens its engine when it is started; tests start it more than once."""
    app = FastAPI(lifespan=lifespan)
    app.mount("/ai", AsgiApp(lambda: app.state.engine, scope=user_of))

    @app.exception_handler(aimate.AimateError)
    async def failed(request: Request, error: aimate.AimateError) -> JSONResponse:
        return JSONResponse({"code": error.code, "detail": error.detail}, error.status)

    @app.post("/chat")
    async def chat(user: Annotated[aimate.User, Depends(current_user)], asked: Question) -> EventStream:
        answer = user.chat(
            asked.question, conversation_id=asked.conversation_id, knowledge=asked.collections, tags=["fastapi"]
        )
        events = answer.sse()
        # What is wrong with the question itself is raised here, and becomes a status: it is too
        # late for one once the stream has begun.
        first = await anext(events)
        return EventStream(answer, with_heartbeat(first, events))

    return app


class EventStream(StreamingResponse):
    """Server-sent events that end the chat with themselves.

    A client that goes away ends the response, and so cancels the run: the model stops, and what
    came of the answer is stored. Leaving it to the generator would do the same, but only when
    Python finds that nobody has it any more: under middleware that may be much later.
    """

    def __init__(self, answer: aimate.Chat, content: AsyncIterator[str]) -> None:
        # Proxies would keep the events to themselves otherwise.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self.answer = answer

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async with self.answer:
            await super().__call__(scope, receive, send)


async def with_heartbeat(first: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Adds a comment where nothing comes for a while."""
    yield first
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT)
            if not done:
                yield ": waiting\n\n"
                continue
            event = coming.result()
            if event is None:
                return
            yield event
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()
