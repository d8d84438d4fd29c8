// What a reader should know of an answer, in plain words.

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { t } from "../language.js";

const PLAIN = new Set(["context_truncated", "tool_call_truncated", "answer_cut", "budget_exceeded", "answer_incomplete", "image_left_out", "tool_limit", "citation_unknown", "quote_not_found"]);

/** A warning `{ code, detail }`. */
export function warningView({ code, detail }) {
  const text = PLAIN.has(code) ? el("div", {}, el("p", {}, t(`chat.warning.${code}`)), detail ? el("p.muted.small", { dir: "auto" }, detail) : null) : el("p", { dir: "auto" }, detail);
  return el("div.callout.small", { role: "note" }, icon("warning"), text);
}
