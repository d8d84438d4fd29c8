"""aiMate within a FastAPI app: its users, their own routes, and aiMate's API under /ai.

    pip install aimate fastapi uvicorn
    uvicorn fastapi_app:app
    curl -N -H 'x-user: ann' 'localhost:8000/ask?question=Hello'
    curl -H 'x-user: ann' localhost:8000/ai/api/v1/conversations
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import Annotated, Any, AsyncIterator, MutableMapping

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse

import aimate


async def opened() -> aimate.Engine:
    """The engine; tests put another one here."""
    return await aimate.Engine.open(os.environ.get("DATABASE_URL", "sqlite:fastapi_app.db"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with await app.state.opened() as engine:
        app.state.engine = engine
        # aiMate's whole API for whoever is signed in here, at /ai.
        app.mount("/ai", engine.asgi(scope=lambda scope: known(engine, scope)))
        yield


def known(engine: aimate.Engine, scope: MutableMapping[str, Any]) -> aimate.User | None:
    """Who sends a request. A real app looks at its session instead of a header."""
    name = dict(scope["headers"]).get(b"x-user")
    return None if name is None else engine.as_user("acme", name.decode())


app = FastAPI(lifespan=lifespan)
app.state.opened = opened


def signed_in(request: Request, x_user: Annotated[str | None, Header()] = None) -> aimate.User:
    user = None if x_user is None else known(request.app.state.engine, request.scope)
    if user is None:
        raise HTTPException(401, "sign in first")
    return user


@app.exception_handler(aimate.AimateError)
async def failed(request: Request, error: aimate.AimateError) -> JSONResponse:
    return JSONResponse({"code": error.code, "detail": error.detail}, status_code=error.status)


@app.get("/ask")
async def ask(question: str, user: Annotated[aimate.User, Depends(signed_in)]) -> StreamingResponse:
    """Answers as server-sent events. A client that goes away cancels the answer."""

    return StreamingResponse(user.chat(question).sse(), media_type="text/event-stream")


@app.get("/conversations")
async def conversations(user: Annotated[aimate.User, Depends(signed_in)]) -> list[str]:
    return [each["title"] for each in await user.conversations.list()]
