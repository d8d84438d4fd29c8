// `/knowledge/search`: passages for a question, and why they were found.

import { api } from "../api.js";
import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { computed, effect, onCleanup, signal, untracked } from "../reactive.js";
import { formatNumber } from "../format.js";
import { link, navigate, query } from "../router.js";
import { screenHead, title } from "../shell.js";
import { t } from "../language.js";
import { collections, loadCollections } from "./collections.js";
import { hitCard, termLabels } from "./hit.js";
import { missingDocument } from "./missing_document.js";
import { collectionPicker } from "./picker.js";
import { failureNote, waiting } from "./states.js";
import { termWeights } from "./term_weights.js";

const SEARCH_STEP = 20;
const SEARCH_MOST = 200;
const SEARCH_MODES = ["hybrid", "text", "vector"];
/** Parts of media types, by what people call them. */
const SEARCH_KINDS = {
  pdf: ["pdf"],
  word: ["msword", "wordprocessing", "opendocument.text", "rtf"],
  table: ["excel", "spreadsheet", "csv"],
  slides: ["powerpoint", "presentation"],
  web: ["html"],
  mail: ["rfc822", "outlook"],
  text: ["text/plain", "markdown"],
};
const SEARCH_SCORES = [0.1, 0.2, 0.3, 0.5];

/** What the address asks for: the body of the request, or null without a question. */
function searchBody(asked, limit) {
  const q = asked.get("q")?.trim();
  if (!q) return null;
  const body = { query: q, limit, explain: true };
  const ids = asked.get("collections")?.split(",").filter(Boolean) ?? [];
  if (ids.length) body.collections = ids;
  if (SEARCH_MODES.includes(asked.get("mode"))) body.mode = asked.get("mode");
  const kind = SEARCH_KINDS[asked.get("type")];
  if (kind) body.filter = { or: kind.map((value) => ({ contains: { field: "$media_type", value } })) };
  const least = Number(asked.get("least"));
  if (least > 0 && least <= 1) body.min_score = least;
  return body;
}

export function knowledgeSearchScreen() {
  title.set(t("knowledge.search.title"));
  if (collections.peek() === null) loadCollections();
  const [found, error, isBusy, limit] = [signal(null), signal(null), signal(false), signal(SEARCH_STEP)];
  const key = computed(() => query().toString());
  const asked = computed(() => searchBody(new URLSearchParams(key()), limit()));
  let abort = null;
  const run = async () => {
    abort?.abort();
    abort = new AbortController();
    const body = asked.peek();
    error.set(null);
    if (!body) return found.set(null);
    const mine = abort;
    isBusy.set(true);
    try {
      const answer = await api.post("/knowledge/search", body, { signal: mine.signal });
      found.set({ ...answer, body });
    } catch (problem) {
      if (problem.name !== "AbortError") {
        error.set(problem);
        found.set(null);
      }
    } finally {
      if (mine === abort) isBusy.set(false);
    }
  };
  let lastKey = key.peek();
  effect(() => {
    // Another question begins with few passages again.
    if (lastKey !== key()) untracked(() => limit.set(SEARCH_STEP));
    lastKey = key.peek();
    asked();
    untracked(run);
  });
  onCleanup(() => abort?.abort());
  return [
    screenHead(el("span.crumbs", {}, link("/knowledge", { class: "crumb" }, t("knowledge.title")), el("span.muted", { "aria-hidden": "true" }, " › "), t("knowledge.search.title"))),
    el(
      "div.screen-body.stack",
      {},
      searchForm(),
      () => (error() ? failureNote(error(), run) : null),
      when(() => isBusy() && !found(), waiting),
      when(() => !asked() && !isBusy(), () => el("p.muted.none-here", {}, t("knowledge.search.start"))),
      el("div.stack", { class: () => (isBusy() ? "stale" : ""), "aria-busy": () => String(isBusy()) }, () => (found() ? searchResult(found(), limit) : null)),
    ),
  ];
}

function searchForm() {
  const now = query.peek();
  const input = el("input.grow", { type: "search", name: "q", value: now.get("q") ?? "", "aria-label": t("knowledge.search.label"), placeholder: t("knowledge.search.placeholder"), dir: "auto", maxlength: 20000 });
  const selected = signal(now.get("collections")?.split(",").filter(Boolean) ?? []);
  const fields = {};
  const go = (event) => {
    event?.preventDefault();
    const next = new URLSearchParams();
    const put = (name, value) => value && next.set(name, value);
    put("q", input.value.trim());
    put("collections", selected.peek().join(","));
    put("mode", fields.mode.value);
    put("type", fields.type.value);
    put("least", fields.least.value);
    navigate(`/knowledge/search${next.size ? `?${next}` : ""}`);
  };
  const choice = (name, label, options) =>
    el("label.search-choice", {}, el("span", {}, label), el("select", { ref: (node) => (fields[name] = node), onchange: go }, options.map(([value, text]) => el("option", { value, selected: value === (now.get(name) ?? "") }, text))));
  // The fields follow the address, also when the browser goes back.
  effect(() => {
    const given = query();
    if (document.activeElement !== input) input.value = given.get("q") ?? "";
    untracked(() => selected.set(given.get("collections")?.split(",").filter(Boolean) ?? []));
    for (const [name, field] of Object.entries(fields)) field.value = given.get(name) ?? "";
  });
  let isFirst = true;
  effect(() => {
    const ids = selected();
    if (!isFirst && ids.join(",") !== (query.peek().get("collections") ?? "")) untracked(go);
    isFirst = false;
  });
  const form = el(
    "form.stack",
    { role: "search", onsubmit: go },
    el("div.row.knowledge-search-row", {}, input, el("button.primary", { type: "submit" }, icon("search"), el("span", {}, t("knowledge.search.go")))),
    el(
      "div.row.search-choices",
      {},
      collectionPicker(selected, { none: t("knowledge.search.everywhere") }),
      choice("mode", t("knowledge.search.mode"), SEARCH_MODES.map((mode) => [mode === "hybrid" ? "" : mode, t(`knowledge.search.modes.${mode}`)])),
      choice("type", t("knowledge.search.type"), [["", t("knowledge.search.any_type")], ...Object.keys(SEARCH_KINDS).map((kind) => [kind, t(`knowledge.search.kinds.${kind}`)])]),
      choice("least", t("knowledge.search.least"), [["", t("knowledge.search.any_score")], ...SEARCH_SCORES.map((score) => [String(score), formatNumber(score)])]),
    ),
  );
  if (!now.get("q")) setTimeout(() => input.focus(), 0);
  return form;
}

function searchResult({ data, warnings, explain, body }, limit) {
  if (explain) explain.weights = termWeights(body, explain, termLabels(body.query, explain.terms));
  // Places before the reranker: by the fused score.
  const before = new Map([...data].sort((a, b) => (b.explain?.fused ?? 0) - (a.explain?.fused ?? 0)).map((hit, at) => [hit.chunk_id, at + 1]));
  const time = explain?.timings?.total_ms;
  return [
    warnings.map((text) => el("div.callout", {}, icon("warning"), el("span", { dir: "auto" }, text))),
    data.length
      ? el("p.small.muted", { role: "status" }, time ? t("knowledge.search.took", { count: data.length, time: formatNumber(time, { style: "unit", unit: "millisecond", maximumFractionDigits: 0 }) }) : t("knowledge.search.count", { count: data.length }))
      : el("div.none-here", { role: "status" }, el("p", {}, t("knowledge.search.nothing")), el("p.muted", {}, t("knowledge.search.nothing_hint"))),
    explain && data.length ? searchLegend(explain) : null,
    el("ol.hit-list", {}, data.map((hit, at) => hitCard({ ...hit, before: before.get(hit.chunk_id) }, at + 1, explain))),
    data.length === body.limit && body.limit < SEARCH_MOST ? el("button.quiet.show-before", { type: "button", onclick: () => limit.update((now) => Math.min(SEARCH_MOST, now + SEARCH_STEP)) }, t("knowledge.search.more")) : null,
    explain ? searchCourse(explain) : null,
    explain ? missingDocument(body, data, explain) : null,
  ];
}

function searchLegend({ cosine_weight, max_bm25, models }) {
  const [hasWords, hasMeaning] = [max_bm25 > 0, models.length > 0];
  const share = (value) => formatNumber(value, { style: "percent", maximumFractionDigits: 0 });
  return el(
    "p.small.muted.search-legend",
    {},
    hasWords ? [el("span.swatch.words", { "aria-hidden": "true" }), t("knowledge.search.words")] : null,
    hasMeaning ? [el("span.swatch.meaning", { "aria-hidden": "true" }), t("knowledge.search.meaning")] : null,
    hasWords && hasMeaning ? el("span", {}, t("knowledge.search.weighing", { meaning: share(cosine_weight), words: share(1 - cosine_weight) })) : null,
  );
}

/** How the search went, in numbers. */
function searchCourse(explain) {
  const fact = (label, value) => [el("dt", {}, t(`knowledge.search.${label}`)), el("dd", { dir: "auto" }, value)];
  const number = (label, value) => fact(label, formatNumber(value));
  const times = Object.entries(explain.timings).filter(([, value]) => value > 0).map(([name, value]) => `${t(`knowledge.search.time.${name}`)} ${formatNumber(value, { maximumFractionDigits: 1 })} ms`);
  return el(
    "details",
    { ontoggle: explain.weights.load },
    el("summary", {}, t("knowledge.search.how")),
    el(
      "dl.facts",
      {},
      fact("terms", explain.terms.length ? explain.terms.map((term) => explain.weights.chip(term, "said")) : t("knowledge.search.no_terms")),
      fact("models", explain.models.join(", ") || t("knowledge.search.no_models")),
      number("passages", explain.chunks),
      number("filtered", explain.filtered),
      number("text_candidates", explain.text_candidates),
      number("vector_candidates", explain.vector_candidates),
      number("below", explain.below_min_score),
      fact("times", times.join(" · ")),
    ),
  );
}
