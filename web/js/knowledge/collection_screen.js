// `/knowledge/collections/:id`: its documents, adding some, and how it is searched.

import { api, paged } from "../api.js";
import { el, each, when } from "../dom.js";
import { icon } from "../icons.js";
import { computed, effect, onCleanup, signal, untracked } from "../reactive.js";
import { iconButton, openMenu } from "../overlay.js";
import { link, navigate, query } from "../router.js";
import { screenHead, title } from "../shell.js";
import { t } from "../language.js";
import { collectionChanged, collections, loadCollections } from "./collections.js";
import { deleteCollection, openCollectionDialog } from "./collection_dialog.js";
import { documentRow } from "./document_row.js";
import { openAddDialog } from "./documents.js";
import { chooseFiles, dropZone, takeDrops } from "./drop.js";
import { spaceText, spacesPanel } from "./embedders.js";
import { collectionPath } from "./links.js";
import { failureNote, listEnd, mayChangeCollection, waiting } from "./states.js";
import { onUploaded, uploadFiles } from "./upload.js";
import { documentSeen, isUnderWay, watchDocument } from "./watch.js";

const DOCUMENT_STATES = ["pending", "processing", "ready", "failed"];

export function collectionScreen({ id }) {
  const error = signal(null);
  // What was known stays while the screen does, also when the collection is deleted.
  let last = null;
  const collection = computed(() => (last = collections()?.find((one) => one.id === id) ?? last));
  const load = async () => {
    error.set(null);
    try {
      collectionChanged(await api.get(`/knowledge/collections/${id}`));
    } catch (problem) {
      error.set(problem);
    }
  };
  if (collections.peek() === null) loadCollections().then(load);
  else load();
  effect(() => title.set(collection()?.name ?? t("knowledge.title")));
  const isKnown = computed(() => collection() !== null);
  const isEditable = computed(() => mayChangeCollection(collection()));
  const add = (files) => uploadFiles(id, files);
  const body = el(
    "div.screen-body.stack",
    {},
    () => (error() ? failureNote(error(), error().status === 404 ? null : load) : null),
    when(() => !isKnown() && !error(), waiting),
    when(isKnown, () => collectionBody(id, collection, isEditable, add, load)),
  );
  const isOver = takeDrops(body, (files) => isEditable.peek() && add(files));
  effect(() => body.classList.toggle("drop-over", isOver() && isEditable()));
  return [
    screenHead(
      link("/knowledge", { class: "crumb" }, t("knowledge.title")),
      when(isKnown, () => [
        link(`/knowledge/search?collections=${id}`, { class: "icon-button button", "aria-label": t("knowledge.search.here"), title: t("knowledge.search.here") }, icon("search")),
        when(isEditable, () => collectionActions(id, collection, add)),
      ]),
    ),
    body,
  ];
}

function collectionActions(id, collection, add) {
  const addMenu = (event) =>
    openMenu(event.currentTarget, [
      { label: t("knowledge.add.files"), icon: "file", action: () => chooseFiles(add) },
      { label: t("knowledge.add.folder"), icon: "folder", action: () => chooseFiles(add, { isFolder: true }) },
      null,
      { label: t("knowledge.add.url_title"), icon: "globe", action: () => openAddDialog(id, "url").then(showAdded) },
      { label: t("knowledge.add.text_title"), icon: "edit", action: () => openAddDialog(id, "text").then(showAdded) },
    ]);
  const moreMenu = (event) =>
    openMenu(event.currentTarget, [
      { label: t("knowledge.collection.settings"), icon: "edit", action: () => openCollectionDialog(collection.peek()) },
      { label: t("knowledge.collection.delete"), icon: "trash", isDangerous: true, action: async () => (await deleteCollection(collection.peek())) && navigate("/knowledge") },
    ]);
  return [
    el("button.primary", { type: "button", "aria-haspopup": "menu", onclick: addMenu }, icon("add"), t("add")),
    iconButton("more", t("more"), moreMenu, { "aria-haspopup": "menu" }),
  ];
}

/** Documents that came by another way than a file, for the list that is shown. */
const added = signal(null);
function showAdded(document) {
  if (document) added.set(document);
}

function collectionBody(id, collection, isEditable, add, load) {
  const view = computed(() => (query().get("view") === "spaces" ? "spaces" : "documents"));
  const tab = (name, to) => link(to, { class: "tab", "aria-current": () => (view() === name ? "page" : null) }, t(`knowledge.collection.tab.${name}`));
  return [
    el(
      "div.collection-title",
      {},
      el("h2", { dir: "auto" }, () => collection().name),
      () => (collection().description ? el("p", { dir: "auto" }, collection().description) : null),
      el("p.small.muted", {}, () => [t("knowledge.collection.documents", { count: collection().document_count }), t("knowledge.collection.passages", { count: collection().chunk_count }), spaceText(collection().space)].join(" · ")),
    ),
    el("nav.tabs", { "aria-label": t("knowledge.collection.views") }, tab("documents", collectionPath(id)), tab("spaces", `${collectionPath(id)}?view=spaces`)),
    when(() => view() === "spaces", () => spacesPanel(collection, isEditable), () => documentList(id, isEditable, add, load)),
  ];
}

function documentList(id, isEditable, add, load) {
  const status = computed(() => (DOCUMENT_STATES.includes(query().get("status")) ? query().get("status") : null));
  const list = paged("/knowledge/documents", () => ({ collection_id: id, status: status(), limit: 50 }));
  const stops = new Map();
  const isGone = { now: false };
  // The counts of the collection are the server's; they are asked for when documents have come to an end.
  let countTimer = null;
  const recount = () => {
    clearTimeout(countTimer);
    countTimer = setTimeout(() => !isGone.now && load(), 800);
  };
  const take = (documentId, document) => {
    if (document) list.items.update((known) => known.map((one) => (one.id === documentId ? document : one)));
    else list.items.update((known) => known.filter((one) => one.id !== documentId));
    if (!document || !isUnderWay(document)) recount();
  };
  // Documents that come one after the other are drawn together.
  let fresh = [];
  let showTimer = null;
  const show = (document) => {
    if (document.collection_id !== id || (status.peek() && status.peek() !== document.status)) return;
    fresh.push(document);
    showTimer ??= setTimeout(() => {
      const byId = new Map(fresh.map((one) => [one.id, one]));
      [fresh, showTimer] = [[], null];
      list.items.update((known) => {
        const ids = new Set(known.map((one) => one.id));
        return [...[...byId.values()].filter((one) => !ids.has(one.id)).reverse(), ...known.map((one) => byId.get(one.id) ?? one)];
      });
      recount();
    }, 300);
  };
  effect(() => {
    status();
    untracked(() => list.reset());
  });
  // Rows that are read now are followed while they are listed.
  effect(() => {
    for (const document of list.items()) {
      if (!isUnderWay(document) || stops.has(document.id)) continue;
      const stop = watchDocument(document, (now) => {
        if (!now || !isUnderWay(now)) stops.delete(document.id);
        take(document.id, now);
      });
      stops.set(document.id, stop);
    }
  });
  const forget = onUploaded(show);
  effect(() => {
    const document = added();
    if (document) untracked(() => (added.set(null), show(document)));
  });
  onCleanup(() => {
    isGone.now = true;
    clearTimeout(countTimer);
    clearTimeout(showTimer);
    forget();
    for (const stop of stops.values()) stop();
  });
  const changed = (documentId, document) => {
    take(documentId, document);
    if (document) documentSeen(documentId, document);
  };
  const isEmpty = computed(() => list.isComplete() && !list.items().length);
  const filter = (state) => link(collectionPath(id) + (state ? `?status=${state}` : ""), { class: "tab small", "aria-current": () => (status() === state ? "true" : null) }, t(`knowledge.filter.${state ?? "all"}`));
  return [
    when(isEditable, () => documentDrop(add, isEmpty, status)),
    when(() => !isEmpty() || status(), () => el("nav.tabs.filters", { "aria-label": t("knowledge.filter.label") }, [null, ...DOCUMENT_STATES].map(filter))),
    when(() => isEmpty() && (status() || !isEditable()), () => el("p.muted.none-here", {}, t(status.peek() ? "knowledge.filter.none" : "knowledge.collection.empty"))),
    el("ul.document-list", { "aria-label": t("knowledge.collection.tab.documents") }, each(list.items, (document) => document.id, (document) => documentRow(document, isEditable, changed))),
    listEnd(list),
  ];
}

/** Large while there is nothing, one line once there is. */
function documentDrop(add, isEmpty, status) {
  const [zone, isOver] = dropZone(add, { hint: "knowledge.drop.hint_same" });
  effect(() => {
    zone.classList.toggle("large", isEmpty() && !status());
    zone.classList.toggle("over", isOver());
  });
  return zone;
}
