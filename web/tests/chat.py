"""The chat as a person sees it: where its parts are found, and what is done in it."""

import re

from playwright.sync_api import Locator, Page, expect
from server import Server

COMPOSER = "Write a message"


class Chat:
    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    @property
    def composer(self) -> Locator:
        return self.page.get_by_label(COMPOSER, exact=True)

    @property
    def stop_button(self) -> Locator:
        return self.page.get_by_role("button", name="Stop the answer", exact=True)

    @property
    def send_button(self) -> Locator:
        return self.page.get_by_role("form", name="Your message").get_by_role("button", name="Send", exact=True)

    @property
    def conversation(self) -> str:
        """The id of the conversation that is open."""
        self.page.wait_for_url(re.compile(r"/c/[0-9a-f-]{36}"))
        return re.search(r"/c/([0-9a-f-]{36})", self.page.url)[1]

    def questions(self) -> Locator:
        return self.main.get_by_role("article").filter(has=self.page.get_by_role("heading", name="You said", level=2, exact=True))

    def answers(self) -> Locator:
        return self.main.get_by_role("article").filter(has=self.page.get_by_role("heading", name="Answer", level=2, exact=True))

    @property
    def model_button(self) -> Locator:
        return self.page.get_by_title("Choose a model")

    @property
    def go_on(self) -> Locator:
        """The button under an answer that broke off."""
        return self.main.get_by_role("button", name="Continue", exact=True)

    def add(self, item: str) -> None:
        """Opens the menu beside the composer and takes an item of it."""
        self.page.get_by_role("button", name="Add files, knowledge or tools").click()
        self.page.get_by_role("menuitem", name=item).click()

    def use_tool(self, name: str) -> None:
        """Lets the next questions use a tool."""
        self.add("Tools")
        self.page.get_by_role("checkbox", name=re.compile(name)).check()
        self.page.keyboard.press("Escape")

    def open(self, conversation: str) -> "Chat":
        self.page.goto(f"/c/{conversation}")
        return self

    def ask(self, question: str) -> None:
        """Types a question and sends it, without waiting for the answer."""
        self.composer.fill(question)
        self.composer.press("Enter")

    def finished(self) -> None:
        """Waits until no answer is being written."""
        expect(self.stop_button).to_have_count(0)

    def ask_and_wait(self, question: str) -> str:
        """Asks and gives the text of the answer."""
        before = self.answers().count()
        self.ask(question)
        expect(self.answers()).to_have_count(before + 1)
        self.finished()
        return self.last_answer()

    def last_answer(self) -> str:
        return " ".join(self.answers().last.inner_text().split())

    def text(self) -> str:
        return " ".join(self.main.inner_text().split())
