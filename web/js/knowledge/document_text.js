// The text of a document and its passages, with the cited place marked.

import { el, each, when } from "../dom.js";
import { computed, effect, onCleanup } from "../reactive.js";
import { failed, iconButton, notice } from "../overlay.js";
import { prefix } from "../router.js";
import { t } from "../language.js";
import { chunkList } from "./chunks.js";
import { documentPath } from "./links.js";
import { listEnd } from "./states.js";

/** The text as it runs, without what chunks repeat of each other. */
export function documentText(document, place) {
  const list = chunkList(document.id, document.chunk_count, place);
  // What a piece shows depends on the one before it: its repeated start, a new page, new headings.
  const pieces = computed(() => list.items().map((chunk, at, all) => ({ chunk, before: all[at - 1] ?? null })));
  return chunkReader(list, place, each(pieces, ({ chunk }) => chunk.id, (piece) => textPiece(piece, list, place)), "div.document-text");
}

/** The passages one by one, as they are found. */
export function documentChunks(document, place) {
  const list = chunkList(document.id, document.chunk_count, place);
  return chunkReader(list, place, each(list.items, ({ id }) => id, (chunk) => chunkCard(chunk, list, place)), "ol.chunk-list");
}

function chunkReader(list, place, content, tag) {
  const isNamed = place.chunk || place.start !== null;
  const node = el(
    "div.stack",
    {},
    when(() => list.target() === null && isNamed, () => el("p.callout.info", {}, t("knowledge.document.chunk_gone"))),
    when(list.hasBefore, () => el("button.quiet.show-before", { type: "button", onclick: list.before }, t("knowledge.document.earlier"))),
    el(tag, { dir: "auto" }, content),
    listEnd(list),
  );
  let timer = null;
  effect(() => {
    if (!list.target()) return;
    // Once it is drawn.
    timer = setTimeout(() => showCited(node, place), 0);
  });
  onCleanup(() => clearTimeout(timer));
  list.more();
  return node;
}

function showCited(node, { chunk, start, page }) {
  const cited = chunk || start !== null ? node.querySelector(".cited") : node.querySelector(`#page-${page}`);
  cited?.scrollIntoView({ block: "center" });
  cited?.focus({ preventScroll: true });
}

/** The part of a chunk that is cited, in code points from its start: `[from, to]`, or null. */
function citedRange(chunk, target, place) {
  const { start, end } = place;
  if (!target) return null;
  if (start === null) return place.chunk && chunk.id === target.id ? [0, Infinity] : null;
  const [from, to] = [Math.max(start, chunk.start), Math.min(end ?? target.end, chunk.end)];
  return from < to ? [from - chunk.start, to - chunk.start] : null;
}

/** Text nodes of `points` from `from` on, with the cited range marked. */
function markedText(points, from, range) {
  const text = (a, b) => points.slice(a, b).join("");
  if (!range || range[1] <= from) return [text(from)];
  const [a, b] = [Math.max(range[0], from), Math.min(range[1], points.length)];
  return [text(from, a), el("mark", { class: "cited", tabindex: "-1" }, text(a, b)), text(b)];
}

function textPiece(piece, list, place) {
  return () => {
    const { chunk, before } = piece();
    const points = [...chunk.text];
    // Only where the chunk is the document's text as it stands can what is repeated be left out.
    const isWhole = points.length === chunk.end - chunk.start;
    const repeated = before && isWhole ? Math.max(0, Math.min(points.length, before.end - chunk.start)) : 0;
    const range = citedRange(chunk, list.target(), place);
    const isJoined = repeated > 0 || (before && before.end === chunk.start);
    const isNewPage = chunk.page && chunk.page !== before?.page;
    return [
      isNewPage ? el("p.page-mark", { id: `page-${chunk.page}`, tabindex: "-1" }, t("knowledge.document.page", { page: chunk.page })) : null,
      !isJoined && before && !isNewPage ? el("span.text-gap", {}, "\n\n") : null,
      el("span", {}, markedText(points, repeated, range)),
    ];
  };
}

function chunkCard(chunk, list, place) {
  const { id, document_id, page, start, end, index, headings, text } = chunk.peek();
  const copyLink = async () => {
    try {
      await navigator.clipboard.writeText(location.origin + prefix + documentPath({ document_id, page, chunk_id: id, start, end }));
      notice(t("knowledge.document.link_copied"));
    } catch (error) {
      failed(error);
    }
  };
  const isTarget = () => list.target()?.id === id;
  return el(
    "li.chunk-card.card",
    { class: () => (isTarget() && (place.chunk || place.start !== null) ? "cited" : ""), tabindex: "-1" },
    el(
      "div.row",
      {},
      el("strong", {}, t("knowledge.document.passage", { number: index + 1 })),
      el("small.muted.grow", {}, [page ? t("knowledge.document.page", { page }) : null, t("knowledge.document.characters", { start, end })].filter(Boolean).join(" · ")),
      iconButton("share", t("knowledge.document.copy_link"), copyLink),
    ),
    headings.length ? el("p.small.muted", { dir: "auto" }, headings.join(" › ")) : null,
    el("p.chunk-text", { dir: "auto" }, () => markedText([...text], 0, isTarget() && place.start !== null && (start !== place.start || end !== place.end) ? citedRange(chunk(), list.target(), place) : null)),
  );
}
