"""Settings and administration through the page."""

import re
from collections.abc import Callable

from model import Model
from playwright.sync_api import Page, expect
from server import Server, free_port


def test_model_server_is_added_and_tested(server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    page = open_page(server, "/settings/connections")
    page.get_by_role("button", name="Add a model server").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(key)
    dialog.get_by_label("Address").fill(model.url)
    dialog.get_by_label("Key", exact=True).fill("secret-key-1234")
    dialog.get_by_role("button", name="Add and test").click()
    expect(dialog.get_by_text(re.compile(r"It answered in \d+ ms and has 3 models"))).to_be_visible()
    expect(dialog.get_by_text(re.compile("scripted-large"))).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_role("main").get_by_text(key, exact=True).first).to_be_visible()
    # The key is never shown again but for its end.
    assert "secret-key-1234" not in page.content()
    expect(page.get_by_role("main").get_by_text(re.compile("1234")).first).to_be_visible()


def test_model_server_that_is_away_says_so(server: Server, open_page: Callable[..., Page], key: str) -> None:
    page = open_page(server, "/settings/connections")
    page.get_by_role("button", name="Add a model server").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(key)
    dialog.get_by_label("Address").fill(f"http://127.0.0.1:{free_port()}/v1")
    dialog.get_by_role("button", name="Add and test").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    # What was typed stays, to be mended.
    expect(dialog.get_by_label("Name")).to_have_value(key)
    dialog.get_by_role("button", name="Keep as it is").click()


def test_wrong_field_is_named_beside_it(server: Server, open_page: Callable[..., Page], key: str) -> None:
    page = open_page(server, "/settings/connections")
    page.watch.allow("status of 4(00|22)")
    page.get_by_role("button", name="Add a model server").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(key)
    dialog.get_by_label("Address").fill("ftp://example.com/")
    dialog.get_by_role("button", name="Add and test").click()
    expect(dialog.get_by_text(re.compile("Address: ")).first).to_be_visible()
    expect(dialog.get_by_label("Address")).to_be_focused()


def test_start_without_a_model_server_lets_one_be_added(binary: object, model: Model, tmp_path: object, open_page: Callable[..., Page]) -> None:
    from chat import Chat

    server = Server(binary, tmp_path / "server", "", OPENAI_API_KEY="", OLLAMA_HOST=f"http://127.0.0.1:{free_port()}").start()
    try:
        page = open_page(server)
        page.get_by_role("main").get_by_role("button", name=re.compile("Add a model server")).first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Address").fill(model.url)
        dialog.get_by_role("button", name="Add and test").click()
        expect(dialog.get_by_text(re.compile(r"It answered in"))).to_be_visible()
        dialog.get_by_role("button", name="Done").click()
        assert "hello there" in Chat(page, server).ask_and_wait("hello there")
    finally:
        server.stop()


def test_usage_shows_what_was_used(server: Server, open_page: Callable[..., Page], key: str) -> None:
    server.conversation(f"{key} one", f"{key} two", title=key)
    page = open_page(server, "/settings/usage")
    main = page.get_by_role("main")
    expect(main.get_by_role("heading", name="Usage and cost").first).to_be_visible()
    expect(main.get_by_text(re.compile("other-model")).first).to_be_visible()
    # A plot has its numbers in words, too.
    expect(main.locator("svg[role=img], [role=img], figure, table").first).to_be_visible()


def test_prompt_is_made_and_offered_in_the_composer(server: Server, open_page: Callable[..., Page], key: str) -> None:
    from chat import Chat

    page = open_page(server, "/settings/prompts")
    page.get_by_role("button", name="New prompt").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill(f"{key} summary")
    dialog.get_by_label("Text").fill(f"{key} Sum this up")
    dialog.get_by_role("button", name=re.compile("^(Save|Add|Create)")).click()
    expect(page.get_by_role("main").get_by_text(f"{key} summary").first).to_be_visible()
    page.goto("/new")
    chat = Chat(page, server)
    chat.composer.focus()
    page.keyboard.type("/" + key)
    page.get_by_role("option", name=re.compile(f"{key} summary")).first.click()
    expect(chat.composer).to_have_value(re.compile(f"{key} Sum this up"))


def test_every_section_opens(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/settings")
    links = page.get_by_role("main").get_by_role("link")
    expect(links.first).to_be_visible()
    sections = sorted({link.get_attribute("href") for link in links.all() if re.search(r"/settings/\w+$", link.get_attribute("href") or "")})
    assert len(sections) >= 6, sections
    for section in sections:
        page.goto(section)
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("main").get_by_role("heading").first).to_be_visible()
        expect(page.get_by_role("main").get_by_role("alert")).to_have_count(0)


def test_unknown_addresses_say_so(server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, "/settings/nothing")
    expect(page.get_by_text("There is no such section.").first).to_be_visible()
