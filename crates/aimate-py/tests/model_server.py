"""A model server whose model decides by what it is asked: OpenAI's chat completions, in one process.

It calls the functions that it is offered, else says back what it was shown, so that a test sees in the
answer what reached the model. `python model_server.py 8080` serves it for trying by hand.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator, cast

MODEL = "scripted"
# What it knows without being told.
KNOWN = [
    (r"planet.*humans|humans.*live", "Humans live on Earth."),
    (r"planet.*rings|rings.*planet", "The planet with rings is Saturn."),
    (r"largest countries", "Russia, Canada, China, the United States"),
    (r"count (from 1 )?to 10", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"),
    (r"capital of france", "The capital of France is Paris."),
]
# A passage as aiMate shows it: its number and title on a line, its text below.
PASSAGE = re.compile(r"^\[(\d+)\] [^\n]*\n(.+?)(?=\n\n\[\d+\] |\n\n[^\n]*\Z|\Z)", re.M | re.S)
ESSAY = "Steam rises and water falls, and neither asks the boiler why. ".split(" ")


def text_of(message: dict[str, Any]) -> str:
    """Returns the text of a message, whichever form its content has."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def value(schema: dict[str, Any], question: str, root: dict[str, Any]) -> Any:
    """Returns what fits a JSON Schema: the question in each string, something valid elsewhere."""
    if "$ref" in schema:
        found = root
        for name in schema["$ref"].split("/")[1:]:
            found = found[name]
        return value(found, question, root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            return value(schema[kind][0], question, root)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: value(inner, question, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [value(schema.get("items", {"type": "string"}), question, root)]
    others: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
    return others.get(kind, question)


class Answer:
    """What the model says to one request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.words: list[str] = []
        self.reasoning: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.finish = "stop"
        # Seconds before the first word, and before each one.
        self.pause = (0.0, 0.0)
        shown = [message for message in request["messages"] if message["role"] not in ("system", "developer")]
        self.shown = sum(len(text_of(message).split()) for message in request["messages"])
        questions = [text_of(message) for message in shown if message["role"] == "user"]
        question = questions[-1].rsplit("\n\n", 1)[-1] if questions else ""
        self._answer(request, shown, question)
        most = request.get("max_tokens") or request.get("max_completion_tokens")
        if most and len(self.words) > most and not self.calls:
            self.words, self.finish = self.words[:most], "length"
        if request.get("reasoning_effort") not in (None, "none"):
            self.reasoning = ["I ", "read ", "it ", "and ", "think ", "about ", "it ", "for ", "a ", "while."]

    def _answer(self, request: dict[str, Any], shown: list[dict[str, Any]], question: str) -> None:
        choice = request.get("tool_choice", "auto")
        tools = [tool["function"] for tool in request.get("tools") or []]
        if tools and choice != "none" and shown and shown[-1]["role"] != "tool":
            if isinstance(choice, dict):
                tools = [tool for tool in tools if tool["name"] == choice["function"]["name"]]
            if " and " not in question or request.get("parallel_tool_calls") is False:
                tools = tools[:1]
            for n, tool in enumerate(tools):
                schema = tool.get("parameters") or {}
                arguments = json.dumps(value(schema, question, schema))
                call = {"name": tool["name"], "arguments": arguments}
                self.calls.append({"index": n, "id": f"call_{len(shown)}_{n}", "type": "function", "function": call})
            self.finish = "tool_calls"
            return
        text = self._text(request, shown, question)
        self.words = re.findall(r"\S+\s*|\s+", text)
        if "essay" in question.lower() and shown[-1]["role"] == "user":
            length = (request.get("max_tokens") or request.get("max_completion_tokens") or 100_000) + 1
            self.words = [f"{ESSAY[n % len(ESSAY)]} " for n in range(length)]
            self.pause = (0.3, 0.005)

    def _text(self, request: dict[str, Any], shown: list[dict[str, Any]], question: str) -> str:
        format = request.get("response_format") or {}
        if format.get("type") == "json_schema":
            schema = format["json_schema"]["schema"]
            return json.dumps(value(schema, question, schema))
        if format.get("type") == "json_object":
            return json.dumps({"answer": question})
        for pattern, known in KNOWN:
            if re.search(pattern, question, re.I):
                return known
        said = []
        for message in shown:
            text = text_of(message)
            passages = PASSAGE.findall(text)
            said += [f"{passage} [{n}]" for n, passage in passages]
            # Messages of one role in a row come as paragraphs of one.
            said.append(text.rsplit("\n\n", 1)[-1] if passages else text.replace("\n\n", " "))
        recited = " ".join(text for text in said if text)
        return recited.upper() if "capitals" in question.lower() else recited

    @property
    def usage(self) -> dict[str, int]:
        """Counts words, as the tokens that they are here."""
        said = len(self.words) + len(self.calls) + len(self.reasoning)
        return {"prompt_tokens": self.shown, "completion_tokens": said, "total_tokens": self.shown + said}

    def deltas(self) -> Iterator[dict[str, Any]]:
        """Yields the pieces, at the model's pace."""
        yield {"role": "assistant", "content": ""}
        time.sleep(self.pause[0])
        for piece in self.reasoning:
            yield {"reasoning_content": piece}
        for word in self.words:
            time.sleep(self.pause[1])
            yield {"content": word}
        for call in self.calls:
            yield {"tool_calls": [call]}

    def message(self) -> dict[str, Any]:
        """Returns all of it at once."""
        time.sleep(self.pause[0] + self.pause[1] * len(self.words))
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.words)}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [{name: call[name] for name in ("id", "type", "function")} for call in self.calls]
        return message


class ModelServer(ThreadingHTTPServer):
    """The server; `requests` are the bodies that it was sent."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> ModelServer:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of who hangs up in the middle of an answer: cancelling does that."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Pieces are small and are wanted at once.
    wbufsize = 0

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._json({"error": {"message": f"no {self.path}", "type": "invalid_request_error"}}, 404)
        self._json({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "tests"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/chat/completions":
            return self._json({"error": {"message": f"no {self.path}", "type": "invalid_request_error"}}, 404)
        if body["model"] != MODEL:
            error = {"message": f"The model `{body['model']}` does not exist", "type": "invalid_request_error"}
            return self._json({"error": {**error, "code": "model_not_found"}}, 404)
        cast(ModelServer, self.server).requests.append(body)
        answer = Answer(body)
        head = {"id": "chatcmpl-1", "created": 1, "model": MODEL}
        if not body.get("stream"):
            choice = {"index": 0, "message": answer.message(), "finish_reason": answer.finish}
            return self._json({**head, "object": "chat.completion", "choices": [choice], "usage": answer.usage})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        head["object"] = "chat.completion.chunk"
        for delta in answer.deltas():
            self._event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish}]})
        self._event({**head, "choices": [], "usage": answer.usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

    def _json(self, data: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps quiet."""


if __name__ == "__main__":
    server = ModelServer(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    print(f"OPENAI_BASE_URL={server.url}", flush=True)
    server.serve_forever()
