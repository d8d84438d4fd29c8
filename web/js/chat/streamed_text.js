// A text while it streams: what is whole is shown as the server renders it, what is not yet as the text that it is.

import { api } from "../api.js";
import { el } from "../dom.js";
import { inNextFrame } from "./frames.js";
import { appendBlocks, PIECE, plainPieces } from "./markdown.js";

/** The server renders at most so often, in milliseconds: it counts as a read, of which there are 1,200 a minute. */
const RENDER_EVERY = 400;
/** Longest text that the server renders. */
const RENDER_MAX = 1_000_000;

/** Gives `{ node, push(text), text(), end() }`. Without `isRendered` it stays text. `citations()` are those known so far. */
export function streamedText({ citations = () => [], isRendered = true } = {}) {
  const whole = el("div.markdown");
  const tail = el("div.stream-tail");
  const node = el("div.streamed", {}, whole, tail);
  let text = "";
  // Of `text`: what is rendered, what stands in the page, what was tried to render.
  let [rendered, drawn, tried] = [0, 0, 0];
  let [isAsking, isOver, timer] = [false, false, null];
  let notBefore = 0;

  function draw() {
    if (drawn < text.length) appendTail(text.slice(drawn));
    drawn = text.length;
    if (isRendered) renderLater();
  }

  /** Only the last piece of the tail changes: the browser lays out no more than that. */
  function appendTail(piece) {
    const last = tail.lastChild;
    if (last && last.firstChild.length + piece.length <= PIECE) {
      last.firstChild.appendData(piece);
      return;
    }
    last?.remove();
    tail.append(...plainPieces((last?.firstChild.data ?? "") + piece));
  }

  function renderLater() {
    if (timer || isAsking || isOver || text.length - rendered > RENDER_MAX) return;
    // Nothing is whole before an empty line or the end of a fence.
    const from = Math.max(tried - 2, rendered);
    if (text.indexOf("\n\n", from) < 0 && text.indexOf("\n```", from) < 0) return;
    timer = setTimeout(render, Math.max(0, notBefore - performance.now()));
  }

  async function render() {
    timer = null;
    if (isOver) return;
    isAsking = true;
    const sent = text.slice(rendered);
    tried = text.length;
    let pause = RENDER_EVERY + sent.length / 50;
    try {
      const answer = await api.post("/markdown", { text: sent, is_final: false });
      if (isOver) return;
      if (answer.rendered > 0) {
        rendered += answer.rendered;
        appendBlocks(whole, answer.html, citations());
        tail.replaceChildren();
        drawn = rendered;
      }
    } catch (error) {
      // It stays text; the whole message is rendered when it is finished.
      pause = Math.max(5000, (error.retryAfter ?? 0) * 1000);
    } finally {
      isAsking = false;
      notBefore = performance.now() + pause;
    }
    inNextFrame(draw);
  }

  return {
    node,
    text: () => text,
    push(piece) {
      text += piece;
      inNextFrame(draw);
    },
    /** Nothing more comes: what is pending is drawn, nothing more is rendered. */
    end() {
      draw();
      isOver = true;
      clearTimeout(timer);
    },
  };
}
