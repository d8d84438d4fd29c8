// A choice of collections.

import { el, each, when } from "../dom.js";
import { icon } from "../icons.js";
import { computed, signal } from "../reactive.js";
import { closePopup, openPopover } from "../overlay.js";
import { link } from "../router.js";
import { t } from "../language.js";
import { collections, collectionsError, loadCollections } from "./collections.js";
import { failureNote, waiting } from "./states.js";

/** From how many collections on a field to find one helps. */
const PICKER_SEARCH = 8;

/** Checkboxes of all collections; `selected` is a signal of ids. */
export function collectionChecklist(selected) {
  loadCollections();
  const wanted = signal("");
  const shown = computed(() => (collections() ?? []).filter(({ name }) => name.toLowerCase().includes(wanted().trim().toLowerCase())));
  const toggle = (id, isChosen) => selected.update((ids) => (isChosen ? [...ids, id] : ids.filter((one) => one !== id)));
  return el(
    "div.stack.picker",
    {},
    when(() => collections()?.length >= PICKER_SEARCH, () => el("input", { type: "search", placeholder: t("knowledge.picker.search"), "aria-label": t("knowledge.picker.search"), oninput: (event) => wanted.set(event.target.value) })),
    () => (collectionsError() ? failureNote(collectionsError(), loadCollections) : null),
    when(() => collections() === null && !collectionsError(), waiting),
    when(() => collections()?.length === 0, () => el("p.muted", {}, t("knowledge.picker.none"))),
    el(
      "fieldset.picker-list",
      {},
      el("legend.visually-hidden", {}, t("knowledge.picker.label")),
      each(shown, ({ id }) => id, (collection) =>
        el(
          "label.check",
          {},
          el("input", { type: "checkbox", checked: () => selected().includes(collection().id), onchange: (event) => toggle(collection.peek().id, event.target.checked) }),
          el("span.grow", {}, el("span", { dir: "auto" }, () => collection().name), el("small.muted", {}, () => ` ${t("knowledge.collection.documents", { count: collection().document_count })}`)),
        ),
      ),
    ),
    link("/knowledge", { class: "small", onclick: () => closePopup() }, t("knowledge.picker.manage")),
  );
}

/** A button that says how many collections are chosen, and opens the choice. `selected`: a signal of ids. */
export function collectionPicker(selected, { none = t("knowledge.picker.open"), placement = "below" } = {}) {
  const text = () => {
    const ids = selected();
    const only = ids.length === 1 && collections()?.find(({ id }) => id === ids[0]);
    return only ? only.name : ids.length ? t("knowledge.search.some", { count: ids.length }) : none;
  };
  const open = (event) => openPopover(event.currentTarget, collectionChecklist(selected), { label: t("knowledge.picker.label"), placement }).querySelector("input, a")?.focus();
  return el("button.quiet.picker-button", { type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", onclick: open }, icon("book"), el("span.truncate", { dir: "auto" }, text));
}
