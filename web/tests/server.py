"""The real server on SQLite in a folder of its own, and the requests that tests make beside the page."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECRETS = {
    "JWT_SECRET": "a secret of the tests that is long enough to be one",
    "ENCRYPTION_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Refused(Exception):
    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status


class Server:
    """One process; `kill` and `start` again keep its port and its folder."""

    def __init__(self, binary: Path, folder: Path, model_url: str, accounts: bool = False, **environment: str) -> None:
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token: str | None = None
        self.process: subprocess.Popen | None = None
        own = {
            "AIMATE_DATA_DIR": str(folder / "data"),
            "AIMATE_EMBEDDER": "none",
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": "x",
            "AIMATE_ALLOW_PRIVATE": "127.0.0.1",
            **(SECRETS if accounts else {}),
            **environment,
        }
        # Nothing of the developer's own settings.
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE")}
        self.environment = kept | {name: value for name, value in own.items() if value}

    def start(self) -> "Server":
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--addr", f"127.0.0.1:{self.port}"],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{self.log()[-2000:]}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise RuntimeError(f"the server did not come up:\n{self.log()[-2000:]}")
        return self

    def log(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")

    def kill(self) -> None:
        """As a crash does: nothing is finished."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def call(self, method: str, path: str, body: object = None, token: str | None = None) -> object:
        """A request to the API beside the page; `path` is below `/api/v1`."""
        data = None if body is None else json.dumps(body).encode()
        return self.send(method, path, data, {"content-type": "application/json"}, token)

    def send(self, method: str, path: str, data: bytes | None, headers: dict[str, str], token: str | None = None) -> object:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1{path}", data, headers, method=method)
        if token or self.token:
            request.add_header("authorization", f"Bearer {token or self.token}")
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text else None

    def until(self, path: str, holds: Callable[[Any], object]) -> Any:
        """What is at `path` once it `holds`: the page shows a change before the server has it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            found = self.call("GET", path)
            if holds(found):
                return found
            time.sleep(0.05)
        raise AssertionError(f"it never came true of {path}, which is {json.dumps(found)[:1000]}")

    def conversation(self, *questions: str, **fields: object) -> dict:
        """A conversation in which these were asked and answered."""
        made = self.call("POST", "/conversations", fields)
        for question in questions:
            self.call("POST", f"/conversations/{made['id']}/messages", {"content": question, "stream": False})
        return made

    def messages(self, conversation: str) -> list[dict]:
        return self.call("GET", f"/conversations/{conversation}/messages?limit=200")["data"]

    def texts(self, conversation: str) -> list[str]:
        """The texts of the active branch, in their order."""
        found = self.messages(conversation)
        return ["".join(part.get("text", "") for part in message["content"] if part["type"] == "text") for message in found]

    def document(self, collection: str, name: str, data: bytes, media_type: str) -> dict:
        """Adds a file and waits until it is read."""
        edge = "------page-tests"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {media_type}\r\n\r\n'
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        made = self.send("POST", f"/knowledge/collections/{collection}/documents", body, {"content-type": f"multipart/form-data; boundary={edge}"})
        return self.settled(made["id"])

    def settled(self, document: str) -> dict:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = self.call("GET", f"/knowledge/documents/{document}")
            if found["status"] in ("ready", "failed"):
                return found
            time.sleep(0.1)
        raise RuntimeError(f"the document is not read: {found}")

    def register(self, email: str, password: str = "a good long password", **fields: object) -> str:
        """A new account; gives its access token."""
        return self.call("POST", "/auth/register", {"email": email, "password": password, **fields})["access_token"]
