"""The sidebar, search and the palette."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect
from server import Server


def sidebar(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Conversations")


def row(page: Page, title: str) -> Locator:
    return sidebar(page).get_by_role("link", name=title, exact=True)


def choose(page: Page, title: str, item: str) -> None:
    """Opens the menu of a conversation and takes an item of it."""
    row(page, title).hover()
    sidebar(page).get_by_role("button", name=f"What to do with {title}", exact=True).click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def undo(page: Page) -> None:
    page.get_by_role("status").get_by_role("button", name="Undo").last.click()


def test_conversation_is_renamed_in_place(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(title=f"{key} old")
    page = open_page(server)
    choose(page, f"{key} old", "Rename")
    field = sidebar(page).get_by_role("textbox", name="Title")
    expect(field).to_be_focused()
    field.fill(f"{key} new")
    field.press("Enter")
    expect(row(page, f"{key} new")).to_be_visible()
    server.until(f"/conversations/{made['id']}", lambda found: found["title"] == f"{key} new")
    page.reload()
    expect(row(page, f"{key} new")).to_be_visible()


def test_change_outlives_the_page_that_made_it(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(title=f"{key} old")
    page = open_page(server)
    page.evaluate("""() => {
        const real = window.fetch;
        window.__kept = [];
        window.fetch = (url, options) => (options?.method === "PATCH" && window.__kept.push(options.keepalive), real(url, options));
    }""")
    choose(page, f"{key} old", "Rename")
    field = sidebar(page).get_by_role("textbox", name="Title")
    field.fill(f"{key} new")
    field.press("Enter")
    expect(row(page, f"{key} new")).to_be_visible()
    # A browser gives up what is on its way when the page goes, but for such requests.
    assert page.evaluate("window.__kept") == [True]
    page.goto("about:blank")
    server.until(f"/conversations/{made['id']}", lambda found: found["title"] == f"{key} new")


def test_escape_leaves_the_name_as_it_was(server: Server, open_page: Callable[..., Page], key: str) -> None:
    server.conversation(title=f"{key} kept")
    page = open_page(server)
    row(page, f"{key} kept").focus()
    page.keyboard.press("F2")
    page.keyboard.type("something else")
    page.keyboard.press("Escape")
    expect(row(page, f"{key} kept")).to_be_focused()


def test_pinned_conversation_is_first(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = [server.conversation(title=f"{key} {number}") for number in range(3)]
    page = open_page(server)
    choose(page, f"{key} 0", "Pin")
    pinned = sidebar(page).get_by_role("region", name="Pinned")
    expect(pinned.get_by_role("link", name=f"{key} 0", exact=True)).to_be_visible()
    server.until(f"/conversations/{made[0]['id']}", lambda found: found["is_pinned"])
    page.reload()
    expect(pinned.get_by_role("link", name=f"{key} 0", exact=True)).to_be_visible()
    above, below = row(page, f"{key} 0").bounding_box(), row(page, f"{key} 2").bounding_box()
    assert above["y"] < below["y"]
    choose(page, f"{key} 0", "Unpin")
    expect(pinned.get_by_role("link", name=f"{key} 0", exact=True)).to_have_count(0)


def test_archived_conversation_comes_back_by_undo(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(title=f"{key} put away")
    page = open_page(server)
    choose(page, f"{key} put away", "Archive")
    expect(row(page, f"{key} put away")).to_have_count(0)
    expect(page.get_by_text("Archived.")).to_be_visible()
    server.until(f"/conversations/{made['id']}", lambda found: found["is_archived"])
    undo(page)
    expect(row(page, f"{key} put away")).to_be_visible()
    server.until(f"/conversations/{made['id']}", lambda found: not found["is_archived"])
    page.reload()
    expect(row(page, f"{key} put away")).to_be_visible()


def test_deleted_conversation_comes_back_by_undo(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(f"{key} hello", title=f"{key} deleted")
    page = open_page(server, f"/c/{made['id']}")
    choose(page, f"{key} deleted", "Delete")
    expect(row(page, f"{key} deleted")).to_have_count(0)
    undo(page)
    expect(row(page, f"{key} deleted")).to_be_visible()
    # Where it was open, it is open again, with what was said.
    expect(page).to_have_url(re.compile(made["id"]))
    expect(page.get_by_text(f"You said: {key} hello")).to_be_visible()


def test_deleted_conversation_is_gone_after_the_page_is_left(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(title=f"{key} gone")
    page = open_page(server)
    choose(page, f"{key} gone", "Delete")
    expect(row(page, f"{key} gone")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    expect(row(page, f"{key} gone")).to_have_count(0)
    server.until("/conversations?limit=200", lambda found: made["id"] not in [one["id"] for one in found["data"]])


def test_tags_are_added(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(title=f"{key} tagged")
    page = open_page(server)
    choose(page, f"{key} tagged", "Tags")
    dialog = page.get_by_role("dialog", name="Tags")
    dialog.get_by_label("Add a tag").fill("garden, house")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    server.until(f"/conversations/{made['id']}", lambda found: sorted(found["tags"]) == ["garden", "house"])


def test_sidebar_reads_on_while_it_is_scrolled(fresh_server: Server, open_page: Callable[..., Page]) -> None:
    for number in range(130):
        fresh_server.call("POST", "/conversations", {"title": f"Conversation {number:03}"})
    page = open_page(fresh_server)
    expect(row(page, "Conversation 129")).to_be_visible()
    links = sidebar(page).get_by_role("link", name=re.compile(r"^Conversation \d"))
    assert links.count() < 130
    for _ in range(20):
        if links.count() == 130:
            break
        links.last.scroll_into_view_if_needed()
        page.wait_for_timeout(100)
    expect(links).to_have_count(130)
    assert len(set(links.all_text_contents())) == 130


def test_search_finds_words_of_messages_and_leads_to_them(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(f"When is the {key} Überlauf serviced", title="About the house")
    page = open_page(server, "/search")
    page.get_by_role("searchbox").fill(f"{key} uberl")
    found = page.get_by_role("main").get_by_role("link", name=re.compile("About the house"))
    expect(found.first).to_be_visible()
    expect(page.get_by_role("main").get_by_text("Überlauf").first).to_be_visible()
    # What was searched for is in the address: a reload shows the same.
    assert "q=" in page.url
    page.reload()
    expect(found.first).to_be_visible()
    found.first.click()
    expect(page).to_have_url(re.compile(f"/c/{made['id']}"))
    expect(page.get_by_text(f"You said: When is the {key}")).to_be_visible()


def test_search_says_when_there_is_nothing(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/search?q=nothinghasthisword")
    expect(page.get_by_text("Nothing has all of these words.")).to_be_visible()


def test_palette_goes_to_a_conversation_by_keyboard_alone(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(title=f"{key} by keyboard")
    page = open_page(server)
    expect(sidebar(page)).to_be_visible()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="A conversation, a word, or what to do")
    expect(field).to_be_focused()
    page.keyboard.type(key)
    option = page.get_by_role("option", name=re.compile(f"{key} by keyboard"))
    expect(option.first).to_be_visible()
    for _ in range(20):
        if page.get_by_role("option", selected=True).filter(has_text=f"{key} by keyboard").count():
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/c/{made['id']}"))
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_palette_does_things(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/knowledge")
    expect(sidebar(page)).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("Theme: Dark")
    expect(page.get_by_role("option", name=re.compile("Dark")).first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_css("color-scheme", "dark")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_new_chat_by_its_key(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/knowledge")
    expect(sidebar(page)).to_be_visible()
    page.keyboard.press("Control+Shift+o")
    expect(page).to_have_url(re.compile(r"/new$"))
