"""Texts that try to run a script, in every place where the page shows text of others. None of them may do anything."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from chat import Chat
from model import Answer, Model
from playwright.sync_api import Page, expect
from safety import VECTORS, assert_harmless
from server import Server
from tool_server import ToolServer

NAMES = VECTORS["names"]
ALL = [vector for kind in VECTORS.values() for vector in kind]


def test_corpus_is_large_enough() -> None:
    assert len(set(ALL)) >= 300


@pytest.mark.parametrize("kind", VECTORS)
def test_questions_and_stored_answers(server: Server, model: Model, open_page: Callable[..., Page], kind: str) -> None:
    """Each text as a question, and as the answer to it, twenty to a conversation."""
    vectors = VECTORS[kind]
    parts = [vectors[at : at + 20] for at in range(0, len(vectors), 20)]

    def fill(at: int, part: list[str]) -> str:
        made = server.call("POST", "/conversations", {"title": f"xss {kind} {at}"})["id"]
        for number, vector in enumerate(part):
            # A question of its own, for the model to know which is meant.
            question = f"{vector}\n\nxss-{kind}-{at}-{number}-"
            model.script(f"xss-{kind}-{at}-{number}-", vector)
            server.call("POST", f"/conversations/{made}/messages", {"content": question, "stream": False})
        return made

    with ThreadPoolExecutor(4) as pool:
        conversations = list(pool.map(lambda pair: fill(*pair), enumerate(parts)))
    page = open_page(server, None)
    for at, (conversation, part) in enumerate(zip(conversations, parts, strict=True)):
        page.goto(f"/c/{conversation}")
        expect(Chat(page, server).questions().last).to_contain_text(f"xss-{kind}-{at}-{len(part) - 1}-")
        page.mouse.move(600, 400)
        assert_harmless(page)


@pytest.mark.parametrize("kind", VECTORS)
def test_streamed_answers(server: Server, model: Model, open_page: Callable[..., Page], kind: str, key: str) -> None:
    """The texts of a kind in one answer that comes a few characters at a time, drawn as it comes."""
    # Those that swallow what follows come last; a fence of their own would end it.
    vectors = sorted(VECTORS[kind], key=lambda vector: ("```" in vector or "~~~" in vector or "<!--" in vector, len(vector)))
    text = "\n\n".join(vectors) + "\n\n"
    size = max(3, len(text) // 1500)
    model.script(key, Answer([text[at : at + size] for at in range(0, len(text), size)], delay=0.002))
    chat = Chat(open_page(server), server)
    chat.ask(key)
    expect(chat.answers()).to_have_count(1)
    while chat.stop_button.count():
        assert_harmless(chat.page)
        chat.page.wait_for_timeout(250)
    assert_harmless(chat.page)
    assert chat.page.evaluate("Boolean(document.querySelector('article')?.textContent.trim())")


def test_answers_cut_at_every_byte(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    """One character at a time, so that every beginning of every text is drawn once."""
    chosen = [kind[at] for kind in VECTORS.values() for at in range(0, len(kind), 7) if len(kind[at]) < 200]
    assert len(chosen) >= 60
    text = "\n\n".join(sorted(chosen, key=lambda vector: "```" in vector or "<!--" in vector)) + "\n\n"
    model.script(key, Answer(list(text), delay=0.001))
    chat = Chat(open_page(server), server)
    # Told at once, not when somebody looks: an element that was there for a moment is an element.
    chat.page.evaluate(
        """() => { window.__seen = []; new MutationObserver((records) => { for (const record of records) for (const node of record.addedNodes)
             if (node.querySelectorAll) for (const inner of [node, ...node.querySelectorAll("*")]) {
               if (["script", "img", "iframe", "object", "embed", "base", "style", "video", "audio", "link", "meta"].includes(inner.localName)) window.__seen.push(inner.outerHTML);
               for (const { name } of inner.attributes) if (/^on/i.test(name)) window.__seen.push(inner.outerHTML); }
           }).observe(document.documentElement, { childList: true, subtree: true }); }"""
    )
    chat.ask(key)
    expect(chat.stop_button).to_be_visible()
    expect(chat.stop_button).to_have_count(0, timeout=180_000)
    assert chat.page.evaluate("window.__seen") == []
    assert_harmless(chat.page)
    chat.page.reload()
    expect(chat.answers().last).to_be_visible()
    assert_harmless(chat.page)


def test_reasoning_and_tool_output(server: Server, model: Model, tool_server: ToolServer, open_page: Callable[..., Page], key: str) -> None:
    made = server.call("POST", "/tools/servers", {"name": "evil", "url": tool_server.url})
    server.call("POST", f"/tools/servers/{made['id']}/test")
    server.call("PUT", f"/tools/servers/{made['id']}/policy", {"weather": "allow"})
    before, tool_server.output = tool_server.output, "\n\n".join(NAMES)
    try:
        model.script(key, Answer(["x"], reasoning=[f"{vector}\n\n" for vector in NAMES], tool=("weather", {"place": "\n".join(NAMES), **{name: name for name in NAMES[:8]}})))
        chat = Chat(open_page(server), server)
        chat.use_tool("weather")
        chat.ask(key)
        expect(chat.main).to_contain_text("The tool said:")
        chat.finished()
        for _ in range(2):
            for fold in chat.main.locator("summary").all():
                fold.click()
            assert_harmless(chat.page)
            chat.page.reload()
            expect(chat.main).to_contain_text("The tool said:")
    finally:
        tool_server.output = before
        server.call("DELETE", f"/tools/servers/{made['id']}")


def test_titles_tags_and_prompts(server: Server, open_page: Callable[..., Page]) -> None:
    for vector in NAMES:
        title = vector.replace("\x00", "")
        made = server.call("POST", "/conversations", {"title": title, "tags": [title[:50]]})
        server.call("PATCH", f"/conversations/{made['id']}", {"is_pinned": len(vector) % 2 == 0})
        server.call("POST", "/prompts", {"title": title, "content": title})
    page = open_page(server)
    sidebar = page.get_by_role("navigation", name="Conversations")
    expect(sidebar.get_by_text(NAMES[0], exact=True).first).to_be_visible()
    assert_harmless(page)
    for vector in NAMES[:6]:
        link = sidebar.get_by_text(vector, exact=True).first
        link.click()
        expect(page.get_by_role("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert vector.split("<")[0] in page.title()
        assert_harmless(page)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()
    assert_harmless(page)
    page.keyboard.press("Escape")
    for path in ("/search?q=executed", "/search?q=" + "%3Cimg%20src%3Dx%20onerror%3Dwindow.__executed%3D1%3E", "/settings/prompts"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert_harmless(page)
    chat = Chat(page, server)
    page.goto("/new")
    chat.composer.press_sequentially("/")
    page.wait_for_timeout(300)
    assert_harmless(page)


def test_collections_documents_and_citations(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    collection = server.call("POST", "/knowledge/collections", {"name": NAMES[0], "description": "\n".join(NAMES)})["id"]
    for vector in NAMES[1:]:
        server.call("POST", "/knowledge/collections", {"name": vector, "description": vector})
    for number, vector in enumerate(NAMES):
        made = server.call("POST", f"/knowledge/collections/{collection}/documents", {"name": f"{vector}{number}.txt", "text": f"{key} zephyrine {vector}\n\n{NAMES[-1]}"})
        if number % 8 == 0:
            server.settled(made["id"])
    documents = server.call("GET", f"/knowledge/documents?collection_id={collection}")["data"]
    for document in documents:
        server.settled(document["id"])
    question = f"{key} zephyrine"
    model.script(question, "See " + " ".join(f"[{n}]" for n in range(1, 9)))
    conversation = server.call("POST", "/conversations", {"title": key})["id"]
    server.call("POST", f"/conversations/{conversation}/messages", {"content": question, "knowledge": [collection], "stream": False})
    paths = ["/knowledge", f"/knowledge/collections/{collection}", f"/knowledge/search?q={key}+zephyrine", f"/c/{conversation}"]
    paths += [f"/knowledge/documents/{document['id']}" for document in documents[:4]]
    page = open_page(server, None)
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert_harmless(page)
    page.goto(f"/c/{conversation}")
    marks = Chat(page, server).answers().last.get_by_role("link")
    expect(marks.first).to_be_visible()
    for mark in marks.all()[:4]:
        mark.hover()
        page.wait_for_timeout(200)
        assert_harmless(page)


def test_files_that_are_pages_or_drawings(server: Server, open_page: Callable[..., Page], key: str) -> None:
    """Originals are shown in a frame: one that is a page or a drawing with a script must not run it."""
    collection = server.call("POST", "/knowledge/collections", {"name": key})["id"]
    script = "<script>try { parent.__executed = 1 } catch {} window.__executed = 1</script>"
    files = {
        "page.html": (f"<!doctype html><h1>Hello</h1>{script}<img src=x onerror='parent.__executed=1'>", "text/html"),
        "drawing.svg": (f"<svg xmlns='http://www.w3.org/2000/svg' onload='parent.__executed=1'>{script}<text>x</text></svg>", "image/svg+xml"),
        "notes.md": (f"# Hello\n\n{script}\n\n[x](javascript:parent.__executed=1)", "text/markdown"),
        "false.pdf": (f"<html>{script}</html>", "application/pdf"),
        "xhtml.xhtml": (f"<html xmlns='http://www.w3.org/1999/xhtml'><body>{script}</body></html>", "application/xhtml+xml"),
    }
    page = open_page(server, None)
    page.watch.allow("Failed to load resource")
    for name, (text, media_type) in files.items():
        document = server.document(collection, name, text.encode(), media_type)
        page.goto(f"/knowledge/documents/{document['id']}")
        expect(page.get_by_role("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        for tab in page.get_by_role("tab").all() or page.get_by_role("main").get_by_role("button", name="Original").all():
            tab.click()
            page.wait_for_timeout(200)
            assert_harmless(page)
        assert_harmless(page)


def test_model_connection_and_workspace_names(binary: object, tmp_path: object, open_page: Callable[..., Page]) -> None:
    model = Model()
    model.names = [vector.replace(" ", "_") for vector in NAMES] + ["scripted"]
    server = Server(binary, tmp_path / "server", model.url).start()
    try:
        for number, vector in enumerate(NAMES[:8]):
            server.call("POST", "/workspaces", {"name": vector})
            server.call("POST", "/tools/servers", {"name": f"t{number}", "url": f"http://127.0.0.1:9/{number}"})
        page = open_page(server)
        page.watch.allow("Failed to load resource")
        chat = Chat(page, server)
        chat.model_button.click()
        page.wait_for_timeout(300)
        assert_harmless(page)
        page.keyboard.press("Escape")
        chat.ask_and_wait("hello")
        assert_harmless(page)
        for path in ("models", "connections", "workspaces", "tools", "usage", "audit", "health", "budgets"):
            page.goto(f"/settings/{path}")
            page.wait_for_load_state("networkidle")
            assert_harmless(page)
    finally:
        server.stop()


def test_addresses(server: Server, open_page: Callable[..., Page]) -> None:
    """What stands in the address is text of others, too."""
    page = open_page(server, None)
    page.watch.allow("Failed to load resource")
    from urllib.parse import quote

    for vector in NAMES:
        for path in (f"/c/{quote(vector, safe='')}", f"/search?q={quote(vector)}", f"/knowledge/search?q={quote(vector)}&collections={quote(vector)}", f"/settings/{quote(vector, safe='')}", f"/shared/{quote(vector, safe='')}"):
            page.goto(path)
        page.goto(f"/knowledge/documents/x?page={quote(vector)}&chunk={quote(vector)}")
        expect(page.get_by_role("main").first).to_be_attached()
        assert_harmless(page)


def test_what_is_pasted_stays_text(chat: Chat, key: str) -> None:
    for vector in NAMES:
        chat.composer.evaluate(
            """(node, text) => { const data = new DataTransfer(); data.setData("text/html", text); data.setData("text/plain", text);
                 node.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }""",
            vector,
        )
    assert_harmless(chat.page)


def test_events_of_a_hostile_server_are_text(chat: Chat, model: Model, key: str) -> None:
    """Errors of a model server are shown as its words."""
    answer = model.script(key, "x")
    answer.status = 400
    chat.ask(key + NAMES[0])
    expect(chat.questions().last).to_contain_text(NAMES[0])
    chat.page.wait_for_timeout(500)
    assert_harmless(chat.page)
