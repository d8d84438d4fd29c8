// Finished text: the server's HTML with what a reader needs beside it, or the text alone.

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { rendered } from "../rendered.js";
import { t } from "../language.js";
import { copyButton } from "./clipboard.js";
import { markCitations } from "./citation.js";

/** Characters of a piece of plain text; the browser lays out only the pieces that are seen. */
export const PIECE = 4000;
/** Blocks of a group that is laid out together. */
const GROUP = 24;
const LINES = 200;

/** An element of a finished text: of `html` as the server renders it, else of the text as it is. */
export function markdownView(text, html, { citations = [] } = {}) {
  const view = el("div.markdown");
  if (html === undefined || html === null) view.append(...plainPieces(text));
  else appendBlocks(view, html, citations);
  return view;
}

/** Appends the blocks of `html` to `view`, in groups. */
export function appendBlocks(view, html, citations = []) {
  const fragment = rendered(html);
  prepareBlocks(fragment, citations);
  const blocks = [...fragment.childNodes].filter((node) => node.nodeType === 1 || node.data.trim());
  if (blocks.length <= GROUP) {
    view.append(el("div.blocks", {}, blocks));
    return;
  }
  for (let at = 0; at < blocks.length; at += GROUP) view.append(el("div.blocks", {}, blocks.slice(at, at + GROUP)));
}

/** A text as it is, in pieces that break at its lines. */
export function plainPieces(text) {
  const pieces = [];
  for (let from = 0; from < text.length; ) {
    const to = pieceEnd(text, from);
    pieces.push(el("div.plain", { dir: "auto" }, document.createTextNode(text.slice(from, to))));
    from = to;
  }
  return pieces;
}

/** Where the piece of `text` from `from` ends. */
function pieceEnd(text, from) {
  if (text.length - from <= PIECE) return text.length;
  const line = text.indexOf("\n", from + PIECE / 2);
  if (line >= 0 && line < from + 2 * PIECE) return line + 1;
  const space = text.lastIndexOf(" ", from + PIECE);
  return space > from ? space + 1 : from + PIECE;
}

function prepareBlocks(root, citations) {
  for (const node of root.children) node.dir = "auto";
  for (const pre of root.querySelectorAll("pre")) prepareCode(pre);
  for (const table of root.querySelectorAll("div.table")) reachable(table, t("chat.table"));
  // The page's own headings come first.
  for (const heading of root.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    const lower = document.createElement(`h${Math.min(6, Number(heading.localName[1]) + 2)}`);
    lower.className = `heading-${heading.localName[1]}`;
    lower.dir = "auto";
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  for (const box of root.querySelectorAll("input")) box.setAttribute("aria-label", t(box.checked ? "chat.task_done" : "chat.task_open"));
  for (const anchor of root.querySelectorAll("a.foreign")) {
    if (anchor.classList.contains("image")) anchor.prepend(icon("image"));
    anchor.append(el("span.host", {}, anchor.dataset.host ?? ""));
  }
  for (const image of root.querySelectorAll("span.image")) image.prepend(icon("image"));
  markCitations(root, citations);
}

/** What scrolls sideways can be reached by keyboard. */
function reachable(node, label) {
  node.tabIndex = 0;
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", label);
}

function prepareCode(pre) {
  const { language } = pre.dataset;
  const code = pre.querySelector("code") ?? pre;
  const text = code.textContent;
  reachable(pre, language ? t("chat.code_in", { language }) : t("chat.code"));
  pre.dir = "ltr";
  splitLines(code, text);
  const head = el("figcaption.code-head", {}, el("span", {}, language ?? ""), copyButton(() => text, t("chat.copy_code")));
  const figure = el("figure.code-block", {}, head);
  pre.replaceWith(figure);
  figure.append(pre);
}

/** Long code is laid out piece by piece: its nodes are put into pieces of some hundred lines. */
function splitLines(code, text) {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0 && lines <= 2 * LINES; at = text.indexOf("\n", at + 1)) lines += 1;
  if (lines <= 2 * LINES) return;
  const nodes = [...code.childNodes];
  const pieces = [];
  let piece = [];
  let count = 0;
  const close = () => {
    pieces.push(el("span.code-lines", {}, piece));
    [piece, count] = [[], 0];
  };
  for (const node of nodes) {
    if (node.nodeType !== 3) {
      piece.push(node);
      continue;
    }
    let from = 0;
    for (let at = node.data.indexOf("\n"); at >= 0; at = node.data.indexOf("\n", at + 1)) {
      count += 1;
      if (count < LINES) continue;
      // The end of a piece is the end of a line by itself.
      piece.push(node.data.slice(from, at));
      from = at + 1;
      close();
    }
    if (from < node.data.length) piece.push(from ? node.data.slice(from) : node);
  }
  if (piece.length) close();
  code.replaceChildren(...pieces);
}

// Footnotes of one message lead within it, though others have the same names.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest?.('.markdown a[href^="#"]');
  if (!anchor) return;
  event.preventDefault();
  const target = anchor.closest(".markdown").querySelector(`[id="${CSS.escape(anchor.getAttribute("href").slice(1))}"]`);
  target?.scrollIntoView({ block: "center" });
});
