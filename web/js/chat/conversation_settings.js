// What holds for a whole conversation: its instructions and how the model picks its words.

import { el } from "../dom.js";
import { openDialog } from "../overlay.js";
import { signal } from "../reactive.js";
import { api } from "../api.js";
import { t } from "../language.js";

const NUMBERS = [
  ["temperature", { min: 0, max: 2, step: 0.1 }],
  ["top_p", { min: 0, max: 1, step: 0.05 }],
  ["max_tokens", { min: 1, max: 10_000_000, step: 1 }],
  ["seed", { step: 1 }],
];

/** The sampling settings of a conversation, as fields of a turn. */
export function samplingOf(conversation) {
  const sampling = conversation?.metadata?.sampling;
  return sampling && typeof sampling === "object" && !Array.isArray(sampling) ? sampling : {};
}

/**
 * Asks for instructions and sampling settings of `conversation`, an object of the API or, before it exists, one with `system_prompt` and
 * `metadata`. Resolves with the conversation as it is then, or undefined.
 */
export function openConversationSettings(conversation) {
  const sampling = samplingOf(conversation);
  const error = signal(null);
  const prompt = el("textarea", { rows: 6, maxlength: 100_000, dir: "auto", value: conversation.system_prompt ?? "", placeholder: t("chat.settings.prompt_hint") });
  const numbers = NUMBERS.map(([name, limits]) => [name, el("input", { type: "number", inputmode: "decimal", ...limits, value: sampling[name] ?? "", placeholder: t("chat.settings.default") })]);
  const efforts = [["", t("chat.settings.default")], ...["low", "medium", "high"].map((value) => [value, t(`chat.settings.effort_${value}`)])];
  const effort = el("select", {}, efforts.map(([value, label]) => el("option", { value, selected: value === (sampling.reasoning_effort ?? "") }, label)));
  const submit = async (close) => {
    const next = {};
    for (const [name, input] of numbers) if (input.value !== "") next[name] = Number(input.value);
    if (effort.value) next.reasoning_effort = effort.value;
    const metadata = { ...conversation.metadata, sampling: next };
    if (!Object.keys(next).length) delete metadata.sampling;
    const change = { system_prompt: prompt.value.trim(), metadata };
    if (!conversation.id) return close({ ...conversation, ...change });
    try {
      close(await api.patch(`/conversations/${conversation.id}`, change));
    } catch (failure) {
      error.set(failure);
    }
  };
  return openDialog({
    title: t("chat.settings.title"),
    body: (close) =>
      el(
        "form.stack",
        { id: "conversation-settings", onsubmit: (event) => (event.preventDefault(), submit(close)) },
        el("label.field", {}, el("span", {}, t("chat.settings.prompt")), prompt),
        el(
          "div.settings-grid",
          {},
          numbers.map(([name, input]) => el("label.field", {}, el("span", {}, t(`chat.settings.${name}`)), input, el("small", {}, t(`chat.settings.${name}_hint`)))),
          el("label.field", {}, el("span", {}, t("chat.settings.effort")), effort, el("small", {}, t("chat.settings.effort_hint"))),
        ),
        () => (error() ? el("p.error-text", { role: "alert" }, error().message) : null),
      ),
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close() }, t("cancel")),
      el("button.primary", { type: "submit", form: "conversation-settings" }, t("save")),
    ],
  });
}
