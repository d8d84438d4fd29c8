"""aiMate within a Flask service: the blocking engine, one for all threads.

    pip install aimate flask
    flask --app flask_app run
    curl localhost:5000/ask -H 'x-user: ann' -d question='When is the boiler serviced?'
    curl -N localhost:5000/stream -H 'x-user: ann' -d question='When is the boiler serviced?'

Ollama on this machine answers, or OpenAI with OPENAI_API_KEY in the environment. Under a server
that forks (gunicorn), each worker calls `create_app` for itself, so leave `--preload` out: an
engine that was opened before a fork says so and does no work after it.
"""

from __future__ import annotations

import atexit
from typing import Iterator

from flask import Flask, Response, abort, jsonify, request

import aimate


def create_app() -> Flask:
    app = Flask(__name__)
    engine = aimate.SyncEngine.open("sqlite:flask.db")
    atexit.register(engine.close)
    app.extensions["aimate"] = engine

    def user() -> aimate.SyncUser:
        # Your own login comes here.
        name = request.headers.get("x-user")
        if not name:
            abort(401)
        return engine.as_user("acme", name)

    @app.errorhandler(aimate.AimateError)
    def failed(error: aimate.AimateError) -> tuple[Response, int]:
        return jsonify(code=error.code, detail=error.detail), error.status

    @app.post("/ask")
    def ask() -> Response:
        chat = user().chat(request.form["question"], conversation_id=request.form.get("conversation_id"))
        return jsonify(answer=chat.text(), conversation_id=chat.conversation_id)

    @app.post("/stream")
    def stream() -> Response:
        events = user().chat(request.form["question"]).sse()
        # What is wrong with the question is raised here, and becomes a status.
        first = next(events)

        def lines() -> Iterator[str]:
            # A client that is gone is noticed when the next line is written: the server then
            # closes this generator, which cancels the run.
            yield first
            yield from events

        return Response(lines(), mimetype="text/event-stream", headers={"x-accel-buffering": "no"})

    @app.get("/conversations")
    def conversations() -> Response:
        return jsonify([{"id": one["id"], "title": one["title"]} for one in user().conversations.list()])

    return app
