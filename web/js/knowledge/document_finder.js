// Finding one document by its name.

import { api } from "../api.js";
import { el, each } from "../dom.js";
import { icon } from "../icons.js";
import { onCleanup, signal } from "../reactive.js";
import { failed } from "../overlay.js";
import { t } from "../language.js";

/** Documents that are offered at most. */
const FINDER_ROWS = 8;
/** Whether the server finds documents by their names; older ones list all. */
export const canFindByName = signal(true);

async function findByName(name) {
  if (canFindByName.peek()) {
    try {
      return (await api.get("/knowledge/documents", { q: name, limit: FINDER_ROWS })).data;
    } catch (error) {
      if (error.status !== 400) throw error;
      canFindByName.set(false);
    }
  }
  const { data } = await api.get("/knowledge/documents", { limit: 200 });
  return data.filter((document) => document.name.toLowerCase().includes(name.toLowerCase())).slice(0, FINDER_ROWS);
}

/** A field for a name, and the documents that have it; `onpick(document)` gets the chosen one. */
export function documentFinder(onpick) {
  const found = signal([]);
  let timer = null;
  onCleanup(() => clearTimeout(timer));
  const look = async (name) => {
    try {
      const documents = await findByName(name);
      if (input.value.trim() === name) found.set(documents);
    } catch (error) {
      failed(error);
    }
  };
  const changed = () => {
    clearTimeout(timer);
    const name = input.value.trim();
    if (name) timer = setTimeout(look, 200, name);
    else found.set([]);
  };
  const input = el("input", { type: "search", dir: "auto", placeholder: t("knowledge.filter.name"), oninput: changed });
  const pick = (document) => {
    found.set([]);
    input.value = document.name;
    onpick(document);
  };
  return el(
    "div.document-finder",
    {},
    el("label.field", {}, el("span", {}, t("knowledge.search.missing_pick")), input),
    el("ul.finder-list", {}, each(found, ({ id }) => id, (document) => el("li", {}, el("button.menu-item", { type: "button", onclick: () => pick(document.peek()) }, icon("file"), el("span.menu-label", { dir: "auto" }, () => document().name))))),
  );
}
