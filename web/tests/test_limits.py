"""What is counted: bytes, requests, elements. Times are in measure.py."""

import gzip
import re
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chat import Chat
from model import Model, words
from playwright.sync_api import Page, expect
from server import Server

WEB = Path(__file__).parents[1]
MOST_BYTES = 120 * 1024


def assets(server: Server) -> list[str]:
    html = urllib.request.urlopen(f"{server.url}/").read().decode()
    return sorted(set(re.findall(r'(?:href|src)="([^"]*/assets/[^"]+)"', html)))


def test_own_files_are_small(server: Server) -> None:
    found = assets(server)
    assert len(found) == 3, found
    total = 0
    for path in found:
        request = urllib.request.Request(server.url + path, headers={"accept-encoding": "br"})
        with urllib.request.urlopen(request) as response:
            body = response.read()
            assert response.headers["content-encoding"] == "br", path
            assert "immutable" in response.headers["cache-control"], path
            total += len(body)
        request = urllib.request.Request(server.url + path, headers={"accept-encoding": "gzip"})
        assert gzip.decompress(urllib.request.urlopen(request).read())
    assert total <= MOST_BYTES, total


def test_first_paint_takes_six_requests(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(f"{key} one", f"{key} two", title=key)
    page = open_page(server, None)
    page.goto(f"/c/{made['id']}")
    expect(page.get_by_text(f"You said: {key} two")).to_be_visible()
    # A paint has the time at which it is shown, some milliseconds after the page is told of it; and what waits for
    # it waits a second at most.
    seen = page.evaluate(
        """() => { const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
             const before = Math.min(paint, 1000) - 30;
             return performance.getEntriesByType("resource").filter((one) => one.startTime < before).map((one) => one.name); }"""
    )
    # The document itself is one.
    asked = ["the document", *seen]
    assert len(asked) <= 6, asked
    # What the document names for the browser to fetch early is what the page asks for.
    assert len(asked) == len(set(asked)), asked


def test_page_asks_for_little_while_nothing_happens(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(f"{key} one", title=key)
    page = open_page(server, f"/c/{made['id']}")
    expect(page.get_by_text(f"You said: {key} one")).to_be_visible()
    page.wait_for_load_state("networkidle")
    before = len(page.watch.requests)
    page.wait_for_timeout(5000)
    assert len(page.watch.requests) - before <= 1, page.watch.requests[before:]


def test_10_000_messages_open_like_10(fresh_server: Server, open_page: Callable[..., Page], model: Model) -> None:
    """As many elements, as many requests, as many bytes; and each of the messages can be reached."""
    server = fresh_server
    model.script("say ", "Short.")
    small = server.conversation(*[f"say {n}" for n in range(5)], title="small")["id"]
    large = server.conversation(title="large")["id"]
    import_messages(server, large, 10_000)
    sizes = {}
    for name, conversation in (("small", small), ("large", large)):
        page = open_page(server, f"/c/{conversation}")
        expect(Chat(page, server).answers().last).to_be_visible()
        page.wait_for_load_state("networkidle")
        sizes[name] = {
            "elements": page.evaluate("document.querySelectorAll('*').length"),
            "requests": len([url for url in page.watch.requests if "/api/" in url]),
            "bytes": page.evaluate("performance.getEntriesByType('resource').reduce((sum, one) => sum + one.encodedBodySize, 0)"),
        }
    assert sizes["large"]["requests"] <= sizes["small"]["requests"] + 2, sizes
    assert sizes["large"]["elements"] <= sizes["small"]["elements"] + 4000, sizes
    chat = Chat(page, server)
    expect(chat.answers().last).to_contain_text("answer 4999")
    # Upwards, older ones come, and what was read does not jump.
    chat.main.hover()
    for _ in range(60):
        page.mouse.wheel(0, -4000)
        page.wait_for_timeout(30)
    shown = page.evaluate("document.querySelectorAll('article').length")
    assert shown <= 1500, shown
    assert "answer 4999" not in page.evaluate("[...document.querySelectorAll('article')].filter((node) => { const box = node.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight; }).map((node) => node.textContent).join(' ')")


def import_messages(server: Server, conversation: str, count: int) -> None:
    """Writes messages into the database of a server that is stopped meanwhile: through the model they would take minutes."""
    from database import fill_conversation

    server.kill()
    fill_conversation(server.folder / "data", conversation, count)
    server.start()


def test_stream_draws_what_is_new_alone(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    """The elements of blocks that are finished stay the same ones while the answer goes on, and marking a text in them stays."""
    answer = model.script(key, words(1200), hold=200, delay=0.01)
    chat = Chat(open_page(server), server)
    chat.ask(key)
    expect(chat.answers().last.locator("p").first).to_contain_text("word0 ")
    chat.page.evaluate("window.__first = [...document.querySelectorAll('article')].at(-1).querySelector('p'); getSelection().selectAllChildren(window.__first)")
    answer.release()
    expect(chat.answers().last).to_contain_text("word399")
    expect(chat.stop_button).to_be_visible()
    assert chat.page.evaluate("window.__first.isConnected && window.__first.textContent.startsWith('word0 ')")
    assert chat.page.evaluate("getSelection().toString().startsWith('word0 ')")


def test_500_files_at_once(server: Server, open_page: Callable[..., Page], key: str, tmp_path: Path) -> None:
    collection = server.call("POST", "/knowledge/collections", {"name": key})["id"]
    files = []
    for number in range(500):
        path = tmp_path / f"{key}-{number:03}.txt"
        path.write_text(f"{key} file {number}")
        files.append(path)
    page = open_page(server, f"/knowledge/collections/{collection}")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("main").get_by_role("button", name="Choose files").click()
    chooser.value.set_files(files)
    # The page stays quick: it draws a bounded part of them.
    expect(page.get_by_role("region", name="Uploads").or_(page.locator(".upload-tray")).first).to_be_visible()
    for _ in range(600):
        found = server.call("GET", f"/knowledge/collections/{collection}")["document_count"]
        if found == 500:
            break
        page.wait_for_timeout(200)
    assert found == 500
    assert page.evaluate("document.querySelectorAll('*').length") < 12_000


def test_300_citations(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    passages = [{"source": f"s{n}", "text": f"Passage {n}."} for n in range(8)]
    model.script(key, " ".join(f"Sentence {n} [{n % 8 + 1}]." for n in range(300)))
    collection = server.call("POST", "/knowledge/collections", {"name": key})["id"]
    for passage in passages:
        made = server.call("POST", f"/knowledge/collections/{collection}/documents", {"name": passage["source"], "text": f"{key} {passage['text']}"})
        server.settled(made["id"])
    conversation = server.conversation(title=key)["id"]
    server.call("POST", f"/conversations/{conversation}/messages", {"content": key, "knowledge": [collection], "stream": False})
    page = open_page(server, f"/c/{conversation}")
    expect(page.get_by_text("Sentence 299").first).to_be_attached()
    marks = Chat(page, server).answers().last.locator("a.cite")
    assert marks.count() >= 200


def test_requests_of_many_tabs_do_not_starve(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    """Browsers open six connections to a host over HTTP/1.1; streams of many tabs must not use them all up."""
    answers = [model.script(f"{key}-{n}-", words(40), hold=20) for n in range(5)]
    first = open_page(server)
    chats = [Chat(first if n == 0 else open_page(server, "/new", context=first.context), server) for n in range(5)]
    for n, chat in enumerate(chats):
        chat.ask(f"{key}-{n}-")
        expect(chat.answers().last).to_contain_text("word19")
    last = open_page(server, "/knowledge", context=first.context)
    expect(last.get_by_role("heading", name="Knowledge").first).to_be_visible()
    for answer in answers:
        answer.release()
    for chat in chats:
        expect(chat.answers().last).to_contain_text("word39")
