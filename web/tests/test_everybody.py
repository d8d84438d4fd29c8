"""By keyboard alone, from right to left, in another language, with less motion."""

import re
from collections.abc import Callable

import pytest
from chat import Chat
from model import Model
from playwright.sync_api import Page, expect
from server import Server

FOCUSED = """() => {
  const node = document.activeElement;
  const box = node.getBoundingClientRect();
  const style = getComputedStyle(node);
  return { name: node.localName, text: (node.getAttribute("aria-label") ?? node.textContent).trim().slice(0, 60), isSeen: box.width > 0 && box.height > 0,
    // The frame of the composer is that of its form.
    outline: style.outlineStyle !== "none" || style.boxShadow !== "none" || style.borderStyle !== "none" || Boolean(node.closest("form:focus-within") && node.matches("textarea")) };
}"""


def test_whole_chat_by_keyboard_alone(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    page = open_page(server)
    chat = Chat(page, server)
    # The composer has the focus at the start.
    expect(chat.composer).to_be_focused()
    model.script(key, ["A part. ", "The rest."], hold=1)
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    expect(chat.answers().last).to_contain_text("A part.")
    for _ in range(40):
        if page.evaluate(FOCUSED)["text"] == "Stop the answer":
            break
        page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["text"] == "Stop the answer"
    page.keyboard.press("Enter")
    chat.finished()
    model.answers[key].release()
    # After it, the focus is not nowhere.
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["name"] != "body"


@pytest.mark.parametrize("path", ["/new", "/knowledge", "/settings/connections", "/search"])
def test_every_stop_of_the_tab_key_is_seen(server: Server, open_page: Callable[..., Page], path: str) -> None:
    page = open_page(server, path)
    expect(page.get_by_role("main")).to_be_visible()
    page.wait_for_load_state("networkidle")
    # From the start of the page, wherever the screen has put the focus.
    first = page.locator("a[href], button, input, textarea, select").first
    expect(first).to_have_text("Skip to the content")
    first.focus()
    stops = [page.evaluate(FOCUSED)]
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop["name"] == "body":
            break
        stops.append(stop)
    assert len(stops) >= 5
    assert [stop for stop in stops if not stop["isSeen"] or not stop["outline"]] == []
    assert [stop for stop in stops if not stop["text"] and stop["name"] in ("a", "button")] == []


def test_dialog_keeps_the_focus_and_gives_it_back(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/settings/connections")
    opener = page.get_by_role("button", name="Add a model server").first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()


def test_menu_goes_by_arrows_and_gives_the_focus_back(server: Server, open_page: Callable[..., Page], key: str) -> None:
    server.conversation(title=f"{key} menu")
    page = open_page(server, "/knowledge")
    page.wait_for_load_state("networkidle")
    page.get_by_role("link", name=f"{key} menu", exact=True).focus()
    # It comes with the focus of its row.
    opener = page.get_by_role("button", name=f"What to do with {key} menu")
    expect(opener).to_be_visible()
    page.keyboard.press("Tab")
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Pin")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(opener).to_be_focused()


def test_right_to_left_text_goes_from_right_to_left(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    chat = Chat(open_page(server), server)
    question = f"מתי מטפלים בדוד {key}"
    model.script(key, "הדוד מטופל **במאי**.\n\n- פריט ראשון\n- פריט שני\n\n```python\nprint('שלום')  # code\n```\n\nAnd a sentence in English.")
    chat.composer.fill(question)
    assert chat.composer.evaluate("(node) => getComputedStyle(node).direction") == "rtl"
    chat.composer.press("Enter")
    expect(chat.answers().last.locator("pre code")).to_be_visible()
    chat.finished()
    direction = "(node) => getComputedStyle(node).direction"
    assert chat.questions().last.get_by_text(re.compile("מתי")).evaluate(direction) == "rtl"
    assert chat.answers().last.locator("p").first.evaluate(direction) == "rtl"
    assert chat.answers().last.locator("li").first.evaluate(direction) == "rtl"
    assert chat.answers().last.locator("pre").first.evaluate(direction) == "ltr"
    assert chat.answers().last.locator("p").last.evaluate("(node) => { const style = getComputedStyle(node); return style.direction === 'ltr' || style.unicodeBidi === 'plaintext'; }")
    # The marks of a list are on the side from which it is read.
    item = chat.answers().last.locator("li").first.bounding_box()
    column = chat.answers().last.bounding_box()
    assert item["x"] - column["x"] < (column["x"] + column["width"]) - (item["x"] + item["width"]) + column["width"] / 2
    link = chat.page.get_by_role("navigation", name="Conversations").get_by_role("link", name=re.compile(key))
    assert link.locator("[dir=auto]").first.evaluate(direction) == "rtl"


def test_page_speaks_german_to_germans(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/settings", locale="de-DE")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name="Neuer Chat").or_(page.get_by_role("link", name=re.compile("^Neu")))).to_be_visible()
    assert "Settings" not in page.get_by_role("main").inner_text()


def test_language_and_look_are_chosen_and_stay(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/settings/general")
    page.get_by_label("Language", exact=True).select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_streaming_answer_does_not_chatter(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    """What a screen reader is told while an answer is written: not each word."""
    chat = Chat(open_page(server), server)
    answer = model.script(key, [f"word{n} " for n in range(100)], hold=50)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word49")
    live = chat.page.evaluate(
        """() => [...document.querySelectorAll("[aria-live]:not([aria-live=off]), [role=status], [role=log], [role=alert]")]
             .filter((node) => /word49/.test(node.textContent) && !node.closest("[aria-busy=true]")).map((node) => node.outerHTML.slice(0, 200))"""
    )
    assert live == []
    answer.release()
    chat.finished()


def test_less_motion_is_heeded(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/", reduced_motion="reduce")
    expect(page.get_by_role("main")).to_be_visible()
    moving = page.evaluate("[...document.querySelectorAll('*')].filter((node) => parseFloat(getComputedStyle(node).animationDuration) > 0.05 || parseFloat(getComputedStyle(node).transitionDuration) > 0.05).length")
    assert moving == 0


def test_conversation_is_printed_whole(server: Server, open_page: Callable[..., Page], key: str) -> None:
    made = server.conversation(*[f"{key} question {n}\n" + "line\n" * 30 for n in range(4)], title=key)
    page = open_page(server, f"/c/{made['id']}")
    expect(page.get_by_text(f"You said: {key} question 3")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Conversations")).to_be_hidden()
    expect(Chat(page, server).composer).to_be_hidden()
    # What scrolls on the screen is laid out whole on paper.
    assert page.evaluate("document.documentElement.scrollHeight") > 2500


def test_sidebar_of_a_phone_comes_and_goes(server: Server, open_page: Callable[..., Page], key: str) -> None:
    server.conversation(f"{key} hello", title=f"{key} small")
    page = open_page(server, "/", viewport={"width": 375, "height": 700}, has_touch=True)
    link = page.get_by_role("link", name=f"{key} small", exact=True)
    expect(page.get_by_role("button", name="Show the sidebar")).to_be_visible()
    page.get_by_role("button", name="Show the sidebar").click()
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_text(f"You said: {key} hello")).to_be_visible()
    # It went with the step.
    expect(page.get_by_role("button", name="Show the sidebar")).to_be_visible()
    sizes = page.evaluate("[...document.querySelectorAll('main button')].filter((node) => node.getBoundingClientRect().width).map((node) => [node.getAttribute('aria-label') ?? node.textContent.slice(0, 30), node.getBoundingClientRect().width, node.getBoundingClientRect().height])")
    assert [size for size in sizes if min(size[1], size[2]) < 24] == []
