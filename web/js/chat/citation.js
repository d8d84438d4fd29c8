// The numbered marks of an answer: the passage on hover or focus, the document at its page on a click.

import { el } from "../dom.js";
import { link } from "../router.js";
import { closePopup, openPopover } from "../overlay.js";
import { t } from "../language.js";
import { foreignLink } from "./foreign_link.js";
import { documentPath } from "../knowledge/links.js";

const citationsOfMarks = new WeakMap();
const MARK = /\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]/g;
const NO_MARKS = "pre, code, a, math, .footnote";
/** Letters that glue a bracket to a word, as in `x[3]`; scripts without spaces glue nothing. */
const GLUES = /[\p{L}\p{N}_]/u;
const SPACELESS = /[\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF\u2E80-\u{3FFFF}]/u;

/** Where a citation leads. */
export function citationLink(citation, props, ...children) {
  if (citation.document_id) return link(documentPath(citation), props, ...children);
  return citation.url ? Object.assign(foreignLink(citation.url, children), { className: `foreign ${props?.class ?? ""}` }) : el("span", props, ...children);
}

/** Makes marks of the `[n]` in the text of `root` whose numbers are all known. */
export function markCitations(root, citations) {
  if (!citations.length) return;
  const known = new Map(citations.map((citation) => [citation.n, citation]));
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (walker.currentNode.data.includes("[") && !walker.currentNode.parentElement?.closest(NO_MARKS)) texts.push(walker.currentNode);
  for (const node of texts) markText(node, known);
}

function markText(node, known) {
  const { data } = node;
  const pieces = [];
  let from = 0;
  for (const found of data.matchAll(MARK)) {
    const numbers = found[1].split(/\s*[,;]\s*/).map(Number);
    const before = data[found.index - 1] ?? "";
    if ((GLUES.test(before) && !SPACELESS.test(before)) || !numbers.every((n) => known.has(n))) continue;
    pieces.push(data.slice(from, found.index), ...numbers.map((n) => citationMark(known.get(n))));
    from = found.index + found[0].length;
  }
  if (pieces.length) node.replaceWith(...pieces, data.slice(from));
}

function citationMark(citation) {
  const mark = citationLink(citation, { class: "cite", "aria-label": t("chat.citation.label", { n: citation.n, title: citation.title }) }, String(citation.n));
  if (citation.quotes?.some((quote) => !quote.found)) mark.classList.add("doubtful");
  citationsOfMarks.set(mark, citation);
  return mark;
}

/** A passage has a form feed where a page ends. */
function passageText({ text }) {
  return (text.length > 900 ? `${text.slice(0, 900)}…` : text).replaceAll("\f", "\n");
}

/** What a passage says, for a popover. */
function passageView(citation) {
  const lost = citation.quotes?.filter((quote) => !quote.found) ?? [];
  return [
    el("p.passage-title", { dir: "auto" }, `${citation.n}. ${citation.title}`, citation.page ? el("span.muted", {}, ` · ${t("chat.citation.page", { page: citation.page })}`) : null),
    citation.is_stale ? el("p.error-text", {}, t("chat.citation.stale")) : null,
    ...lost.slice(0, 3).map((quote) => el("p.error-text", { dir: "auto" }, t("chat.citation.quote_not_found", { quote: quote.text.slice(0, 200) }))),
    el("p.passage-text", { dir: "auto" }, passageText(citation)),
    citation.document_id || citation.url ? el("p", {}, citationLink(citation, { class: "small", onclick: () => closePopup() }, t("chat.citation.open"))) : null,
  ];
}

let passageTimer;
let shownMark = null;

function showPassage(mark) {
  clearTimeout(passageTimer);
  if (shownMark === mark && document.querySelector(".popup.passage")) return;
  openPopover(mark, passageView(citationsOfMarks.get(mark)), { label: t("chat.citation.passage"), className: "passage" });
  shownMark = mark;
}

function hidePassage() {
  clearTimeout(passageTimer);
  passageTimer = setTimeout(() => {
    const popup = document.querySelector(".popup.passage");
    if (popup && !popup.matches(":hover") && !popup.contains(document.activeElement)) closePopup();
    else if (popup) popup.addEventListener("pointerleave", hidePassage, { once: true });
  }, 250);
}

const markOf = (event) => (citationsOfMarks.has(event.target) ? event.target : null);
document.addEventListener("pointerover", (event) => {
  if (event.pointerType === "touch" || !markOf(event)) return;
  clearTimeout(passageTimer);
  passageTimer = setTimeout(() => event.target.isConnected && showPassage(event.target), 120);
});
document.addEventListener("pointerout", (event) => event.pointerType !== "touch" && markOf(event) && hidePassage());
document.addEventListener("focusin", (event) => markOf(event)?.matches(":focus-visible") && showPassage(event.target));
document.addEventListener("focusout", (event) => markOf(event) && hidePassage());
// A finger has no hover: the first touch shows the passage, which has a link to the document.
document.addEventListener("click", (event) => {
  if (!markOf(event)) return;
  if (event.pointerType === "touch") {
    event.preventDefault();
    event.stopPropagation();
    showPassage(event.target);
  } else if (shownMark) closePopup();
}, true);
