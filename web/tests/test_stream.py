"""Nothing is lost and nothing comes twice: reloads, other tabs, lost networks, killed servers."""

import re
from collections.abc import Callable
from pathlib import Path

from chat import Chat
from model import Model, words
from playwright.sync_api import Page, Route, expect
from server import Server

# What a browser says on its console of a server that is away.
AWAY = r"console: Failed to load resource: (net::ERR|the server responded with a status of 50[234])|net::ERR_"


def assert_once(chat: Chat, text: str) -> None:
    """The last answer is this text, with nothing missing and nothing twice."""
    expect(chat.answers().last).to_contain_text(text.split()[-1])
    found = re.findall(r"\bword\d+\b", chat.last_answer())
    assert found == re.findall(r"\bword\d+\b", text)


def test_reload_in_mid_stream_goes_on(chat: Chat, model: Model, key: str) -> None:
    answer = model.script(key, words(200), hold=100)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word99")
    chat.conversation
    chat.page.reload()
    expect(chat.answers().last).to_contain_text("word99")
    expect(chat.stop_button).to_be_visible()
    answer.release()
    assert_once(chat, answer.text)
    chat.finished()
    assert_once(chat, answer.text)
    assert model.times_asked(key) == 1


def test_text_that_is_marked_stays_marked_when_the_answer_ends(chat: Chat, model: Model, key: str) -> None:
    answer = model.script(key, words(120) + [" **bold**"], hold=60)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word59")
    chat.answers().last.evaluate(
        """(answer) => {
          const text = document.createTreeWalker(answer.querySelector(".answer-parts"), NodeFilter.SHOW_TEXT).nextNode();
          document.getSelection().setBaseAndExtent(text, 0, text, 5);
        }"""
    )
    marked = chat.page.evaluate("document.getSelection().toString()")
    assert marked == "word0"
    answer.release()
    chat.finished()
    assert chat.page.evaluate("document.getSelection().toString()") == marked
    chat.page.evaluate("document.getSelection().removeAllRanges()")
    expect(chat.answers().last.locator("strong")).to_have_text("bold")
    assert_once(chat, "".join(words(120)))


def test_leaving_and_coming_back_shows_the_answer(chat: Chat, model: Model, key: str) -> None:
    answer = model.script(key, words(120), hold=60)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word59")
    conversation = chat.conversation
    chat.page.get_by_role("link", name="Knowledge").first.click()
    expect(chat.page).to_have_url(re.compile("/knowledge"))
    answer.release()
    chat.page.go_back()
    expect(chat.page).to_have_url(re.compile(conversation))
    assert_once(chat, answer.text)


def test_two_tabs_show_the_same(chat: Chat, server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    answer = model.script(key, words(120), hold=60)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word59")
    other = Chat(open_page(server, f"/c/{chat.conversation}", context=chat.page.context), server)
    expect(other.answers().last).to_contain_text("word59")
    answer.release()
    assert_once(chat, answer.text)
    assert_once(other, answer.text)
    # What is asked in one is there in the other, when one looks at it.
    other.ask_and_wait(f"{key[::-1]} from the other tab")
    chat.page.bring_to_front()
    chat.page.evaluate("dispatchEvent(new Event('focus')); document.dispatchEvent(new Event('visibilitychange'))")
    expect(chat.page.get_by_text(f"You said: {key[::-1]} from the other tab")).to_be_visible()


def test_what_another_tab_asks_is_seen_though_the_title_was_read_after_it(
    chat: Chat, server: Server, open_page: Callable[..., Page], key: str
) -> None:
    """After its own answer a tab reads the conversation for its title; that is not the same as having its messages."""
    held: list[Route] = []
    chat.page.route(re.compile(r"/api/v1/conversations/[0-9a-f-]{36}$"), lambda route: held.append(route))
    chat.ask(f"{key} here")
    chat.finished()
    assert held
    other = Chat(open_page(server, f"/c/{chat.conversation}", context=chat.page.context), server)
    other.ask_and_wait(f"{key[::-1]} from the other tab")
    while held:
        held.pop(0).continue_()
    chat.page.unroute_all(behavior="ignoreErrors")
    expect(chat.page.get_by_text(f"You said: {key[::-1]} from the other tab")).to_be_visible()


def test_dropped_network_goes_on_without_doubled_text(chat: Chat, model: Model, key: str) -> None:
    chat.page.watch.allow(AWAY)
    answer = model.script(key, words(200), hold=100)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word99")
    chat.page.context.set_offline(True)
    # Chromium cuts no stream that is open when it goes offline; the page sees the event, and further requests fail.
    chat.page.evaluate("fetch('/api/v1/server').catch(() => {})")
    chat.page.wait_for_timeout(500)
    answer.release()
    chat.page.wait_for_timeout(500)
    chat.page.context.set_offline(False)
    assert_once(chat, answer.text)
    chat.finished()
    assert_once(chat, answer.text)


def test_question_that_could_not_be_sent_is_sent_later_and_once(chat: Chat, model: Model, key: str) -> None:
    chat.page.watch.allow(AWAY)
    chat.ask_and_wait(f"{key}a before")
    chat.page.context.set_offline(True)
    question = f"{key}b asked without a network"
    chat.ask(question)
    # It is shown and marked, or still in the composer: not lost.
    expect(chat.page.get_by_text(question).or_(chat.composer).first).to_be_visible()
    chat.page.wait_for_timeout(500)
    assert question in chat.text() or chat.composer.input_value() == question
    chat.page.context.set_offline(False)
    again = chat.page.get_by_role("button", name="Try again")
    if not chat.page.get_by_text(f"You said: {question}").count():
        if chat.composer.input_value() == question:
            chat.composer.press("Enter")
        elif again.count():
            again.first.click()
    expect(chat.page.get_by_text(f"You said: {question}")).to_be_visible()
    assert chat.server.texts(chat.conversation).count(question) == 1


def test_retry_after_a_lost_answer_sends_no_second_message(chat: Chat, model: Model, key: str) -> None:
    """The server took the message, and its answer was lost on the way: the same `client_id` makes the retry harmless."""
    chat.page.watch.allow(AWAY)
    chat.ask_and_wait(f"{key}a before")
    lost = []

    def lose(route: Route) -> None:
        body = route.request.post_data_json or {}
        if not lost and f"{key}b" in str(body):
            lost.append(body)
            route.fetch()
            return route.abort("connectionreset")
        if f"{key}b" in str(body):
            lost.append(body)
        route.continue_()

    chat.page.route("**/messages*", lose)
    question = f"{key}b whose answer is lost"
    chat.ask(question)
    again = chat.page.get_by_role("button", name="Try again")
    answered = chat.page.get_by_text(f"You said: {question}")
    expect(again.or_(answered).first).to_be_visible()
    if not answered.count():
        again.first.click()
    expect(answered).to_be_visible()
    assert chat.server.texts(chat.conversation).count(question) == 1
    assert model.times_asked(question) == 1
    assert len({body["client_id"] for body in lost}) == 1


def test_draft_survives_a_reload(chat: Chat, server: Server, key: str) -> None:
    chat.composer.fill(f"{key} not yet sent")
    chat.page.wait_for_timeout(600)
    chat.page.reload()
    expect(chat.composer).to_have_value(f"{key} not yet sent")
    # Each conversation has a draft of its own.
    made = server.conversation(f"{key} hello", title=key)
    chat.open(made["id"])
    expect(chat.composer).to_have_value("")
    chat.composer.fill(f"{key} in a conversation")
    chat.page.wait_for_timeout(600)
    chat.page.goto("/new")
    expect(chat.composer).to_have_value(f"{key} not yet sent")
    chat.open(made["id"])
    expect(chat.composer).to_have_value(f"{key} in a conversation")
    # What was sent is no draft any more.
    chat.composer.press("Enter")
    expect(chat.page.get_by_text(f"You said: {key} in a conversation")).to_be_visible()
    chat.page.reload()
    expect(chat.page.get_by_text(f"You said: {key} in a conversation")).to_be_visible()
    expect(chat.composer).to_have_value("")


def test_draft_is_kept_where_the_browser_keeps_nothing(server: Server, open_page: Callable[..., Page], key: str) -> None:
    page = open_page(server, None)
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })")
    page.goto("/")
    chat = Chat(page, server)
    chat.composer.fill(f"{key} typed")
    page.get_by_role("link", name="Knowledge").first.click()
    expect(page).to_have_url(re.compile("/knowledge$"))
    page.go_back()
    expect(chat.composer).to_have_value(f"{key} typed")
    chat.composer.press("Enter")
    expect(page.get_by_text(f"You said: {key} typed")).to_be_visible()


def test_killed_server_comes_back_and_nothing_is_lost(fresh_server: Server, model: Model, open_page: Callable[..., Page], key: str, output: Path) -> None:
    """kill -9 in mid-answer, as four pictures."""
    server = fresh_server
    chat = Chat(open_page(server), server)
    chat.page.watch.allow(AWAY)
    answer = model.script(key, words(200), hold=100)
    chat.ask(key)
    expect(chat.answers().last).to_contain_text("word99")
    conversation = chat.conversation

    def picture(number: int, name: str) -> None:
        chat.page.screenshot(path=output / "screenshots" / f"kill-{number}-{name}.png")

    picture(1, "answer-is-being-written")
    # Events are stored within a quarter of a second after they are told, if the disk is not busy.
    chat.page.wait_for_timeout(2_000)
    server.kill()
    expect(chat.page.get_by_text("The server cannot be reached").first).to_be_visible()
    expect(chat.answers().last).to_contain_text("word99")
    chat.composer.fill("typed while the server was away")
    picture(2, "server-is-killed")
    answer.release()
    server.start()
    expect(chat.page.get_by_text("The server cannot be reached")).to_have_count(0, timeout=30_000)
    # What was stored of the answer is there, once, and it says that it was interrupted.
    expect(chat.go_on.first).to_be_visible(timeout=30_000)
    picture(3, "server-is-back")
    found = re.findall(r"\bword\d+\b", chat.last_answer())
    assert found == [f"word{n}" for n in range(len(found))] and len(found) > 0
    expect(chat.composer).to_have_value("typed while the server was away")
    model.script("Please go on exactly where you stopped.", "And so it ends.")
    chat.go_on.first.click()
    expect(chat.main).to_contain_text("And so it ends.")
    chat.finished()
    picture(4, "answer-goes-on")
    assert chat.conversation == conversation
    assert server.texts(conversation).count(key) == 1
    chat.page.reload()
    expect(chat.main).to_contain_text("And so it ends.")
    expect(chat.composer).to_have_value("typed while the server was away")


def test_question_is_there_when_the_server_is_killed_before_the_answer(fresh_server: Server, model: Model, open_page: Callable[..., Page], key: str) -> None:
    server = fresh_server
    chat = Chat(open_page(server), server)
    chat.page.watch.allow(AWAY)
    answer = model.script(key, words(50), hold=0)
    chat.ask(key)
    assert answer.held.wait(15)
    expect(chat.questions().last).to_contain_text(key)
    conversation = chat.conversation
    server.kill()
    answer.release()
    server.start()
    chat.page.goto(f"/c/{conversation}")
    expect(chat.questions()).to_have_count(1)
    expect(chat.questions().last).to_contain_text(key)
    chat.main.get_by_role("button", name=re.compile("^(Try again|Answer again)$")).last.click()
    expect(chat.answers().last).to_contain_text("word49")
    assert server.texts(conversation).count(key) == 1
