// A call of a tool within an answer: what it was called with, how far it is, what came back, and what it waits for.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { signal } from "../reactive.js";
import { api } from "../api.js";
import { formatDuration } from "../format.js";
import { t } from "../language.js";
import { copyButton } from "./clipboard.js";
import { plainPieces } from "./markdown.js";
import { elicitationForm } from "./elicitation_form.js";

const PICTURES = /^image\/(png|jpeg|gif|webp|avif)$/;

/** What is known of a call: signals of its `result`, `progress`, whether it `waits` for approval, and what it asks. */
export function toolCallState(call, runId = null) {
  return { call, runId, result: signal(null), progress: signal(null), waits: signal(false), decision: signal(null), question: signal(null), isOver: signal(false), error: signal(null) };
}

/** A JSON value, or a text, as people read it. */
export function readableJson(value) {
  if (typeof value === "string") {
    try {
      return JSON.stringify(JSON.parse(value), null, 2);
    } catch {
      return value;
    }
  }
  return JSON.stringify(value, null, 2);
}

function valueView(label, value) {
  const text = readableJson(value);
  return [
    el("div.tool-label", {}, el("span", {}, label), copyButton(() => text)),
    el("div.tool-value", { dir: "auto", tabindex: "0", role: "group", "aria-label": label }, text === "{}" ? el("span.muted", {}, t("chat.tool.nothing")) : plainPieces(text)),
  ];
}

/** Pictures and the like that a tool returned. Nothing is loaded from elsewhere. */
export function toolContentView(piece) {
  if (piece.type === "image" && PICTURES.test(piece.media_type)) return el("img.message-image", { src: `data:${piece.media_type};base64,${piece.data}`, alt: t("chat.tool.picture") });
  if (piece.type === "resource" && piece.text) return valueView(piece.uri, piece.text);
  return el("p.muted.small", { dir: "auto" }, piece.name ?? piece.uri ?? piece.media_type ?? piece.type);
}

function resultView(result) {
  return [
    ...valueView(t(result.is_error ? "chat.tool.failure" : "chat.tool.result"), result.output),
    result.handle ? el("p.muted.small", {}, t("chat.tool.cut")) : null,
    ...(result.content ?? []).map(toolContentView),
  ];
}

function summaryState(state) {
  const result = state.result();
  if (result) return [result.is_error ? t("chat.tool.failed") : t("chat.tool.done"), result.duration_ms ? ` · ${formatDuration(result.duration_ms)}` : ""].join("");
  if (state.waits()) return t("chat.tool.waits");
  if (state.isOver()) return t("chat.tool.unanswered");
  return t(state.decision() === false ? "chat.tool.refused" : "chat.tool.running");
}

function approvalView(state) {
  const reason = el("input", { type: "text", maxlength: 500, placeholder: t("chat.tool.reason"), "aria-label": t("chat.tool.reason") });
  const isSending = signal(false);
  const decide = async (approve) => {
    isSending.set(true);
    state.error.set(null);
    try {
      await api.post(`/runs/${state.runId}/approvals/${encodeURIComponent(state.call.id)}`, approve || !reason.value.trim() ? { approve } : { approve, reason: reason.value.trim() });
      state.decision.set(approve);
      state.waits.set(false);
    } catch (error) {
      // Another tab may have decided.
      if (error.code === "conflict") state.waits.set(false);
      state.error.set(error);
    } finally {
      isSending.set(false);
    }
  };
  return el(
    "div.approval",
    { role: "group", "aria-label": t("chat.tool.asks", { name: state.call.name }) },
    el("p", {}, t("chat.tool.asks", { name: state.call.name })),
    el("pre.approval-arguments", { tabindex: "0", dir: "auto", "aria-label": t("chat.tool.arguments"), role: "group" }, readableJson(state.call.arguments)),
    el(
      "div.row",
      {},
      el("button.primary", { type: "button", disabled: isSending, onclick: () => decide(true) }, t("chat.tool.allow")),
      el("button.quiet", { type: "button", disabled: isSending, onclick: () => decide(false) }, t("chat.tool.refuse")),
      reason,
    ),
  );
}

function progressView({ progress, total, message }) {
  return el(
    "div.tool-progress",
    {},
    message ? el("p.muted.small", { dir: "auto" }, message) : null,
    total ? el("progress", { max: total, value: progress, "aria-label": t("chat.tool.running") }) : null,
  );
}

/** The view of a call; it follows what becomes of it. */
export function toolCallView(state) {
  const isRunning = () => !state.result() && !state.isOver();
  return el(
    "div.tool",
    {},
    el(
      "details.fold",
      {},
      el(
        "summary",
        {},
        icon("tool"),
        el("code.tool-name", { dir: "auto" }, state.call.name),
        el("span.muted.tool-state", { class: () => (state.result()?.is_error ? "danger-text" : "") }, () => summaryState(state)),
        when(() => isRunning() && !state.waits(), () => el("span.spinner", { "aria-hidden": "true" })),
      ),
      el("div.fold-body", {}, valueView(t("chat.tool.arguments"), state.call.arguments), () => (state.result() ? resultView(state.result()) : null)),
    ),
    () => (isRunning() && state.progress() ? progressView(state.progress()) : null),
    when(() => state.waits() && isRunning() && state.runId, () => approvalView(state)),
    () => (isRunning() && state.question() && state.runId ? elicitationForm(state, state.question()) : null),
    () => (state.error() ? el("p.error-text", { role: "alert" }, state.error().message) : null),
  );
}
