"""Chromium, as it is found on this machine, and a look at everything that a page must not do."""

import os
import re
import shutil
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "no Chromium is on PATH (on Debian: `apt-get install --no-install-recommends chromium`), or name one in CHROMIUM"

# Runs before the page's own scripts: what the policy forbids is told on the console, where it is heard.
LISTENER = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
"""


def find_chromium() -> str | None:
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else NAMES)), None)


class Watch:
    """Hears what goes wrong in a context. `allow(pattern)` names what a test brings about by itself."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.faults: list[str] = []
        self.allowed: list[re.Pattern] = []
        self.requests: list[str] = []
        self.hosts = {urlsplit(url).netloc}
        context.add_init_script(LISTENER)
        context.on("console", lambda message: message.type == "error" and self.fault(f"console: {message.text} ({message.location.get('url', '')})"))
        context.on("weberror", lambda error: self.fault(f"page error: {error.error}"))
        context.on("dialog", self.dialog)
        context.on("request", lambda request: self.request(request.url))

    def dialog(self, dialog: object) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
        else:
            self.fault(f"dialog: {dialog.message}")
            dialog.dismiss()

    def request(self, url: str) -> None:
        self.requests.append(url)
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.netloc not in self.hosts:
            self.fault(f"request to another host: {url}")

    def fault(self, text: str) -> None:
        self.faults.append(text)

    def allow(self, *patterns: str) -> None:
        self.allowed += [re.compile(pattern) for pattern in patterns]

    def remaining(self) -> list[str]:
        return [fault for fault in self.faults if not any(pattern.search(fault) for pattern in self.allowed)]
