"""What holds on every screen: nothing wider than the window, no violation that axe knows of, and a picture of each."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from model import Model
from playwright.sync_api import Page, expect
from screens import SECTIONS, Screens
from server import Server
from tool_server import ToolServer

NAMES = ["start", "chat", "search", "knowledge", "collection", "document", "knowledge-search", "settings", "shared", "not-found"]
NAMES += [f"settings-{section}" for section in SECTIONS]
# Found without importing the package, whose other parts are not needed.
AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

WIDER = """() => {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room && document.body.scrollWidth <= room) return [];
  // What stands out, but for what scrolls by itself.
  const scrolls = (node) => { for (let up = node.parentElement; up && up !== document.body; up = up.parentElement)
    if (/auto|scroll|hidden|clip/.test(getComputedStyle(up).overflowX)) return true; return false; };
  return [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > room + 1 && !scrolls(node))
    .slice(0, 5).map((node) => node.outerHTML.slice(0, 120)).concat(`${document.documentElement.scrollWidth} > ${room}`);
}"""


@pytest.fixture(scope="module")
def screens(server: Server, model: Model, tool_server: ToolServer) -> Screens:
    return Screens(server, model, tool_server)


@pytest.mark.parametrize("width", [320, 375])
def test_no_screen_scrolls_sideways_on_a_phone(screens: Screens, server: Server, open_page: Callable[..., Page], width: int) -> None:
    page = open_page(server, None, viewport={"width": width, "height": 700}, has_touch=True)
    wider = {}
    for name in NAMES:
        screens.show(page, name)
        found = page.evaluate(WIDER)
        # What scrolls inside the screen scrolls up and down alone, tables and code apart.
        inner = page.evaluate(
            """() => [...document.querySelectorAll("main, main *")].filter((node) => node.scrollWidth > node.clientWidth + 1
                 && /auto|scroll/.test(getComputedStyle(node).overflowX) && !node.closest("pre, .table, table, math, textarea, input, code, svg, [role=region][tabindex]")
                 ).map((node) => node.outerHTML.slice(0, 120))"""
        )
        if found or inner:
            wider[name] = found + inner
    assert wider == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(screens: Screens, server: Server, open_page: Callable[..., Page], scheme: str) -> None:
    # axe is no script of the page, so its policy would keep it out.
    page = open_page(server, None, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    found = {}
    for name in NAMES:
        screens.show(page, name)
        found |= violations(page, name)
    assert found == {}, "\n".join(f"{place}: {what}" for place, what in found.items())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(screens: Screens, server: Server, open_page: Callable[..., Page], scheme: str) -> None:
    page = open_page(server, None, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce", viewport={"width": 375, "height": 700})
    found = {}
    screens.show(page, "chat")
    page.get_by_role("button", name="Show the sidebar").click()
    found |= violations(page, "sidebar")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox")).to_be_visible()
    found |= violations(page, "palette")
    page.keyboard.press("Escape")
    screens.show(page, "settings-connections")
    page.get_by_role("button", name="Add a model server").first.click()
    found |= violations(page, "connection dialog")
    assert found == {}, "\n".join(f"{place}: {what}" for place, what in found.items())


def test_axe_finds_nothing_where_one_signs_in(accounts_server: Server, open_page: Callable[..., Page]) -> None:
    found = {}
    for scheme in ("light", "dark"):
        page = open_page(accounts_server, "/", color_scheme=scheme, bypass_csp=True)
        expect(page.get_by_label("E-mail")).to_be_visible()
        found |= violations(page, f"first account, {scheme}")
    accounts_server.register("ada@example.com")
    for scheme in ("light", "dark"):
        page = open_page(accounts_server, "/", color_scheme=scheme, bypass_csp=True)
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
        found |= violations(page, f"sign-in, {scheme}")
    assert found == {}


def violations(page: Page, name: str) -> dict[str, list[str]]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("(rules) => axe.run(document, rules)", RULES)["violations"]
    return {f"{name}: {one['id']}": [f"{node['html'][:160]} ({node['failureSummary'][:200]})" for node in one["nodes"][:4]] for one in found}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_picture_of_every_screen(screens: Screens, server: Server, open_page: Callable[..., Page], scheme: str, width: int, output: Path) -> None:
    page = open_page(server, None, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    for name in NAMES:
        screens.show(page, name)
        path = output / "screenshots" / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=path)
        assert path.stat().st_size > 3000, f"{name} is empty"


def test_picture_of_signing_in(accounts_server: Server, open_page: Callable[..., Page], output: Path) -> None:
    for name, register in (("first-account", False), ("sign-in", True)):
        if register:
            accounts_server.register("ada@example.com")
        for scheme in ("light", "dark"):
            for width in (1280, 375):
                page = open_page(accounts_server, "/", color_scheme=scheme, viewport={"width": width, "height": 800})
                expect(page.get_by_label("E-mail")).to_be_visible()
                page.screenshot(path=output / "screenshots" / f"{name}-{width}-{scheme}.png")


def test_screens_are_headed_and_titled(screens: Screens, server: Server, open_page: Callable[..., Page]) -> None:
    page = open_page(server, None)
    titles = {}
    for name in NAMES:
        screens.show(page, name)
        titles[name] = page.title()
        assert page.locator("h1").count() == 1, name
        assert "undefined" not in page.get_by_role("main").inner_text(), name
        assert "[object" not in page.get_by_role("main").inner_text(), name
    assert all("aiMate" in title for title in titles.values())
    assert len({titles[name] for name in ("chat", "search", "knowledge", "collection", "document", "settings")}) == 6, titles
