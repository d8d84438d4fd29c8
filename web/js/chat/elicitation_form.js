// What a tool asks while it runs: a small form out of its schema, or an address to go to.

import { el } from "../dom.js";
import { signal } from "../reactive.js";
import { api } from "../api.js";
import { t } from "../language.js";
import { foreignLink } from "./foreign_link.js";

const FORMATS = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" };

function elicitationField(name, schema, isRequired) {
  const label = schema.title ?? name;
  const hint = schema.description ? el("small", { dir: "auto" }, schema.description) : null;
  const common = { name, required: isRequired };
  if (schema.type === "boolean") {
    const box = el("input", { type: "checkbox", name, checked: schema.default === true });
    return { node: el("label.check", {}, box, el("span", { dir: "auto" }, label, hint)), read: () => box.checked };
  }
  const choices = schema.enum?.map((value, at) => [value, schema.enumNames?.[at] ?? String(value)]) ?? (schema.oneOf ?? schema.anyOf)?.map((one) => [one.const, one.title ?? String(one.const)]);
  if (choices) {
    const select = el("select", common, isRequired ? null : el("option", { value: "" }, ""), choices.map(([value, text], at) => el("option", { value: String(at), selected: value === schema.default }, text)));
    return { node: el("label.field", {}, el("span", { dir: "auto" }, label), select, hint), read: () => (select.value === "" ? undefined : choices[Number(select.value)][0]) };
  }
  if (schema.type === "array") {
    const items = schema.items?.enum ?? (schema.items?.anyOf ?? schema.items?.oneOf ?? []).map((one) => one.const);
    const boxes = items.map((value) => [value, el("input", { type: "checkbox", checked: schema.default?.includes(value) ?? false })]);
    return {
      node: el("fieldset.field", {}, el("legend", { dir: "auto" }, label), boxes.map(([value, box]) => el("label.check", {}, box, String(value))), hint),
      read: () => boxes.filter(([, box]) => box.checked).map(([value]) => value),
    };
  }
  const isNumber = schema.type === "number" || schema.type === "integer";
  const input = el("input", {
    ...common,
    type: isNumber ? "number" : FORMATS[schema.format] ?? "text",
    value: schema.default ?? "",
    min: schema.minimum,
    max: schema.maximum,
    step: isNumber ? (schema.type === "integer" ? 1 : "any") : null,
    minlength: schema.minLength,
    maxlength: schema.maxLength,
    pattern: schema.pattern,
  });
  return { node: el("label.field", {}, el("span", { dir: "auto" }, label), input, hint), read: () => (input.value === "" ? undefined : isNumber ? Number(input.value) : input.value) };
}

/** The form of the question of a call. */
export function elicitationForm(state, question) {
  const { properties = {}, required = [] } = question.schema ?? {};
  const fields = Object.entries(properties).map(([name, schema]) => [name, elicitationField(name, schema, required.includes(name))]);
  const isSending = signal(false);
  const answer = async (body) => {
    isSending.set(true);
    state.error.set(null);
    try {
      await api.post(`/runs/${state.runId}/inputs/${encodeURIComponent(state.call.id)}`, body);
      state.question.set(null);
    } catch (error) {
      state.error.set(error);
    } finally {
      isSending.set(false);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    const content = {};
    for (const [name, { read }] of fields) {
      const value = read();
      if (value !== undefined) content[name] = value;
    }
    answer({ action: "accept", content });
  };
  return el(
    "form.approval.stack",
    { onsubmit: submit, "aria-label": t("chat.tool.question", { name: state.call.name }) },
    el("p", {}, t("chat.tool.question", { name: state.call.name })),
    el("p.plain", { dir: "auto" }, question.message),
    question.url ? el("p", {}, foreignLink(question.url, question.url)) : null,
    fields.map(([, field]) => field.node),
    el(
      "div.row",
      {},
      el("button.primary", { type: "submit", disabled: isSending }, t("chat.tool.answer")),
      el("button.quiet", { type: "button", disabled: isSending, onclick: () => answer({ action: "decline" }) }, t("chat.tool.decline")),
    ),
  );
}
