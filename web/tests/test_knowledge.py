"""Collections, documents and answers that cite them."""

import re
from collections.abc import Callable

from chat import Chat
from model import Model
from pdf import pdf
from playwright.sync_api import Page, expect
from server import Server

MANUAL = pdf(
    "The house manual\nFirst page: what is where.",
    "Heating\nThe boiler zephyrine is serviced every May.",
    "Water\nThe main tap is in the cellar.",
)


def collection(server: Server, name: str) -> str:
    return server.call("POST", "/knowledge/collections", {"name": name})["id"]


def test_first_files_make_a_collection(fresh_server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(fresh_server, "/knowledge")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("main").get_by_role("button", name="Choose files").click()
    chooser.value.set_files({"name": "manual.pdf", "mimeType": "application/pdf", "buffer": MANUAL})
    expect(page).to_have_url(re.compile("/knowledge/collections/"))
    document = page.get_by_role("main").get_by_role("link", name=re.compile("manual.pdf"))
    expect(document).to_be_visible()
    expect(page.get_by_role("main").get_by_text("Ready").first).to_be_visible(timeout=60_000)
    found = fresh_server.call("GET", "/knowledge/documents")["data"]
    assert [(one["name"], one["status"]) for one in found] == [("manual.pdf", "ready")]


def test_collection_is_made_changed_and_deleted(server: Server, open_page: Callable[..., Page], key: str) -> None:
    collection(server, f"{key} other")
    page = open_page(server, "/knowledge")
    page.get_by_role("button", name="New collection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(f"{key} manuals")
    dialog.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile("/knowledge/collections/"))
    expect(page.get_by_role("heading", name=f"{key} manuals").first).to_be_visible()
    page.go_back()
    card = page.get_by_role("listitem").filter(has_text=f"{key} manuals")
    card.get_by_role("button").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name=f"{key} manuals")).to_have_count(0)
    found = server.until("/knowledge/collections", lambda found: f"{key} manuals" not in [one["name"] for one in found["data"]])
    assert f"{key} other" in [one["name"] for one in found["data"]]


def test_file_that_cannot_be_read_says_why(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = collection(server, f"{key} broken")
    page = open_page(server, f"/knowledge/collections/{made}")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("main").get_by_role("button", name="Choose files").click()
    chooser.value.set_files([
        {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 and nothing more"},
        {"name": "empty.txt", "mimeType": "text/plain", "buffer": b""},
        {"name": "program.exe", "mimeType": "application/octet-stream", "buffer": b"MZ\x00\x01\x02\x03" * 50},
        {"name": "good.txt", "mimeType": "text/plain", "buffer": b"The good one."},
    ])
    main = page.get_by_role("main")
    expect(main.get_by_text("good.txt")).to_be_visible()
    expect(main.get_by_text(re.compile("broken.pdf")).first).to_be_visible()
    # What the server says of it is shown, and another try is offered.
    expect(page.get_by_text(re.compile("Failed|could not|cannot|not be read", re.I)).first).to_be_visible(timeout=30_000)
    page.watch.allow("Failed to load resource")


def test_document_shows_its_text_and_its_original(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = collection(server, f"{key} shown")
    document = server.document(made, "manual.pdf", MANUAL, "application/pdf")
    assert document["status"] == "ready", document
    page = open_page(server, f"/knowledge/documents/{document['id']}?page=2")
    expect(page.get_by_role("heading", name=re.compile("manual.pdf")).first).to_be_visible()
    expect(page.get_by_role("main").get_by_text(re.compile("serviced every May")).first).to_be_visible()


def test_search_shows_why_a_passage_was_found(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = collection(server, f"{key} searched")
    server.document(made, "manual.pdf", MANUAL, "application/pdf")
    page = open_page(server, f"/knowledge/search?q=boiler+zephyrine&collections={made}")
    expect(page.get_by_role("main").get_by_text(re.compile("serviced every May")).first).to_be_visible()
    page.get_by_role("searchbox").fill("tap cellar")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("main").get_by_text(re.compile("main tap is in the cellar")).first).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=tap"))


def test_cited_answer_opens_the_document_at_its_page(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    made = collection(server, f"{key} cited")
    document = server.document(made, "manual.pdf", MANUAL, "application/pdf")
    question = f"{key} When is the boiler zephyrine serviced?"
    model.script(question, "The boiler is serviced every May [1].")
    conversation = server.call("POST", "/conversations", {"title": f"{key} cites"})
    turn = {"content": question, "knowledge": [made], "stream": False}
    answer = server.call("POST", f"/conversations/{conversation['id']}/messages", turn)
    assert any(part["type"] == "citation" for part in answer["content"]), answer
    page = open_page(server, f"/c/{conversation['id']}")
    mark = Chat(page, server).answers().get_by_role("link", name=re.compile("manual.pdf")).first
    mark.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_text(re.compile("zephyrine is serviced every May")).last).to_be_visible()
    mark.click()
    expect(page).to_have_url(re.compile(rf"/knowledge/documents/{document['id']}.*page=2"))
    expect(page.get_by_role("main").get_by_text(re.compile("serviced every May")).first).to_be_visible()


def test_question_is_answered_from_a_collection_that_is_chosen_in_the_page(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    made = collection(server, f"{key} chosen")
    server.document(made, "manual.pdf", MANUAL, "application/pdf")
    question = f"{key} When is the boiler zephyrine serviced?"
    model.script(question, "Every May [1].")
    chat = Chat(open_page(server), server)
    chat.add("Knowledge")
    chat.page.get_by_role("checkbox", name=re.compile(f"{key} chosen")).check()
    chat.page.keyboard.press("Escape")
    chat.ask_and_wait(question)
    expect(chat.answers().get_by_role("link", name=re.compile("manual.pdf")).first).to_be_visible()


def test_document_is_added_by_dropping_it(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = collection(server, f"{key} dropped")
    page = open_page(server, f"/knowledge/collections/{made}")
    main = page.get_by_role("main")
    expect(main.get_by_role("button", name="Choose files")).to_be_visible()
    transfer = page.evaluate_handle(
        """() => { const transfer = new DataTransfer();
             transfer.items.add(new File(["What was dropped."], "dropped.txt", { type: "text/plain" })); return transfer; }"""
    )
    zone = main.get_by_role("button", name="Choose files")
    for event in ("dragenter", "dragover", "drop"):
        zone.dispatch_event(event, {"dataTransfer": transfer})
    expect(main.get_by_role("link", name=re.compile("dropped.txt"))).to_be_visible()
