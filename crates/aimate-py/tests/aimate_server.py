"""The command ``aimate serve`` in a process of its own, for tests that are clients of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import aimate

# Another build than the module beside the package, to try the tests on.
COMMAND = [os.environ["AIMATE_BIN"]] if "AIMATE_BIN" in os.environ else [sys.executable, "-m", "aimate"]
PASSWORD = "Kr9XvQt2LmWz5NcHg7Yd"


class AimateServer:
    """The server over a folder, with the model of an OpenAI-like server; of accounts, if there are secrets."""

    def __init__(self, folder: Path, model_url: str, **secrets: str) -> None:
        self._folder = ["--data-dir", str(folder / "data")]
        path = os.pathsep.join([str(Path(aimate.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        self._env = {
            **os.environ,
            "PYTHONPATH": path,
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": "any",
            # Nobody listens there: what answers on a developer's machine is left out.
            "OLLAMA_HOST": "127.0.0.1:9",
            **secrets,
        }
        self._log = folder / "server.log"
        self.url = ""

    def __enter__(self) -> AimateServer:
        arguments = ["serve", "--addr", "127.0.0.1:0", "--drain", "0", *self._folder]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, env=self._env
            )
        assert self._process.stdout is not None
        lines = iter(self._process.stdout)
        for line in lines:
            found = re.match(r"\s*open\s+(http://\S+?)/?\s*$", line)
            if found:
                self.url = found[1]
                break
        assert self.url, self._log.read_text()
        # A pipe that nobody reads would stop it.
        threading.Thread(target=lambda: list(lines), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()

    def log(self) -> str:
        """Returns what the server wrote down."""
        return self._log.read_text()

    def command(self, *arguments: str, **options: Any) -> str:
        """Runs another command of the binary over the same folder and returns what it says."""
        command = [*COMMAND, *arguments, *self._folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self._env, **options)
        assert done.returncode == 0, done.stderr
        return str(done.stdout).strip()

    def token(self, email: str) -> str:
        """Makes an account and returns an API token of it."""
        self.command("user", "add", email, "--password-stdin", input=f"{PASSWORD}\n")
        return self.command("token", "create", email, "--name", "test", "--scope", "read,write")
