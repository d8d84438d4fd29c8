"""A question and its answer: streaming, stopping, editing, regenerating, branches, and what an answer may have."""

import re
from collections.abc import Callable

from chat import Chat
from model import MARKDOWN, Model
from playwright.sync_api import Page, expect
from server import Server


def test_answer_streams(chat: Chat, model: Model, key: str) -> None:
    answer = model.script(key, ["The first part. ", "The second part."], hold=1)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("The first part.")
    # The question is out of the composer and in the conversation.
    expect(chat.composer).to_have_value("")
    expect(chat.questions().last).to_contain_text(key)
    expect(chat.stop_button).to_be_visible()
    expect(chat.answers().last).not_to_contain_text("The second part.")
    answer.release()
    expect(chat.answers().last).to_contain_text("The first part. The second part.")
    chat.finished()
    assert chat.server.texts(chat.conversation) == [key, "The first part. The second part."]


def test_stop_keeps_what_came(chat: Chat, model: Model, key: str) -> None:
    answer = model.script(key, ["What came. ", "What did not."], hold=1)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("What came.")
    chat.stop_button.click()
    chat.finished()
    answer.release()
    expect(chat.answers().last).to_contain_text("What came.")
    expect(chat.composer).to_be_enabled()
    chat.page.reload()
    expect(chat.answers().last).to_contain_text("What came.")
    expect(chat.answers().last).not_to_contain_text("What did not.")
    assert chat.server.messages(chat.conversation)[-1]["status"] == "cancelled"


def test_markdown_is_drawn_while_it_streams_and_after(chat: Chat, model: Model, key: str) -> None:
    chat.ask_and_wait(f"{key} markdown")
    for _ in range(2):
        answer = chat.answers().last
        expect(answer.get_by_role("heading", name="A title")).to_be_visible()
        expect(answer.get_by_role("table").get_by_role("cell", name="22")).to_be_visible()
        expect(answer.locator("pre code")).to_contain_text('println!("Hello {}", 42);')
        expect(answer.locator("math").first).to_be_visible()
        expect(answer.get_by_role("checkbox", checked=True)).to_be_disabled()
        # A picture of another host is told of, not fetched.
        expect(answer.locator("img")).to_have_count(0)
        expect(answer.get_by_text("A picture").first).to_be_visible()
        chat.page.reload()
    assert chat.server.texts(chat.conversation)[-1] == MARKDOWN


def test_link_to_another_host_asks_before_it_opens(chat: Chat, model: Model, key: str) -> None:
    model.script(key, "See [the manual](https://manual.example/page?secret=1).")
    chat.ask_and_wait(key)
    link = chat.answers().last.get_by_role("link", name=re.compile("the manual"))
    expect(link).to_contain_text("the manual")
    link.click()
    dialog = chat.page.get_by_role("dialog")
    expect(dialog).to_contain_text("https://manual.example/page?secret=1")
    dialog.get_by_role("button", name="Cancel").click()
    assert len(chat.page.context.pages) == 1


def test_edit_makes_a_branch(chat: Chat, key: str) -> None:
    chat.ask_and_wait(f"{key} first wording")
    first = chat.conversation
    chat.questions().last.get_by_role("button", name="Edit", exact=True).click()
    field = chat.questions().last.get_by_role("textbox", name="Edit")
    expect(field).to_have_value(f"{key} first wording")
    field.fill(f"{key} second wording")
    chat.questions().last.get_by_role("button", name="Send", exact=True).click()
    expect(chat.answers().last).to_contain_text(f"You said: {key} second wording")
    chat.finished()
    assert chat.conversation == first
    expect(chat.main.get_by_text("2/2").first).to_be_visible()
    chat.questions().last.get_by_role("button", name="Previous version").click()
    expect(chat.answers().last).to_contain_text(f"You said: {key} first wording")
    expect(chat.main.get_by_text("1/2").first).to_be_visible()
    # The branch that is shown is in the address.
    chat.page.reload()
    expect(chat.answers().last).to_contain_text(f"You said: {key} first wording")


def test_regenerate_makes_another_answer(chat: Chat, model: Model, key: str) -> None:
    model.script(key, "One answer.")
    chat.ask_and_wait(key)
    model.script(key, "Another answer.")
    chat.answers().last.get_by_role("button", name="Answer again").click()
    expect(chat.answers().last).to_contain_text("Another answer.")
    chat.finished()
    expect(chat.questions()).to_have_count(1)
    expect(chat.main.get_by_text("2/2").first).to_be_visible()
    chat.answers().last.get_by_role("button", name="Previous version").click()
    expect(chat.answers().last).to_contain_text("One answer.")


def test_reasoning_is_folded(chat: Chat, model: Model, key: str) -> None:
    model.script(key, ["The answer."], reasoning=["Let me ", "think of it."])
    chat.ask_and_wait(key)
    fold = chat.answers().last.locator("summary").first
    expect(chat.answers().last.get_by_text("think of it.")).to_be_hidden()
    fold.click()
    expect(chat.answers().last.get_by_text("think of it.")).to_be_visible()


def test_failure_of_the_model_says_why_and_offers_another_try(chat: Chat, model: Model, key: str) -> None:
    answer = model.script(key, "Now it works.")
    answer.status = 400
    chat.ask(key)
    expect(chat.main.get_by_role("alert").or_(chat.main.get_by_text(re.compile("out of memory"))).first).to_be_visible()
    expect(chat.questions().last).to_contain_text(key)
    answer.status = 200
    chat.main.get_by_role("button", name="Try again").last.click()
    expect(chat.answers().last).to_contain_text("Now it works.")
    expect(chat.questions()).to_have_count(1)


def test_new_conversation_comes_into_the_sidebar_and_the_title(chat: Chat, key: str) -> None:
    chat.ask_and_wait(f"{key} about herons")
    link = chat.page.get_by_role("navigation", name="Conversations").get_by_role("link", name=re.compile(key))
    expect(link).to_be_visible()
    expect(link).to_have_attribute("aria-current", "page")
    expect(chat.page).to_have_title(re.compile(key))


def test_enter_sends_and_shift_enter_makes_a_line(chat: Chat, key: str) -> None:
    chat.composer.focus()
    chat.page.keyboard.type(f"{key} one")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("two")
    expect(chat.composer).to_have_value(f"{key} one\ntwo")
    chat.page.keyboard.press("Enter")
    expect(chat.answers().last).to_contain_text("two")
    assert chat.server.texts(chat.conversation)[0] == f"{key} one\ntwo"


def test_nothing_is_sent_where_nothing_is_typed(chat: Chat, model: Model) -> None:
    before = len(model.asked)
    chat.composer.fill("   \n ")
    chat.composer.press("Enter")
    chat.page.wait_for_timeout(300)
    expect(chat.questions()).to_have_count(0)
    assert len(model.asked) == before


def test_model_is_chosen_by_searching(chat: Chat, model: Model, key: str) -> None:
    chat.model_button.click()
    chat.page.keyboard.type("large")
    chat.page.get_by_role("option", name=re.compile("scripted-large")).click()
    chat.ask_and_wait(key)
    assert [request["model"] for request in model.requests if key in str(request["messages"])][-1] == "scripted-large"
    # It stays chosen in this conversation.
    chat.page.reload()
    expect(chat.model_button).to_contain_text("scripted-large")


def test_pasted_text_of_five_megabytes_becomes_a_file(chat: Chat, key: str) -> None:
    text = f"{key} A line of a long text.\n" * 150_000
    chat.composer.focus()
    chat.composer.evaluate(
        """(node, text) => { const data = new DataTransfer(); data.setData("text/plain", text);
             node.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }""",
        text,
    )
    expect(chat.page.get_by_role("button", name=re.compile("^Remove")).first).to_be_visible()
    expect(chat.composer).to_have_value("")


def test_picture_is_pasted_sent_and_shown(chat: Chat, key: str) -> None:
    chat.composer.fill(f"{key} what is this")
    chat.composer.evaluate(
        """async (node) => { const canvas = new OffscreenCanvas(40, 30); canvas.getContext("2d").fillRect(0, 0, 20, 20);
             const data = new DataTransfer(); data.items.add(new File([await canvas.convertToBlob()], "image.png", { type: "image/png" }));
             node.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }"""
    )
    expect(chat.page.get_by_role("button", name=re.compile("^Remove")).first).to_be_visible()
    chat.composer.press("Enter")
    expect(chat.answers().last).to_contain_text("You said")
    expect(chat.questions().last.locator("img").first).to_be_visible()
    chat.page.reload()
    expect(chat.questions().last.locator("img").first).to_be_visible()
    content = chat.server.messages(chat.conversation)[0]["content"]
    assert [part["type"] for part in content if part["type"] != "text"] == ["image"]


def test_answer_of_200_000_characters_does_not_freeze_the_page(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    rows = "".join("| " + " | ".join(f"c{n}" for n in range(500)) + " |\n" + ("|---" * 500 + "|\n" if line == 0 else "") for line in range(4))
    code = "```rust\n" + "let a = \"b\"; // c\n" * 4000 + "```\n"
    text = "".join(f"Paragraph {n} with **bold** and `code`.\n\n" for n in range(2000)) + rows + "\n" + code + "\nThe very end."
    assert len(text) > 150_000
    model.script(key, [text[at : at + 2000] for at in range(0, len(text), 2000)])
    chat = Chat(open_page(server), server)
    chat.ask(key)
    expect(chat.main.get_by_text("The very end.")).to_be_attached(timeout=90_000)
    chat.finished()
    chat.page.reload()
    expect(chat.main.get_by_text("The very end.")).to_be_attached(timeout=90_000)
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    chat.composer.fill("still typing")
    expect(chat.composer).to_have_value("still typing")
