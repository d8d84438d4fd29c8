"""Accounts: the first one, signing in and out, a session that ends, and what others must not see."""

import re
from collections.abc import Callable

from chat import Chat
from playwright.sync_api import Page, expect
from server import Server

PASSWORD = "a good long password"
# What a browser says on its console of any answer that is a refusal.
REFUSALS = r"console: Failed to load resource: the server responded with a status of 40[0134]"


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_first_account_administers_the_server(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(accounts_server)
    expect(page.get_by_role("heading", name="Welcome to aiMate")).to_be_visible()
    page.get_by_label(re.compile("^Name")).fill("Ada")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label(re.compile("^Password")).fill(PASSWORD)
    page.get_by_role("button", name="Create an account").click()
    chat = Chat(page, accounts_server)
    assert "You said: hello from the first" in chat.ask_and_wait("hello from the first")
    # No script can read what keeps the session.
    assert page.evaluate("document.cookie") == ""
    stored = page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")
    assert "eyJ" not in stored and "aim_" not in stored
    page.goto("/settings/users")
    expect(page.get_by_role("main").get_by_text("ada@example.com").first).to_be_visible()


def test_signing_in_goes_where_one_wanted_to_be(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.token = accounts_server.register("ada@example.com")
    made = accounts_server.conversation("what was said before", title="Kept")
    page = open_page(accounts_server, f"/c/{made['id']}")
    page.watch.allow(REFUSALS)
    expect(page).to_have_url(re.compile("/sign-in"))
    sign_in(page, "ada@example.com", "a wrong password")
    expect(page.get_by_role("alert")).to_be_visible()
    # What was typed is still there, but for the password perhaps.
    expect(page.get_by_label("E-mail")).to_have_value("ada@example.com")
    sign_in(page, "ada@example.com")
    expect(page).to_have_url(re.compile(f"/c/{made['id']}"))
    expect(page.get_by_text("You said: what was said before")).to_be_visible()


def test_signing_in_does_not_lead_to_another_host(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.register("ada@example.com")
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:window.__executed=1"):
        page = open_page(accounts_server, "/sign-in?to=" + target.replace("/", "%2F").replace(":", "%3A").replace("\\", "%5C"))
        sign_in(page, "ada@example.com")
        expect(Chat(page, accounts_server).main).to_be_visible()
        expect(page.get_by_label("E-mail")).to_have_count(0)
        assert page.url.startswith(accounts_server.url + "/"), target
        assert page.evaluate("window.__executed") is None


def test_session_that_ends_while_typing_loses_nothing(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.token = accounts_server.register("ada@example.com")
    page = open_page(accounts_server)
    page.watch.allow(REFUSALS)
    sign_in(page, "ada@example.com")
    chat = Chat(page, accounts_server)
    chat.ask_and_wait("the first question")
    chat.composer.fill("a long question that must not be lost")
    # Another device ends all sessions.
    for session in accounts_server.call("GET", "/auth/sessions")["data"]:
        if not session.get("is_current"):
            accounts_server.call("DELETE", f"/auth/sessions/{session['id']}")
    page.context.clear_cookies()
    chat.composer.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    if not dialog.get_by_label("E-mail").input_value():
        dialog.get_by_label("E-mail").fill("ada@example.com")
    dialog.get_by_role("button", name="Sign in", exact=True).click()
    expect(dialog).to_have_count(0)
    # Sent by itself, offered again or still in the composer: it is there, and once.
    question = "a long question that must not be lost"
    if chat.composer.input_value() == question:
        chat.composer.press("Enter")
    elif page.get_by_role("button", name="Try again").count():
        page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_text(f"You said: {question}")).to_be_visible()
    assert accounts_server.texts(chat.conversation).count(question) == 1


def test_signing_out_ends_the_session_and_forgets(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.token = accounts_server.register("ada@example.com")
    made = accounts_server.conversation("a secret matter", title="Secret title")
    page = open_page(accounts_server, "/sign-in")
    sign_in(page, "ada@example.com")
    expect(page.get_by_role("link", name="Secret title")).to_be_visible()
    Chat(page, accounts_server).open(made["id"]).composer.fill("a secret draft")
    page.wait_for_timeout(500)
    page.get_by_role("button", name=re.compile("ada@example.com")).click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_label("E-mail")).to_be_visible()
    expect(page.get_by_text("Secret title")).to_have_count(0)
    stored = page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")
    assert "secret draft" not in stored, stored
    page.go_back()
    expect(page.get_by_text("a secret matter")).to_have_count(0)


def test_another_user_sees_nothing(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.token = accounts_server.register("ada@example.com")
    made = accounts_server.conversation("a secret matter", title="Secret title")
    collection = accounts_server.call("POST", "/knowledge/collections", {"name": "Secret papers"})["id"]
    document = accounts_server.document(collection, "secret.txt", b"The secret text.", "text/plain")["id"]
    accounts_server.call("POST", "/auth/register", {"email": "eve@example.com", "password": PASSWORD, "name": "Eve"})
    page = open_page(accounts_server, "/sign-in")
    page.watch.allow(REFUSALS)
    sign_in(page, "eve@example.com")
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    paths = [f"/c/{made['id']}", f"/knowledge/collections/{collection}", f"/knowledge/documents/{document}", "/knowledge", "/search?q=secret", "/settings/users"]
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert "ecret" not in page.get_by_role("main").inner_text().replace("secret", "", path.count("q=secret")), path
        assert "ecret" not in page.get_by_role("navigation", name="Conversations").inner_text(), path
        assert "ada@example.com" not in page.content(), path
    # Nor is she offered what she may not do.
    page.goto("/settings")
    expect(page.get_by_role("main").get_by_role("link", name="General").first).to_be_visible()
    for name in ("Accounts", "Audit log", "Budgets and prices"):
        expect(page.get_by_role("main").get_by_role("link", name=name, exact=True)).to_have_count(0)
    page.goto(f"/c/{made['id']}")
    expect(page.get_by_text(re.compile("nothing at this address|not found|does not exist|no conversation", re.I)).first).to_be_visible()


def test_one_user_does_not_find_the_draft_of_another(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.register("ada@example.com")
    accounts_server.call("POST", "/auth/register", {"email": "eve@example.com", "password": PASSWORD})
    page = open_page(accounts_server, "/sign-in")
    sign_in(page, "ada@example.com")
    chat = Chat(page, accounts_server)
    chat.composer.fill("what only Ada wrote")
    page.wait_for_timeout(500)
    page.get_by_role("button", name=re.compile("ada@example.com")).click()
    page.get_by_role("menuitem", name="Sign out").click()
    sign_in(page, "eve@example.com")
    expect(chat.composer).to_be_visible()
    expect(chat.composer).to_have_value("")


def test_password_is_changed_and_sessions_are_shown(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    accounts_server.register("ada@example.com")
    page = open_page(accounts_server, "/sign-in")
    sign_in(page, "ada@example.com")
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    page.goto("/settings/account")
    main = page.get_by_role("main")
    main.get_by_label("Password so far").fill(PASSWORD)
    main.get_by_label("New password").fill("another good password")
    main.get_by_role("button", name=re.compile("change.*password", re.I)).click()
    expect(page.get_by_text(re.compile("The password is changed"))).to_be_visible()
    other = open_page(accounts_server, "/sign-in")
    sign_in(other, "ada@example.com", "another good password")
    expect(other.get_by_role("navigation", name="Conversations")).to_be_visible()
