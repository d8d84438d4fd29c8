// Budgets: what calls may cost in a day or month; and prices that administrators set.

import { el, freshId } from "../dom.js";
import { api, paged } from "../api.js";
import { formatCost, formatNumber, formatTime } from "../format.js";
import { isLocal } from "../session.js";
import { models } from "../models.js";
import { openForm } from "./form.js";
import { groups, loadPeople, peopleChoices, personIdOf, personName } from "./people.js";
import { workspaces } from "../conversations/workspaces.js";
import { reloadWorkspaces, workspaceLabel } from "./workspaces.js";
import { askAndDelete, modelsChanged, pagedList, putItem, settingsItem, settingsPart, takeItem } from "./parts.js";
import { t } from "../language.js";

function subjectText({ type, value }) {
  if (type === "tenant") return t("settings.budgets.of_tenant");
  const name =
    type === "user"
      ? personName(value)
      : type === "group"
        ? (groups().find(({ id }) => id === value)?.name ?? value)
        : type === "workspace"
          ? workspaceLabel(value)
          : value;
  return t(`settings.budgets.of_${type}`, { name });
}

const limitFields = () => [
  { name: "max_cost", label: t("settings.budgets.max_cost"), kind: "number", min: 0, step: "any", hint: t("settings.budgets.limit_hint") },
  { name: "max_tokens", label: t("settings.budgets.max_tokens"), kind: "number", min: 0 },
];

/** A field that offers the models there are. */
function modelChoices() {
  const id = freshId("models");
  return { id, node: el("datalist", { id }, () => models().map((model) => el("option", { value: model.id }))) };
}

async function addBudget(budgets) {
  const [persons, offered] = [peopleChoices(), modelChoices()];
  const types = [
    "tenant",
    ...(isLocal.peek() ? [] : ["user"]),
    ...(groups.peek().length ? ["group"] : []),
    ...(workspaces.peek().length ? ["workspace"] : []),
    "model",
    "tag",
  ];
  const of = (type) => (valueOf) => valueOf("type") === type;
  const made = await openForm({
    title: t("settings.budgets.new"),
    intro: [persons.node, offered.node, t("settings.budgets.new_intro")],
    fields: [
      { name: "type", label: t("settings.budgets.subject"), kind: "select", options: types.map((type) => [type, t(`settings.budgets.type.${type}`)]) },
      { name: "user", label: t("settings.people.email_or_id"), isRequired: true, list: persons.id, when: of("user") },
      { name: "group", label: t("settings.people.group"), kind: "select", options: groups.peek().map(({ id, name }) => [id, name]), when: of("group") },
      {
        name: "workspace",
        label: t("settings.workspaces.one"),
        kind: "select",
        options: workspaces.peek().map(({ id, name }) => [id, name]),
        when: of("workspace"),
      },
      { name: "model", label: t("settings.budgets.model"), isRequired: true, list: offered.id, when: of("model"), hint: t("settings.budgets.model_hint") },
      { name: "tag", label: t("settings.budgets.tag"), isRequired: true, max: 100, when: of("tag") },
      {
        name: "period",
        label: t("settings.budgets.period"),
        kind: "select",
        value: "month",
        options: ["day", "month"].map((period) => [period, t(`settings.budgets.period_${period}`)]),
      },
      ...limitFields(),
    ],
    action: t("add"),
    send: ({ type, period, max_cost, max_tokens, ...values }) => {
      const value = type === "user" ? personIdOf(values.user, "user") : values[type];
      return api.post("/budgets", { subject: type === "tenant" ? { type } : { type, value }, period, max_cost, max_tokens });
    },
  });
  if (made) putItem(budgets.items, made);
}

/** How much of a limit is spent, as a bar with words. */
function limitBar(spent, reserved, most, format, mostText = format(most)) {
  const used = spent + reserved;
  const words = t("settings.budgets.spent_of", { spent: format(used), most: mostText });
  return el(
    "div.settings-limit",
    {},
    el("progress", {
      max: Math.max(most, used, Number.MIN_VALUE),
      value: used,
      "aria-label": words,
    }),
    el(used >= most ? "span.small.error-text" : "span.small", {}, words),
  );
}

function budgetItem(budgets, budget) {
  const { id } = budget.peek();
  const change = async () => {
    const saved = await openForm({
      title: t("settings.budgets.change"),
      values: budget.peek(),
      fields: limitFields(),
      send: (values) => api.put(`/budgets/${id}`, values),
    });
    if (saved) putItem(budgets.items, saved);
  };
  const remove = () =>
    askAndDelete({
      title: t("settings.budgets.delete_title"),
      text: t("settings.budgets.delete_text"),
      remove: () => api.delete(`/budgets/${id}`),
      then: () => takeItem(budgets.items, id),
    });
  return settingsItem({
    title: el("strong", { dir: "auto" }, () => subjectText(budget().subject)),
    lines: [() => `${t(`settings.budgets.period_${budget().period}`)} · ${t("settings.budgets.since", { time: formatTime(budget().begins_at) })}`],
    actions: [el("button.quiet", { type: "button", onclick: change }, t("edit")), el("button.quiet", { type: "button", onclick: remove }, t("delete"))],
    below: () => {
      const { spent, reserved, max_cost: cost, max_tokens: tokens } = budget();
      return [
        typeof cost === "number" ? limitBar(spent.cost, reserved.cost, cost, formatCost) : null,
        typeof tokens === "number" ? limitBar(spent.tokens, reserved.tokens, tokens, formatNumber, t("settings.usage.token_count", { count: tokens })) : null,
      ];
    },
  });
}

async function addPrice(prices) {
  const offered = modelChoices();
  const made = await openForm({
    title: t("settings.budgets.price_new"),
    intro: [offered.node, t("settings.budgets.price_intro")],
    fields: [
      { name: "model", label: t("settings.budgets.model"), isRequired: true, list: offered.id, isFirst: true, hint: t("settings.budgets.price_model_hint") },
      { name: "input", label: t("settings.budgets.price_input"), kind: "number", min: 0, max: 1_000_000, step: "any", isRequired: true },
      { name: "output", label: t("settings.budgets.price_output"), kind: "number", min: 0, max: 1_000_000, step: "any", isRequired: true },
      {
        name: "cached",
        label: t("settings.budgets.price_cached"),
        kind: "number",
        min: 0,
        max: 1_000_000,
        step: "any",
        hint: t("settings.budgets.price_cached_hint"),
      },
      { name: "valid_from", label: t("settings.budgets.price_from"), kind: "time", hint: t("settings.budgets.price_from_hint") },
    ],
    action: t("add"),
    send: (values) => api.post("/prices", values),
  });
  if (!made) return;
  putItem(prices.items, made);
  modelsChanged();
}

function priceItem(prices, price) {
  const { id, model, input, output, cached, valid_from: from } = price.peek();
  const remove = () =>
    askAndDelete({
      title: t("settings.budgets.price_delete_title", { name: model }),
      text: t("settings.budgets.price_delete_text"),
      remove: () => api.delete(`/prices/${id}`),
      then: () => (takeItem(prices.items, id), modelsChanged()),
    });
  const known = typeof cached === "number" ? t("settings.budgets.price_cached_text", { price: formatCost(cached) }) : null;
  return settingsItem({
    title: el("span", { dir: "ltr" }, model),
    lines: [
      [t("settings.models.prices", { input: formatCost(input), output: formatCost(output) }), known].filter(Boolean).join(" · "),
      t("settings.budgets.price_since", { time: formatTime(from) }),
    ],
    actions: el("button.quiet", { type: "button", onclick: remove }, t("delete")),
  });
}

export function budgetSection() {
  loadPeople();
  reloadWorkspaces();
  modelsChanged();
  const [budgets, prices] = [paged("/budgets"), paged("/prices")];
  return [
    settingsPart(
      t("settings.budgets.budgets"),
      { intro: t("settings.budgets.intro"), actions: el("button.quiet", { type: "button", onclick: () => addBudget(budgets) }, t("settings.budgets.new")) },
      pagedList(budgets, (budget) => budgetItem(budgets, budget), t("settings.budgets.empty")),
    ),
    settingsPart(
      t("settings.budgets.prices"),
      {
        intro: t("settings.budgets.prices_intro", { unit: formatNumber(1_000_000) }),
        actions: el("button.quiet", { type: "button", onclick: () => addPrice(prices) }, t("settings.budgets.price_new")),
      },
      pagedList(prices, (price) => priceItem(prices, price), t("settings.budgets.prices_empty")),
    ),
  ];
}
