"""The HTTP API within the process: as a server, and as an ASGI app."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

import aimate
from aimate import SyncEngine
from aimate.asgi import AsgiApp
from aimate.testing import Scripted, hangs, says
from conftest import until


def get(url: str, body: Any = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def test_server_runs_beside_the_engine(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        async with await engine.serve(port=0) as server:
            status, body = await asyncio.to_thread(get, f"{server.url}/health")
            assert status == 200 and json.loads(body)["status"] == "healthy"
            asked = {"model": "scripted/test", "messages": [{"role": "user", "content": "Hi"}]}
            status, body = await asyncio.to_thread(get, f"{server.url}/v1/chat/completions", asked)
            assert json.loads(body)["choices"][0]["message"]["content"] == "Hello there"
            assert server.port in range(1, 65536) and str(server.port) in repr(server)
        with pytest.raises(OSError):
            await asyncio.to_thread(get, f"{server.url}/health")
        # The engine goes on.
        assert await engine.chat("x").text() == "Hello there"


async def test_server_is_for_this_machine_alone(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        with pytest.raises(aimate.InvalidError, match="host"):
            await engine.serve(host="0.0.0.0", port=0)
        async with await engine.serve(port=0) as server:
            with pytest.raises(aimate.UnavailableError, match=str(server.port)):
                await engine.serve(port=server.port)


def test_blocking_engine_serves(engine: SyncEngine) -> None:
    with engine.serve(port=0) as server:
        assert get(f"{server.url}/api/v1/conversations") == (200, b'{"data":[],"next_cursor":null}')


def test_server_asks_who_it_is(engine: SyncEngine) -> None:
    async def who(request: Any) -> Any:
        name = dict(request["headers"]).get(b"x-user")
        if name == b"broken":
            raise KeyError(name)
        return None if name is None else engine.as_user("acme", name.decode())

    def ask(url: str, user: str | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(url, headers={} if user is None else {"x-user": user})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    engine.as_user("acme", "ann").conversations.create(title="mine")
    with engine.serve(port=0, scope=who) as server:
        url = f"http://127.0.0.1:{server.port}/api/v1/conversations"
        assert ask(url)[0] == 401
        assert b'"title":"mine"' in ask(url, "ann")[1]
        assert json.loads(ask(url, "bob")[1])["data"] == []
        status, body = ask(url, "broken")
        assert status == 502 and b"KeyError" in body


class Client:
    """Calls an ASGI app as a server does."""

    def __init__(self, app: Any, *, root_path: str = "") -> None:
        self.app = app
        self.root_path = root_path

    async def send(
        self, method: str, path: str, body: bytes = b"", *, headers: dict[str, str] | None = None, leave: bool = False
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[Any] = []
        begun = asyncio.Event()
        is_asked = False

        async def receive() -> dict[str, Any]:
            nonlocal is_asked
            if not is_asked:
                is_asked = True
                return {"type": "http.request", "body": body, "more_body": False}
            if leave:
                await begun.wait()
                return {"type": "http.disconnect"}
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Any) -> None:
            sent.append(message)
            if message.get("body"):
                begun.set()

        given = {"content-type": "application/json", **(headers or {})}
        if body:
            given["content-length"] = str(len(body))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            # As servers do it: decoded, and as it came.
            "path": unquote(self.root_path + path),
            "raw_path": (quote(self.root_path) + path).encode(),
            "root_path": self.root_path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        await self.app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:])


async def test_asgi_app_answers_and_streams(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        client = Client(engine.asgi())
        status, headers, body = await client.send("GET", "/api/v1/conversations?limit=5")
        assert status == 200 and headers["content-type"] == "application/json" and json.loads(body)["data"] == []
        status, headers, body = await client.send("POST", "/api/v1/messages", b'{"content": "Hi"}')
        assert headers["content-type"].startswith("text/event-stream")
        assert body.startswith(b"id: 1\nevent: started\n") and b"event: finished" in body
        status, _, body = await client.send("POST", "/api/v1/conversations")
        assert status == 201, body
        status, _, body = await client.send("GET", "/api/v1/conversations/x")
        assert status == 404 and json.loads(body)["code"] == "not_found"
        status, _, body = await client.send("POST", "/api/v1/messages", b"nonsense")
        assert status == 400


async def test_client_that_leaves_ends_its_stream(scripted: Scripted) -> None:
    scripted.push([says("a"), hangs()])
    async with await scripted.open() as engine:
        body = b'{"content": "Hi", "on_disconnect": "cancel"}'
        await Client(engine.asgi()).send("POST", "/api/v1/messages", body, leave=True)
        await until(lambda: engine.running == 0 and scripted.open_answers == 0)


async def test_asgi_app_knows_where_it_is_mounted(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        client = Client(engine.asgi(), root_path="/ai")
        status, headers, body = await client.send("POST", "/api/v1/conversations", b"{}")
        assert status == 201 and headers["location"].startswith("/ai/api/v1/conversations/")
        status, _, body = await client.send("GET", "/openapi.json")
        assert status == 200 and b"/ai/api/v1/conversations" in body or b'"url":"/ai"' in body


@pytest.mark.parametrize("mounted", ["/büro", "/my app", "/a/b.c", "/%/:x/*", "/日本/語"])
async def test_asgi_app_is_mounted_under_any_path(scripted: Scripted, mounted: str) -> None:
    async with await scripted.open() as engine:
        client = Client(engine.asgi(), root_path=mounted)
        status, headers, body = await client.send("POST", "/api/v1/conversations", b'{"title": "x"}')
        assert status == 201 and headers["location"].startswith(f"{quote(mounted)}/api/v1/conversations/")
        # Whoever follows it, in a server that keeps the prefix and in one that does not.
        path = headers["location"].removeprefix(quote(mounted))
        assert json.loads((await client.send("GET", path))[2])["title"] == "x"
        scope = {"type": "http", "method": "GET", "path": unquote(path), "root_path": mounted, "headers": []}
        sent: list[Any] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await engine.asgi()({**scope, "raw_path": path.encode(), "query_string": "q=ü".encode()}, receive, send)
        assert sent[0]["status"] == 200
        with pytest.raises(aimate.InvalidError, match="at most 500 bytes"):
            await Client(engine.asgi(), root_path="/" + "x" * 500).send("GET", "/health")


async def test_asgi_app_takes_the_engine_of_the_running_app(scripted: Scripted) -> None:
    engines: list[Any] = []
    client = Client(AsgiApp(lambda: engines[-1]))
    for _ in range(2):
        async with await scripted.open() as engine:
            engines.append(engine)
            status, _, body = await client.send("GET", "/api/v1/conversations")
            assert status == 200 and json.loads(body)["data"] == []


async def test_asgi_scope_says_who_asks(scripted: Scripted) -> None:
    async with await scripted.open() as engine:

        async def who(scope: Any) -> Any:
            headers = dict(scope["headers"])
            name = headers.get(b"x-user")
            return None if name is None else engine.as_user("acme", name.decode())

        client = Client(engine.asgi(scope=who))
        status, _, body = await client.send("GET", "/api/v1/conversations")
        assert status == 401 and json.loads(body)["code"] == "unauthenticated"
        await client.send("POST", "/api/v1/conversations", b'{"title": "mine"}', headers={"x-user": "ann"})
        _, _, body = await client.send("GET", "/api/v1/conversations", headers={"x-user": "ann"})
        assert [each["title"] for each in json.loads(body)["data"]] == ["mine"]
        _, _, body = await client.send("GET", "/api/v1/conversations", headers={"x-user": "bob"})
        assert json.loads(body)["data"] == []
        one = Client(engine.asgi(scope=engine.as_user("acme", "ann")))
        _, _, body = await one.send("GET", "/api/v1/conversations")
        assert len(json.loads(body)["data"]) == 1


async def test_lifespan_is_answered(scripted: Scripted) -> None:
    async with await scripted.open() as engine:
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await engine.asgi()({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_upload_through_asgi_is_a_document(scripted: Scripted) -> None:
    fastapi = pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    engine = scripted.open_sync()
    app = fastapi.FastAPI()
    app.mount("/ai", engine.asgi())
    with testclient.TestClient(app) as client:
        made = client.post("/ai/api/v1/knowledge/collections", json={"name": "docs"}).json()
        path = f"/ai/api/v1/knowledge/collections/{made['id']}/documents"
        added = client.post(path, files={"file": ("a.txt", b"The boiler is in the cellar. " * 20_000)})
        assert added.status_code == 202 and added.json()["name"] == "a.txt"
        assert client.get("/ai/health").json()["status"] == "healthy"
    engine.close()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "aimate", *arguments], capture_output=True, text=True, timeout=60)


def test_command_is_the_binarys(tmp_path: Path) -> None:
    assert command("--version").stdout.startswith("aimate ")
    assert command("nonsense").returncode == 2
    (tmp_path / "note.md").write_text("The boiler is in the cellar.")
    folder = ["--data-dir", str(tmp_path / "data")]
    done = command("ingest", str(tmp_path / "note.md"), "--collection", "docs", "--json", *folder)
    assert done.returncode == 0, done.stderr
    found = command("search", "boiler", "--json", *folder)
    assert "cellar" in found.stdout, found.stderr
    # What one wrote, the other reads.
    with SyncEngine.open(data_dir=tmp_path / "data", connections=[]) as engine:
        assert engine.knowledge.search("boiler")[0]["text"] == "The boiler is in the cellar."
        engine.conversations.create(title="of Python")
    process = subprocess.Popen(
        [sys.executable, "-m", "aimate", "serve", "--addr", "127.0.0.1:0", *folder],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    try:
        assert process.stdout is not None
        lines = (line.strip() for line in process.stdout)
        url = next(line.split()[-1] for line in lines if line.startswith("open")).rstrip("/")
        threading.Thread(target=lambda: list(lines), daemon=True).start()
        assert b"of Python" in get(f"{url}/api/v1/conversations")[1]
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_risky_formats_are_read_in_a_child_process(tmp_path: Path, scripted: Scripted) -> None:
    page = b"<html><body><h1>Reset</h1><p>Hold the red button.</p></body></html>"
    with scripted.open_sync() as engine:
        document = engine.knowledge.add_bytes("page.html", page)
        assert document["status"] == "ready"
        assert "red button" in engine.knowledge.chunks(document["id"])[0]["text"]
