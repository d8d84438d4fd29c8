"""How fast the page is on this machine, as a table: `AIMATE_BIN=… python measure.py [SECONDS]`. Nothing here fails.

The server of a release build is what users have; one of a debug build is several times slower.
"""

import os
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

from browser import FLAGS, MISSING, find_chromium
from chat import Chat
from database import fill_conversation
from model import Answer, Model, words
from playwright.sync_api import Browser, Page, expect, sync_playwright
from server import Server

OBSERVE = """() => {
  window.__tasks = []; window.__frames = [];
  new PerformanceObserver((list) => window.__tasks.push(...list.getEntries().map((one) => one.duration))).observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => { window.__frames.push(now - last); last = now; window.__handle = requestAnimationFrame(frame); };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(frame); });
}"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def row(name: str, value: object, wanted: str = "") -> None:
    print(f"| {name} | {value} | {wanted} |", flush=True)


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def heap(page: Page) -> float:
    """Megabytes of the heap after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    session.detach()
    return used


def sizes(server: Server) -> None:
    import re

    html = urllib.request.urlopen(f"{server.url}/").read().decode()
    total = {"br": 0, "gzip": 0, "identity": 0}
    for path in sorted(set(re.findall(r'(?:href|src)="([^"]*/assets/[^"]+)"', html))):
        for encoding in total:
            request = urllib.request.Request(server.url + path, headers={"accept-encoding": encoding})
            total[encoding] += len(urllib.request.urlopen(request).read())
    row("own files, brotli / gzip / plain", " / ".join(f"{size / 1024:.1f} KiB" for size in total.values()), "≤ 120 KiB")


def opening(browser: Browser, server: Server, conversation: str, last: str) -> tuple[list[float], list[float], int]:
    """First paint, time until the last message is there, requests before the paint; each in a new context."""
    paints, messages, requests = [], [], 0
    for _ in range(9):
        context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.add_init_script(
            f"new MutationObserver(() => {{ if (!window.__shown && document.querySelector('main')?.textContent.includes({last!r})) window.__shown = performance.now(); }}).observe(document, {{ childList: true, subtree: true, characterData: true }})"
        )
        page.goto(f"/c/{conversation}")
        # Nothing is asked of the page meanwhile: an expectation walks through it and delays its paint.
        page.wait_for_timeout(1_500)
        expect(page.get_by_text(last).first).to_be_attached()
        paints.append(page.evaluate(PAINT) or 0.0)
        messages.append(page.evaluate("window.__shown"))
        requests = 1 + page.evaluate(f"performance.getEntriesByType('resource').filter((one) => one.startTime < {PAINT} - 30).length")
        context.close()
    return paints, messages, requests


def stream(browser: Browser, server: Server, model: Model, seconds: int) -> None:
    count = 200 * seconds
    answer = Answer(words(count, 60), delay=1 / 200)
    model.script("measured stream", answer)
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto("/")
    chat = Chat(page, server)
    chat.ask("measured stream")
    expect(chat.answers().last).to_contain_text("word100 ")
    before = heap(page)
    page.evaluate(OBSERVE)
    heaps = []
    for step in range(1, 7):
        page.wait_for_timeout(seconds * 1000 / 7)
        if step == 6:
            frames, tasks = page.evaluate("[window.__frames, window.__tasks]")
        heaps.append(round(heap(page), 1))
    expect(chat.answers().last).to_contain_text(f"word{count - 1}", timeout=60_000)
    row(f"200 tokens/s for {seconds} s: frames p50 / p99 / longest", f"{statistics.median(frames):.0f} / {percentile(frames, 0.99):.0f} / {max(frames):.0f} ms", "every one < 50 ms")
    row("… long tasks (over 50 ms), longest", f"{len(tasks)}, {max(tasks, default=0):.0f} ms", "none")
    row("… heap before, and along the way", f"{before:.1f} MB, {heaps} MB", "flat")
    context.close()


def scroll(browser: Browser, server: Server, conversation: str, last: str) -> None:
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"/c/{conversation}")
    expect(page.get_by_text(last).first).to_be_attached()
    page.wait_for_timeout(500)
    page.evaluate(OBSERVE)
    page.get_by_role("main").hover()
    for _ in range(150):
        page.mouse.wheel(0, -1500)
        page.wait_for_timeout(30)
    frames, tasks = page.evaluate("[window.__frames, window.__tasks]")
    row("scrolling up through 10,000 messages: frames p50 / p99 / longest", f"{statistics.median(frames):.0f} / {percentile(frames, 0.99):.0f} / {max(frames):.0f} ms")
    row("… longest task", f"{max(tasks, default=0):.0f} ms", "≤ 100 ms")
    row("… messages in the document", page.evaluate("document.querySelectorAll('article').length"))
    context.close()


def main() -> None:
    # A debug build, or a machine that is busy, is slow and shall be measured all the same.
    expect.set_options(timeout=60_000)
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    chromium = find_chromium()
    if not chromium:
        sys.exit(MISSING)
    binary = Path(os.environ.get("AIMATE_BIN", Path(__file__).parents[2] / "target/release/aimate"))
    model = Model()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(binary, Path(folder), model.url).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            print("| measured | value | wanted |\n|---|---|---|")
            sizes(server)
            made = {count: server.call("POST", "/conversations", {"title": f"{count} messages"})["id"] for count in (10, 10_000)}
            server.kill()
            for count, conversation in made.items():
                fill_conversation(server.folder / "data", conversation, count, paragraphs=3)
            server.start()
            for count, conversation in made.items():
                paints, messages, requests = opening(browser, server, conversation, f"answer {count // 2 - 1}")
                row(f"{count:,} messages: first paint, median / longest of 9", f"{statistics.median(paints):.0f} / {max(paints):.0f} ms", "≤ 300 ms")
                row("… the last message is there, median / longest", f"{statistics.median(messages):.0f} / {max(messages):.0f} ms", "10,000 ≤ 1.5 × 10")
                row("… requests up to the first paint", requests, "≤ 6")
            scroll(browser, server, made[10_000], "answer 4999")
            stream(browser, server, model, seconds)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
