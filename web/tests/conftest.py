"""What the tests of the page share: a scripted model, a real server, Chromium, and one context for each test."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browser import FLAGS, MISSING, Watch, find_chromium
from chat import Chat
from model import Model
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from server import Server
from tool_server import ToolServer

ROOT = Path(__file__).parents[2]
# A machine that is busy with other things is slow, not wrong.
WAIT = float(os.environ.get("AIMATE_PAGE_WAIT", "15"))
expect.set_options(timeout=WAIT * 1000)


@pytest.fixture(scope="session")
def output() -> Path:
    """Where screenshots go: `page` in the build folder."""
    folder = Path(os.environ.get("AIMATE_PAGE_OUTPUT", ROOT / "target/page"))
    (folder / "screenshots").mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def binary() -> Path:
    path = Path(os.environ.get("AIMATE_BIN", ROOT / "target/debug/aimate"))
    if not path.exists():
        pytest.exit(f"{path} is not there: `cargo build`, or name the server in AIMATE_BIN", 2)
    return path


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = find_chromium()
    if not chromium:
        pytest.skip(MISSING)
    found = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield found
    found.close()


@pytest.fixture(scope="session")
def model() -> Model:
    return Model()


@pytest.fixture(scope="session")
def tool_server() -> ToolServer:
    return ToolServer()


@pytest.fixture(scope="module")
def server(binary: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one person, shared by the tests of a file."""
    made = Server(binary, tmp_path_factory.mktemp("server"), model.url).start()
    yield made
    made.stop()


@pytest.fixture
def fresh_server(binary: Path, model: Model, tmp_path: Path) -> Iterator[Server]:
    """A server of one person with nothing in it, which a test may kill."""
    made = Server(binary, tmp_path / "server", model.url).start()
    yield made
    made.stop()


@pytest.fixture
def accounts_server(binary: Path, model: Model, tmp_path: Path) -> Iterator[Server]:
    """A server with accounts, and nobody who has one yet."""
    made = Server(binary, tmp_path / "server", model.url, accounts=True).start()
    yield made
    made.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a context of its own; a fault in any of them fails the test. `page.watch` hears them."""
    watches: list[Watch] = []
    contexts = []

    def make(server: Server, path: str = "/", *, context: object = None, **options: object) -> Page:
        if context is None:
            options = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options}
            context = browser.new_context(base_url=server.url, **options)
            context.set_default_timeout(WAIT * 1000)
            context.watch = Watch(context, server.url)
            watches.append(context.watch)
            contexts.append(context)
        page = context.new_page()
        page.watch = context.watch
        if path:
            page.goto(path)
        return page

    yield make
    for context in contexts:
        context.close()
    faults = [fault for watch in watches for fault in watch.remaining()]
    assert not faults, "the page did what it must not:\n" + "\n".join(faults[:20])


@pytest.fixture
def page(open_page: Callable[..., Page], server: Server) -> Page:
    return open_page(server)


@pytest.fixture
def chat(page: Page, server: Server, model: Model) -> Chat:
    """The start of a new chat."""
    return Chat(page, server)


@pytest.fixture
def key() -> str:
    """A word that is in no other question."""
    with COUNTER_LOCK:
        COUNTER.append(None)
        return f"question{len(COUNTER):04d}x"


COUNTER: list[None] = []
COUNTER_LOCK = threading.Lock()
