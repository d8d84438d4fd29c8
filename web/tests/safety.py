"""Whether anything that others wrote became more than text."""

import json
from pathlib import Path

from playwright.sync_api import Page

VECTORS = {file.stem: json.loads(file.read_text()) for file in sorted((Path(__file__).parent / "xss").glob("*.json"))}

# Elements of the page itself and of what the server's renderer makes. Nothing else may come out of a text.
ELEMENTS = set(
    "html head meta title link script body a article aside blockquote br button canvas caption code col colgroup datalist dd del "
    "details dialog div dl dt em fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr iframe img input kbd label legend "
    "li main mark menu meter nav noscript object ol optgroup option output p pre progress q s search section select small span strong "
    "sub summary sup svg path g rect circle line polyline polygon text tspan table tbody td textarea tfoot th thead time tr ul var wbr "
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mpadded mphantom "
    "menclose mstyle mmultiscripts mprescripts none semantics".split()
)

LOOK = """([elements]) => {
  const wrong = [];
  const known = new Set(elements);
  const own = (address) => { try { return new URL(address, document.baseURI).origin === location.origin; } catch { return false; } };
  for (const node of document.querySelectorAll("*")) {
    const say = (text) => wrong.push(`${text}: ${node.outerHTML.slice(0, 200)}`);
    if (!known.has(node.localName)) say("element");
    if (node.localName === "script" && !(node.src && own(node.src) && !node.textContent.trim())) say("script");
    if (node.localName === "iframe" && node.src && !own(node.src) && !node.src.startsWith("blob:")) say("frame");
    for (const { name, value } of node.attributes) {
      if (/^on/i.test(name)) say("listener");
      if (name === "srcdoc" || name === "formaction" || name === "ping" || name === "xlink:href") say(name);
      if (["href", "src", "action", "data", "poster", "background"].includes(name)) {
        const address = value.replace(/[\\u0000-\\u0020]/g, "").toLowerCase();
        const isLink = node.localName === "a" && /^(https?:|mailto:)/.test(address);
        if (!isLink && !own(value) && !address.startsWith("blob:") && !(node.localName === "img" && address.startsWith("data:image/"))) say(name);
        if (/^(javascript|vbscript|data:text)/.test(address)) say(name);
        if (isLink && !own(value) && !/noopener/.test(node.rel)) say("link without noopener");
      }
      if (name === "style" && /url\\(|expression|behavior/i.test(value)) say("style");
    }
    if (["__executed", "trustedTypes", "location", "history", "__proto__"].includes(node.id) || ["__executed", "trustedTypes", "cookie"].includes(node.getAttribute("name"))) say("name");
  }
  // What waits for a pointer or for the focus.
  for (const node of document.querySelectorAll("main *, nav *, dialog *")) {
    for (const type of ["mouseover", "mouseenter", "pointerenter", "focusin", "animationstart"]) node.dispatchEvent(new Event(type));
  }
  return wrong;
}"""


def assert_harmless(page: Page) -> None:
    """Nothing ran, and there is no element or attribute that could."""
    wrong = page.evaluate(LOOK, [sorted(ELEMENTS)])
    assert wrong == [], f"{len(wrong)} at {page.url}:\n" + "\n".join(wrong[:20])
    for frame in page.frames:
        assert frame.evaluate("window.__executed") is None, f"a script ran at {page.url}"
    assert page.watch.remaining() == []
