// The content of messages as they are stored.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { signal } from "../reactive.js";
import { t } from "../language.js";
import { citationLink } from "./citation.js";
import { foreignLink } from "./foreign_link.js";
import { reasoningView } from "./live_answer.js";
import { markdownView, plainPieces } from "./markdown.js";
import { quotedFile } from "./quoted_file.js";
import { readableJson, toolCallState, toolCallView } from "./tool_call.js";
import { warningsView } from "./warning.js";

/** Sources that are listed under an answer at first. */
const SOURCES_SHOWN = 6;
/** A question of more is folded. */
const LONG_QUESTION = 1600;
const LONG_QUESTION_LINES = 14;

/** The sources of an answer, numbered as its marks are. */
function sourcesView(citations) {
  const isAll = signal(false);
  return el(
    "div.sources",
    {},
    el("h3.visually-hidden", {}, t("chat.citation.sources")),
    () => (isAll() ? citations : citations.slice(0, SOURCES_SHOWN)).map((citation) => citationLink(citation, { class: "source", title: citation.title }, el("span.source-number", {}, String(citation.n)), el("span.truncate", { dir: "auto" }, citation.title), citation.page ? el("span.muted.small", {}, t("chat.citation.page", { page: citation.page })) : null)),
    when(() => citations.length > SOURCES_SHOWN && !isAll(), () => el("button.text-button.small", { type: "button", onclick: () => isAll.set(true) }, t("chat.citation.all", { count: citations.length }))),
  );
}

/** The content of a stored answer; `notes` has what was seen of it while it was written: `warnings`, `thoughtFor`. */
export function answerParts(message, notes, citationsBefore = []) {
  const results = new Map(message.content.filter((part) => part.type === "tool_result").map((part) => [part.id, part]));
  const citations = message.content.filter((part) => part.type === "citation");
  const nodes = [];
  for (const part of message.content) {
    if (part.type === "text") {
      if (part.text.trim()) nodes.push(markdownView(part.text, part.html, { citations: citations.length ? citations : citationsBefore }));
    } else if (part.type === "reasoning") {
      if (part.text.trim()) nodes.push(reasoningView(markdownView(part.text, part.html), { time: () => part.duration_ms ?? notes.thoughtFor ?? null }));
    } else if (part.type === "tool_call") {
      const state = toolCallState(part);
      state.result.set(results.get(part.id) ?? null);
      state.isOver.set(true);
      nodes.push(toolCallView(state));
    } else if (part.type === "extra") {
      nodes.push(el("details.fold", {}, el("summary", {}, icon("info"), el("span", {}, t("chat.extra"))), el("div.fold-body", {}, plainPieces(readableJson(part.fields)))));
    }
  }
  if (citations.length) nodes.push(sourcesView(citations));
  const warnings = [...notes.warnings];
  const hasLost = citations.some((citation) => citation.quotes?.some((quote) => !quote.found));
  if (hasLost && !warnings.some((one) => one.code === "quote_not_found")) warnings.push({ code: "quote_not_found", detail: "" });
  return [...nodes, ...warningsView(warnings)];
}

function textOfQuestion(text) {
  const isLong = text.length > LONG_QUESTION || text.split("\n", LONG_QUESTION_LINES + 1).length > LONG_QUESTION_LINES;
  const isOpen = signal(!isLong);
  return [
    el("div.question-text", { class: () => (isOpen() ? "" : "folded") }, () => (isOpen() ? plainPieces(text) : plainPieces(text.slice(0, LONG_QUESTION)))),
    isLong ? el("button.text-button.small", { type: "button", "aria-expanded": () => String(isOpen()), onclick: () => isOpen.update((open) => !open) }, () => t(isOpen() ? "chat.show_less" : "chat.show_all")) : null,
  ];
}

/** The content of a question. */
export function questionParts(message) {
  return message.content.map((part) => {
    if (part.type === "text") {
      const file = quotedFile(part.text);
      if (!file) return textOfQuestion(part.text);
      return el("details.fold.quoted-file", {}, el("summary", {}, icon("file"), el("span.truncate", { dir: "auto" }, file.name)), el("div.fold-body", {}, plainPieces(file.text)));
    }
    if (part.type === "image") {
      if (part.data) return el("img.message-image", { src: `data:${part.media_type};base64,${part.data}`, alt: t("chat.picture"), loading: "lazy" });
      return foreignLink(part.url, t("chat.picture"));
    }
    if (part.type === "file") return el("p.row.tight", {}, icon("file"), el("span", { dir: "auto" }, part.name));
    if (part.type === "tool_result") return el("p.muted.small", {}, t("chat.tool.result"));
    return null;
  });
}

/** The text of a message as Markdown, as it was written. */
export function markdownOf(message) {
  return message.content.filter((part) => part.type === "text").map((part) => part.text).join("\n\n");
}
