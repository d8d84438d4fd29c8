// The collections and tools of the next messages.

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { closePopup, openMenu, openPopover } from "../overlay.js";
import { signal } from "../reactive.js";
import { api } from "../api.js";
import { collections, collectionName, collectionsError, loadCollections } from "../knowledge/collections.js";
import { link } from "../router.js";
import { t } from "../language.js";

/** The tools that turns may use, as `GET /tools` lists them; null until they were read. */
const usableTools = signal(null);
const usableToolsError = signal(null);

async function loadUsableTools() {
  try {
    const { data } = await api.get("/tools");
    usableTools.set(data.filter((tool) => tool.policy !== "deny" && (tool.state ?? "approved") === "approved"));
    usableToolsError.set(null);
  } catch (error) {
    usableToolsError.set(error);
  }
}

/** Rows with a box each; `rows` are `{ id, name, detail }`. */
function choiceRows(list, rows, onchange) {
  const change = (id, isChosen) => onchange(isChosen ? [...list.peek().filter((one) => one !== id), id] : list.peek().filter((one) => one !== id));
  return rows.map(({ id, name, detail }) =>
    el(
      "label.check.choice",
      {},
      el("input", { type: "checkbox", checked: () => list().includes(id), onchange: (event) => change(id, event.target.checked) }),
      el("span", { dir: "auto" }, name, detail ? el("small.muted", { dir: "auto" }, detail) : null),
    ),
  );
}

const shorten = (text) => (text?.length > 120 ? `${text.slice(0, 119)}…` : text);

function openChoices(anchor, title, content) {
  const shown = () => {
    // What there is to choose comes a moment later.
    queueMicrotask(() => popup.isConnected && !popup.contains(document.activeElement) && popup.querySelector("input, a")?.focus());
    return content();
  };
  const popup = openPopover(anchor, [el("h2.choices-title", {}, title), shown], { label: title, placement: "above", className: "choices" });
}

/** The choice of collections. */
export function openCollectionChoice(anchor, settings) {
  loadCollections();
  openChoices(anchor, t("chat.knowledge.title"), () => {
    if (collectionsError()) return el("p.error-text", {}, collectionsError().message);
    if (!collections()) return el("span.spinner");
    if (!collections().length) return el("p", {}, t("chat.knowledge.none"), " ", link("/knowledge", { onclick: () => closePopup() }, t("chat.knowledge.add")));
    const rows = collections().map(({ id, name, document_count: count }) => ({ id, name, detail: count === undefined ? null : t("chat.knowledge.documents", { count }) }));
    return choiceRows(settings.knowledge, rows, (ids) => settings.choose(settings.knowledge, ids));
  });
}

/** The choice of tools. */
export function openToolChoice(anchor, settings) {
  loadUsableTools();
  openChoices(anchor, t("chat.tools.title"), () => {
    if (usableToolsError()) return el("p.error-text", {}, usableToolsError().message);
    if (!usableTools()) return el("span.spinner");
    if (!usableTools().length) return el("p", {}, t("chat.tools.none"), " ", link("/settings/tools", { onclick: () => closePopup() }, t("chat.tools.add")));
    const rows = usableTools().map((tool) => ({ id: tool.id, name: tool.title ?? tool.id, detail: shorten(tool.description) }));
    return choiceRows(settings.tools, rows, (ids) => settings.choose(settings.tools, ids));
  });
}

/** The menu of what can be added to a message. */
export function openAddMenu(anchor, settings, { attach, openSettings }) {
  openMenu(
    anchor,
    [
      { label: t("chat.attach.files"), icon: "attach", action: attach },
      { label: t("chat.knowledge.title"), icon: "book", hint: t("chat.knowledge.hint"), action: () => openCollectionChoice(anchor, settings) },
      { label: t("chat.tools.title"), icon: "tool", hint: t("chat.tools.hint"), action: () => openToolChoice(anchor, settings) },
      { label: t("chat.settings.title"), icon: "settings", action: openSettings },
    ],
    { label: t("chat.add"), placement: "above" },
  );
}

/** What is chosen, each with a button that takes it away. */
export function chosenChips(settings) {
  const chip = (list, name, id, text) =>
    el(
      "span.chip",
      {},
      icon(name),
      el("span.truncate", { dir: "auto" }, text),
      el("button.chip-remove", { type: "button", "aria-label": t("chat.remove", { name: text }), onclick: () => settings.choose(list, list.peek().filter((one) => one !== id)) }, icon("close")),
    );
  return () => [
    settings.knowledge().map((id) => chip(settings.knowledge, "book", id, collectionName(id) || t("chat.knowledge.one"))),
    settings.tools().map((id) => chip(settings.tools, "tool", id, id)),
  ];
}
