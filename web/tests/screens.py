"""Every screen of the page with something on it: what the checks of all screens go through."""

import re

from model import Answer, Model
from pdf import pdf
from playwright.sync_api import Page, expect
from server import Server
from tool_server import ToolServer

SECTIONS = ["general", "connections", "models", "prompts", "tools", "workspaces", "budgets", "usage", "audit", "health"]


class Screens:
    """Data of a small team, and the addresses that show it."""

    def __init__(self, server: Server, model: Model, tools: ToolServer) -> None:
        self.server = server
        model.script("When is the boiler serviced", "The boiler is serviced every May [1]. The main tap is in the cellar [1].")
        model.script("Is that reasoned", Answer(["After some thought: **yes**."], reasoning=["I weigh it ", "up."]))
        collection = server.call("POST", "/knowledge/collections", {"name": "House manuals", "description": "What is where, and how it is looked after."})["id"]
        manual = pdf("The house manual\nThe boiler is serviced every May.", "Water\nThe main tap is in the cellar.")
        document = server.document(collection, "manual.pdf", manual, "application/pdf")["id"]
        server.document(collection, "broken.pdf", b"%PDF-1.4 and nothing more", "application/pdf")
        chat = server.call("POST", "/conversations", {"title": "About the boiler"})["id"]
        for content in ("When is the boiler serviced?", "Show me markdown", "Is that reasoned?"):
            server.call("POST", f"/conversations/{chat}/messages", {"content": content, "knowledge": [collection], "stream": False})
        made = server.call("POST", "/tools/servers", {"name": "meteo", "url": tools.url})["id"]
        server.call("POST", f"/tools/servers/{made}/test")
        server.call("PUT", f"/tools/servers/{made}/policy", {"weather": "allow"})
        model.script("weather in Lisbon", Answer(["I look."], tool=("weather", {"place": "Lisbon"})))
        server.call("POST", f"/conversations/{chat}/messages", {"content": "The weather in Lisbon?", "tools": ["meteo"], "stream": False})
        for number, title in enumerate(["Recipes for autumn", "A trip to Lisbon", "מסע לחיפה", "A title that is so long that it does not fit into the sidebar by any means at all"]):
            server.conversation(f"Tell me more of {title}", title=title, tags=["ideas"] if number else ["ideas", "kitchen"])
        server.call("POST", "/prompts", {"title": "Summary", "content": "Sum up the following:"})
        share = server.call("POST", f"/conversations/{chat}/shares", {})
        self.model, self.tools = model, tools
        self.paths = {
            "start": "/new",
            "chat": f"/c/{chat}",
            "search": "/search?q=boiler",
            "knowledge": "/knowledge",
            "collection": f"/knowledge/collections/{collection}",
            "document": f"/knowledge/documents/{document}?page=2",
            "knowledge-search": "/knowledge/search?q=boiler",
            "settings": "/settings",
            **{f"settings-{section}": f"/settings/{section}" for section in SECTIONS},
            "shared": f"/shared/{share['token']}",
            "not-found": "/c/nothing/here",
        }

    def show(self, page: Page, name: str) -> None:
        """Goes there and waits until all is drawn."""
        page.goto(self.paths[name])
        expect(page.get_by_role("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("main").get_by_text(re.compile("Loading…"))).to_have_count(0)
