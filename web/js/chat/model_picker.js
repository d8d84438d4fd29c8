// The choice of a model: searched by name, with what it can do and how much it reads.

import { each, el, freshId, when } from "../dom.js";
import { icon } from "../icons.js";
import { closePopup, failed, openPopover } from "../overlay.js";
import { computed, signal } from "../reactive.js";
import { formatNumber } from "../format.js";
import { areModelsLoaded, isOnlyBuiltin, loadModels, modelName, models } from "../models.js";
import { openConnectionDialog } from "../settings/connection_dialog.js";
import { t } from "../language.js";

const SHOWN_CAPABILITIES = ["vision", "tools", "reasoning"];
/** Models that are drawn at a time; the search finds the others. */
const MAX_SHOWN = 100;

/** Opens the choice beside `anchor`. */
export function openModelPicker(anchor, current, onchoose) {
  const wanted = signal("");
  const found = computed(() => {
    const words = wanted().toLowerCase().split(/\s+/).filter(Boolean);
    return models().filter((model) => words.every((word) => `${model.id} ${model.name}`.toLowerCase().includes(word)));
  });
  const at = signal(Math.max(0, found.peek().findIndex((model) => model.id === current)));
  const list = freshId("models");
  const choose = (model) => {
    closePopup(true);
    onchoose(model.id);
  };
  const move = (event) => {
    const last = Math.min(found.peek().length, MAX_SHOWN) - 1;
    const to = { ArrowDown: at.peek() + 1, ArrowUp: at.peek() - 1, PageDown: at.peek() + 8, PageUp: at.peek() - 8 }[event.key];
    if (event.key === "Enter" && found.peek()[at.peek()]) {
      event.preventDefault();
      choose(found.peek()[at.peek()]);
    }
    if (to === undefined || last < 0) return;
    event.preventDefault();
    at.set(Math.max(0, Math.min(last, to)));
    document.getElementById(`${list}-${at.peek()}`)?.scrollIntoView({ block: "nearest" });
  };
  const input = el("input", {
    type: "search",
    placeholder: t("chat.model.search"),
    "aria-label": t("chat.model.search"),
    role: "combobox",
    "aria-expanded": "true",
    "aria-controls": list,
    "aria-activedescendant": () => (found().length ? `${list}-${at()}` : null),
    autocomplete: "off",
    onkeydown: move,
    oninput: () => (wanted.set(input.value), at.set(0)),
  });
  const row = (model) => {
    const index = () => found().findIndex((one) => one.id === model().id);
    const { name, id, context_window: size, capabilities } = model.peek();
    const connection = id.slice(0, id.indexOf("/"));
    return el(
      "div.model-row",
      { role: "option", id: () => `${list}-${index()}`, "aria-selected": () => String(index() === at()), onclick: () => choose(model.peek()), onpointermove: () => at.set(index()) },
      el("span.model-name", { dir: "auto" }, name, el("small.muted", { dir: "auto" }, connection)),
      el("span.model-facts", {}, SHOWN_CAPABILITIES.filter((one) => capabilities.includes(one)).map((one) => el("span.badge", {}, t(`chat.model.${one}`))), size ? el("span.badge", {}, t("chat.model.window", { size: formatNumber(size, { notation: "compact" }) })) : null),
      id === current ? icon("check") : el("span.icon", { "aria-hidden": "true" }),
    );
  };
  openPopover(
    anchor,
    [
      el("div.picker-search", {}, input),
      el("div.model-list", { role: "listbox", id: list, "aria-label": t("chat.model.choose") }, each(() => found().slice(0, MAX_SHOWN), (model) => model.id, row)),
      when(() => areModelsLoaded() && !found().length, () => el("p.muted", {}, t("chat.model.none"))),
      when(() => found().length > MAX_SHOWN, () => el("p.muted.small", {}, t("chat.model.more"))),
      when(isOnlyBuiltin, () => el("button.quiet", { type: "button", onclick: addModelServer }, icon("plug"), t("chat.start.add"))),
    ],
    { label: t("chat.model.choose"), placement: "above", className: "model-picker" },
  );
  input.focus();
  document.getElementById(`${list}-${at.peek()}`)?.scrollIntoView({ block: "nearest" });
}

/** Adds a model server and reads the models anew. */
export async function addModelServer() {
  closePopup();
  if (await openConnectionDialog()) await loadModels().catch(failed);
}

/** The button that says which model answers. */
export function modelButton(model, onchoose) {
  const button = el(
    "button.model-button",
    { type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", title: t("chat.model.choose"), onclick: () => openModelPicker(button, model.peek(), onchoose) },
    el("span.truncate", { dir: "auto" }, () => (model() ? modelName(model()) : t("chat.model.choose"))),
    icon("down"),
  );
  return button;
}
