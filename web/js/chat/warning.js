// What a reader should know of an answer, in plain words.

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../language.js";

const PLAIN = new Set(["context_truncated", "tool_call_truncated", "answer_cut", "budget_exceeded", "answer_incomplete", "image_left_out", "tool_limit", "citation_unknown", "quote_not_found"]);
/** What a reader may be misled by; the others are said quietly. */
const LOUD = new Set(["context_truncated", "answer_cut", "budget_exceeded", "answer_incomplete", "quote_not_found"]);
/** Details of one kind that are listed. */
const MAX_DETAILS = 3;

function warningView(code, details) {
  const shown = details.slice(0, MAX_DETAILS).map((detail) => el(PLAIN.has(code) ? "p.muted" : "p", { dir: "auto" }, detail));
  const others = details.length > MAX_DETAILS ? el("p.muted", {}, t("chat.warning.others", { count: details.length - MAX_DETAILS })) : null;
  return el(LOUD.has(code) ? "div.callout.small" : "div.aside.small.muted", { role: "note" }, icon(LOUD.has(code) ? "warning" : "info"), el("div.grow", {}, PLAIN.has(code) ? el("p", {}, t(`chat.warning.${code}`)) : null, shown, others));
}

/** The warnings `[{ code, detail }]` of an answer, those of a kind together. */
export function warningsView(warnings) {
  const kinds = new Map();
  for (const { code, detail } of warnings) {
    const details = kinds.get(code) ?? new Set();
    if (detail) details.add(detail);
    kinds.set(code, details);
  }
  return [...kinds].map(([code, details]) => warningView(code, [...details]));
}
