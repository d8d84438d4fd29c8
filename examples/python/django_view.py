"""aiMate within Django: two views with the blocking engine, in one file.

    pip install aimate django
    python django_view.py runserver --noreload
    curl localhost:8000/ask -d question='When is the boiler serviced?'
    curl -N localhost:8000/stream -d question='When is the boiler serviced?'

Ollama on this machine answers, or OpenAI with OPENAI_API_KEY in the environment. In a project of
yours the engine is opened where it is first asked for, as here, and `user` takes `request.user`.
"""

from __future__ import annotations

import atexit
import sys
import threading
from typing import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

import aimate

if not settings.configured:
    settings.configure(
        DEBUG=True, SECRET_KEY="for-this-example-alone", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"]
    )

_lock = threading.Lock()
_engine: aimate.SyncEngine | None = None


def engine() -> aimate.SyncEngine:
    """Returns the engine of this process. It is not opened at import: servers fork after that."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = aimate.SyncEngine.open("sqlite:django.db")
            atexit.register(_engine.close)
        return _engine


def user(request: HttpRequest) -> aimate.SyncUser:
    return engine().as_user("acme", request.headers.get("x-user", "ann"))


def failed(error: aimate.AimateError) -> JsonResponse:
    return JsonResponse({"code": error.code, "detail": error.detail}, status=error.status)


@csrf_exempt
@require_POST
def ask(request: HttpRequest) -> HttpResponseBase:
    chat = user(request).chat(request.POST["question"])
    try:
        return JsonResponse({"answer": chat.text(), "conversation_id": chat.conversation_id})
    except aimate.AimateError as error:
        return failed(error)


@csrf_exempt
@require_POST
def stream(request: HttpRequest) -> HttpResponseBase:
    events = user(request).chat(request.POST["question"]).sse()
    try:
        # What is wrong with the question is raised here, and becomes a status.
        first = next(events)
    except aimate.AimateError as error:
        return failed(error)

    def lines() -> Iterator[str]:
        # Django closes this when the client is gone, which cancels the run.
        yield first
        yield from events

    return StreamingHttpResponse(lines(), content_type="text/event-stream", headers={"x-accel-buffering": "no"})


urlpatterns = [path("ask", ask), path("stream", stream)]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
