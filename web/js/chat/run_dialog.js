// What an answer used and cost, and what its model was shown: the manifest of its run.

import { el } from "../dom.js";
import { openDialog } from "../overlay.js";
import { signal } from "../reactive.js";
import { api } from "../api.js";
import { formatCost, formatDuration, formatNumber, formatTime } from "../format.js";
import { modelName } from "../models.js";
import { t } from "../language.js";
import { warningsView } from "./warning.js";

function factRow(name, value) {
  return value === null || value === undefined || value === "" ? null : [el("dt", {}, name), el("dd", { dir: "auto" }, value)];
}

function usageFacts(message, run) {
  const usage = run?.usage ?? message.usage;
  const cost = message.cost ?? usage?.cost;
  const took = run?.finished_at ? new Date(run.finished_at) - new Date(run.created_at) : null;
  const output = usage?.output_tokens;
  return el(
    "dl.facts",
    {},
    factRow(t("chat.run.model"), `${modelName(message.model)} (${message.model})`),
    factRow(t("chat.run.time"), formatTime(message.created_at)),
    took !== null && took >= 0 ? factRow(t("chat.run.took"), formatDuration(took) + (output && took > 500 ? ` · ${t("chat.run.speed", { count: Math.round(output / (took / 1000)) })}` : "")) : null,
    usage ? factRow(t("chat.run.read"), formatNumber(usage.input_tokens) + (usage.cached_tokens ? ` (${t("chat.run.cached", { count: usage.cached_tokens })})` : "")) : null,
    usage ? factRow(t("chat.run.written"), formatNumber(output) + (usage.reasoning_tokens ? ` (${t("chat.run.reasoning", { count: usage.reasoning_tokens })})` : "")) : null,
    factRow(t("chat.run.cost"), cost === null || cost === undefined ? null : formatCost(cost)),
    usage?.estimated ? factRow("", t("chat.run.estimated")) : null,
    factRow(t("chat.run.reason"), run?.finish_reason),
    run?.error ? factRow(t("chat.run.error"), run.error.detail) : null,
  );
}

function includedText(entry) {
  if (entry.kind === "system") return t(entry.of === "conversation" ? "chat.run.instructions" : "chat.run.engine");
  if (entry.kind === "prompt") return t("chat.run.prompt", { title: entry.title });
  if (entry.kind === "tools") return t("chat.run.tools", { names: entry.names.join(", ") });
  if (entry.kind === "history") return t("chat.run.history", { count: entry.count });
  if (entry.kind === "message") return t("chat.run.question");
  return entry.kind;
}

function manifestView(context) {
  if (!context || typeof context !== "object" || !context.included) return null;
  const passages = context.knowledge ?? context.retrieval ?? context.passages;
  return [
    el("h3", {}, t("chat.run.shown")),
    el(
      "div.table-scroll",
      { tabindex: "0", role: "group", "aria-label": t("chat.run.shown") },
      el(
        "table.list",
        {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("chat.run.part")), el("th.number", { scope: "col" }, t("chat.run.tokens")))),
        el(
          "tbody",
          {},
          context.included.map((entry) => el("tr", {}, el("td", { dir: "auto" }, includedText(entry)), el("td.number", {}, formatNumber(entry.tokens ?? 0)))),
          el("tr", {}, el("td", {}, el("b", {}, t("chat.run.all"))), el("td.number", {}, el("b", {}, formatNumber(context.tokens ?? 0)))),
        ),
      ),
    ),
    (context.dropped ?? []).map((entry) => el("p.callout.small", {}, t("chat.run.dropped", { count: entry.count, tokens: entry.tokens }))),
    passages && typeof passages === "object" && passages.passages !== undefined ? el("p.small.muted", { dir: "auto" }, t("chat.run.passages", { count: passages.passages, query: passages.query ?? "" })) : null,
    el("p.small.muted", {}, !context.reserved_for_answer ? t("chat.run.window_unknown", { tokenizer: context.tokenizer ?? "?" }) : t("chat.run.window", { window: context.window ?? 0, reserved: context.reserved_for_answer ?? 0, tokenizer: context.tokenizer ?? "?" }), context.exact ? "" : ` ${t("chat.run.inexact")}`),
  ];
}

/** Shows what is known of how `message` came to be. */
export function openRunDialog(message) {
  const run = signal(undefined);
  const error = signal(null);
  if (message.run_id) api.get(`/runs/${message.run_id}`).then(run.set, error.set);
  else run.set(null);
  return openDialog({
    title: t("chat.run.title"),
    wide: true,
    body: () =>
      el("div.stack", {}, () => {
        if (error()) return [usageFacts(message, null), el("p.error-text", { role: "alert" }, error().message)];
        if (run() === undefined) return el("span.spinner");
        return [usageFacts(message, run()), run() ? [warningsView(run().warnings ?? []), manifestView(run().context)] : el("p.muted", {}, t("chat.run.unknown"))];
      }),
  });
}
