// One passage that was found, and why: drawn so that a person sees what words and meaning gave.

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { formatNumber } from "../format.js";
import { link } from "../router.js";
import { t } from "../language.js";
import { collectionName } from "./collections.js";
import { documentPath } from "./links.js";

/** Letters that an ending may add to a stem: what is longer is another word. */
const ENDING = 5;

function foldWord(word) {
  return word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/ß/g, "ss");
}

/** The term of the question that a word says, or nothing. Terms are stems: `servic` is said by `serviced`. */
function termOf(word, terms) {
  const folded = foldWord(word);
  return terms.find((term) => {
    const stem = foldWord(term);
    if (folded === stem) return true;
    // Scripts without spaces: the term stands within.
    if (/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]/.test(stem)) return folded.includes(stem);
    if (stem.length < 3) return false;
    const isStem = folded.startsWith(stem) || (stem.endsWith("i") && folded.startsWith(`${stem.slice(0, -1)}y`));
    return isStem && folded.length <= stem.length + ENDING;
  });
}

/** The text with the words of the question marked, and which terms it says. */
export function markTerms(text, terms) {
  const said = new Set();
  if (!terms.length) return { nodes: [text], said };
  const nodes = [];
  let plain = "";
  // Split into words and what is between them.
  for (const part of text.split(/([\p{L}\p{N}\p{M}]+)/u)) {
    const term = /[\p{L}\p{N}]/u.test(part) && termOf(part, terms);
    if (!term) plain += part;
    else {
      said.add(term);
      nodes.push(plain, el("mark", {}, part));
      plain = "";
    }
  }
  nodes.push(plain);
  return { nodes, said };
}

/** The words of the question that the terms are stems of, by term. */
export function termLabels(question, terms) {
  const words = question.match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
  return new Map(terms.map((term) => [term, words.find((word) => termOf(word, [term]) && word.length < term.length + ENDING) ?? term]));
}

/** A score as people read it. */
export function formatScore(score) {
  return formatNumber(score, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** What words and meaning give to the fused score: `{ words, meaning, weight, text, cosine }`; a share is null where nothing was looked for in that way. */
export function scoreShares(hit, search) {
  const { bm25, cosine } = hit.explain ?? {};
  const [hasWords, hasMeaning] = [search.max_bm25 > 0, search.models.length > 0];
  const weight = hasWords && hasMeaning ? search.cosine_weight : hasMeaning ? 1 : 0;
  const text = hasWords ? Math.min(1, (bm25 ?? 0) / search.max_bm25) : null;
  return { weight, text, cosine: hasMeaning ? (cosine ?? 0) : null, words: hasWords ? text * (1 - weight) : null, meaning: hasMeaning ? Math.max(0, cosine ?? 0) * weight : null };
}

/** One passage; `rank` from 1, `search` the explanation of the search. */
export function hitCard(hit, rank, search) {
  const terms = search?.terms ?? [];
  const { nodes, said } = markTerms(hit.text, terms);
  const title = markTerms([hit.title, ...(hit.headings ?? [])].join(" "), terms).said;
  const isSaid = (term) => said.has(term) || title.has(term);
  const where = [hit.page ? t("knowledge.document.page", { page: hit.page }) : null, ...(hit.headings ?? []).filter((heading) => heading !== hit.title)].filter(Boolean).join(" › ");
  return el(
    "li.hit",
    {},
    el("div.row.hit-head", {}, el("h2.grow", {}, link(documentPath(hit), { class: "hit-title" }, icon("file"), el("span", { dir: "auto" }, hit.title))), el("span.badge.good", { title: t("knowledge.search.together") }, formatScore(hit.score))),
    el("p.small.muted", { dir: "auto" }, [collectionName(hit.collection_id), where].filter(Boolean).join(" · ")),
    el("p.hit-text", { dir: "auto" }, nodes),
    search && hit.explain ? hitReasons(hit, rank, search, terms.filter(isSaid), terms.filter((term) => !isSaid(term))) : null,
  );
}

function hitReasons(hit, rank, search, said, missing) {
  const { text_rank, vector_rank, fused, rerank, bm25, cosine } = hit.explain;
  const shares = scoreShares(hit, search);
  const words = shares.text === null ? t("knowledge.search.no_words") : text_rank ? t("knowledge.search.word_rank", { rank: text_rank }) : t("knowledge.search.not_by_words");
  const meaning = shares.cosine === null ? t("knowledge.search.no_meaning") : vector_rank ? t("knowledge.search.meaning_rank", { rank: vector_rank }) : t("knowledge.search.not_by_meaning");
  const chips = (list, kind) => list.map((term) => search.weights.chip(term, kind));
  return el(
    "details.hit-why",
    { ontoggle: search.weights.load },
    el("summary", {}, scoreBar(shares), el("span.visually-hidden", {}, t("knowledge.search.why"))),
    el(
      "div.hit-reasons",
      {},
      reason("words", t("knowledge.search.words"), shares.text, words, bm25 === null ? null : `BM25 ${formatScore(bm25)} / ${formatScore(search.max_bm25)}`),
      reason("meaning", t("knowledge.search.meaning"), shares.cosine, meaning, cosine === null ? null : `cos ${formatScore(cosine)}`),
      reason("both", t("knowledge.search.together"), fused, null, null),
      rerank === null || rerank === undefined ? null : reason("both", t("knowledge.search.reranked"), hit.score, t("knowledge.search.moved", { before: hit.before ?? "?", after: rank }), null),
      said.length ? el("p.small", {}, t("knowledge.search.matched"), " ", chips(said, "said")) : null,
      missing.length ? el("p.small.muted", {}, t("knowledge.search.missing"), " ", chips(missing, "missing")) : null,
    ),
  );
}

/** The fused score as one bar of two parts. */
function scoreBar({ words, meaning }) {
  const part = (name, share) => (share ? el(`span.${name}`, { style: { width: `${Math.min(100, share * 100)}%` } }) : null);
  const said = [["words", words], ["meaning", meaning]].filter(([, share]) => share !== null).map(([name, share]) => `${t(`knowledge.search.${name}`)} ${formatScore(share)}`);
  return [el("span.score-bar", { "aria-hidden": "true" }, part("words", words), part("meaning", meaning)), el("span.small.muted.score-text", {}, said.join(" + "))];
}

function reason(kind, label, share, text, detail) {
  return el(
    "div.reason",
    {},
    el("span", {}, label),
    el("span.score-bar", { "aria-hidden": "true" }, share ? el(`span.${kind}`, { style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } }) : null),
    el("strong", {}, share === null ? "–" : formatScore(share)),
    el("small.muted", {}, [text, detail].filter(Boolean).join(" · ")),
  );
}
