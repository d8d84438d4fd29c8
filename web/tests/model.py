"""A scripted model server over OpenAI's protocol: a test says what is answered to which question."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARKDOWN = """# A title

A paragraph with **bold**, *emphasis*, `code` and a [link](https://example.com/a?b=c).

- one
- two
  - nested
- [x] done
- [ ] to do

| Name | Number |
|---|--:|
| alpha | 1 |
| beta | 22 |

```rust
fn main() {
    // says hello
    println!("Hello {}", 42);
}
```

A formula $e^{i\\pi} + 1 = 0$ and

$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$

> A quotation of somebody.

![A picture](https://example.org/p.png)

1. first
2. second

The end.[^1]

[^1]: A footnote.
"""


@dataclass
class Answer:
    """What the model says: `pieces`, `delay` seconds after each, and at `hold` pieces a wait until `release()`.

    A piece that is `None` breaks the connection off.
    """

    pieces: list[str | None]
    delay: float = 0.0
    hold: int | None = None
    reasoning: list[str] = field(default_factory=list)
    tool: tuple[str, dict] | None = None
    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        return "".join(filter(None, self.pieces))

    def release(self) -> None:
        self.gate.set()


def words(count: int, paragraph: int = 40) -> list[str]:
    """`word0 word1 …`, in paragraphs."""
    return [f"word{n} " + ("\n\n" if n % paragraph == paragraph - 1 else "") for n in range(count)]


class Model:
    """The server. `asked` lists the questions that came, each as often as it came."""

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.requests: list[dict] = []
        self.names = ["scripted", "scripted-large", "other-model"]
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.reply(200, {"object": "list", "data": [{"id": name} for name in model.names]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                model.requests.append(body)
                answer = model.answer_to(body)
                if answer.status != 200:
                    return self.reply(answer.status, {"error": {"message": "the model is out of memory"}})
                if not body.get("stream"):
                    message = {"role": "assistant", "content": answer.text, "reasoning_content": "".join(answer.reasoning) or None}
                    if answer.tool:
                        message["tool_calls"] = [tool_call(answer.tool, body)]
                    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.tool else "stop"}
                    return self.reply(200, {"id": "1", "object": "chat.completion", "model": body.get("model"), "choices": [choice], "usage": USAGE})
                try:
                    self.stream(answer, body)
                except OSError:
                    # Whoever asked has gone.
                    self.close_connection = True

            def reply(self, status: int, value: object) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def stream(self, answer: Answer, body: dict) -> None:
                name = body.get("model")
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.close_connection = True

                def say(delta: dict, finish: str | None = None, **extra: object) -> None:
                    choice = {"index": 0, "delta": delta, "finish_reason": finish}
                    chunk = {"id": "1", "object": "chat.completion.chunk", "model": name, "choices": [choice], **extra}
                    self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                    self.wfile.flush()

                for piece in answer.reasoning:
                    say({"reasoning_content": piece})
                    time.sleep(0.01)
                if answer.tool:
                    say({"tool_calls": [{"index": 0, **tool_call(answer.tool, body)}]})
                start = time.monotonic()
                for number, piece in enumerate(answer.pieces):
                    if answer.hold == number:
                        answer.held.set()
                        answer.gate.wait(60)
                        start = time.monotonic() - number * answer.delay
                    if piece is None:
                        # As a server that crashes does.
                        return
                    say({"content": piece})
                    # Kept to the clock, so that a stream is as fast as it was asked to be.
                    wait = start + (number + 1) * answer.delay - time.monotonic()
                    if wait > 0:
                        time.sleep(wait)
                say({}, "tool_calls" if answer.tool else "stop", usage=USAGE)
                self.wfile.write(b"data: [DONE]\n\n")

        class Threads(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                # A server that was killed leaves its connections open.
                pass

        self.http = Threads(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def script(self, question: str, answer: "Answer | str | list[str]", **options: object) -> Answer:
        """From now on, `question` gets this answer."""
        if isinstance(answer, str):
            answer = [answer]
        if isinstance(answer, list):
            answer = Answer(answer, **options)
        self.answers[question] = answer
        return answer

    def answer_to(self, body: dict) -> Answer:
        messages = body.get("messages", [])
        questions = [text_of(message) for message in messages if message.get("role") == "user"]
        question = questions[-1] if questions else ""
        if messages and messages[-1].get("role") == "tool":
            return Answer(["The tool said: ", text_of(messages[-1])[:5000]])
        if body.get("stream"):
            self.asked.append(question)
        # The longest that fits: what is sent may have passages of documents around the question.
        fitting = [key for key in self.answers if key in question]
        if fitting:
            return self.answers[max(fitting, key=len)]
        if "markdown" in question:
            return Answer([MARKDOWN[at : at + 12] for at in range(0, len(MARKDOWN), 12)])
        return Answer([f"You said: {question}"])

    def times_asked(self, question: str) -> int:
        return sum(question in asked for asked in self.asked)


USAGE = {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50}


def tool_call(tool: tuple[str, dict], body: dict) -> dict:
    wanted, arguments = tool
    # As the server calls it to models: with the name of its tool server before it.
    offered = (one["function"]["name"] for one in body.get("tools", []))
    call = {"name": next((name for name in offered if wanted in name), wanted), "arguments": json.dumps(arguments)}
    return {"id": f"call_{time.monotonic_ns()}", "type": "function", "function": call}


def text_of(message: dict) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
