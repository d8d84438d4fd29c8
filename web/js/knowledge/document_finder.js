// Finding one document by its name.

import { api } from "../api.js";
import { el, each } from "../dom.js";
import { icon } from "../icons.js";
import { onCleanup, signal } from "../reactive.js";
import { failed } from "../overlay.js";
import { t } from "../language.js";

/** Documents that are offered, and pages of 200 that are looked through, at most. */
const FINDER_ROWS = 8;
const FINDER_PAGES = 10;

/** The documents with this in their names: `known` keeps what was read, newest first. */
async function findByName(name, known) {
  const wanted = name.toLowerCase();
  const fits = () => known.documents.filter((document) => document.name.toLowerCase().includes(wanted)).slice(0, FINDER_ROWS);
  for (;;) {
    const found = fits();
    if (found.length === FINDER_ROWS || known.isComplete) return found;
    const { data, next_cursor } = await api.get("/knowledge/documents", { limit: 200, cursor: known.cursor });
    known.documents.push(...data);
    known.cursor = next_cursor;
    known.isComplete = !next_cursor || known.documents.length >= FINDER_PAGES * 200;
  }
}

/** A field for a name, and the documents that have it; `onpick(document)` gets the chosen one. */
export function documentFinder(onpick) {
  const found = signal([]);
  const known = { documents: [], cursor: null, isComplete: false };
  let timer = null;
  onCleanup(() => clearTimeout(timer));
  const look = async (name) => {
    try {
      const documents = await findByName(name, known);
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
  const input = el("input", { type: "search", dir: "auto", oninput: changed });
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
