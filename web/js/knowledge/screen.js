// `/knowledge`: the collections, and the first steps where there is none.

import { el, each, when } from "../dom.js";
import { icon } from "../icons.js";
import { computed } from "../reactive.js";
import { failed, iconButton, openMenu } from "../overlay.js";
import { formatAgo } from "../format.js";
import { link, navigate } from "../router.js";
import { screenHead, title } from "../shell.js";
import { t } from "../language.js";
import { collectionWorkspaces, collections, collectionsError, loadCollections } from "./collections.js";
import { addFirstCollection, deleteCollection, openCollectionDialog } from "./collection_dialog.js";
import { dropZone, takeDrops } from "./drop.js";
import { spaceText } from "./embedders.js";
import { collectionPath } from "./links.js";
import { failureNote, mayChangeCollection, waiting } from "./states.js";
import { uploadFiles } from "./upload.js";

export function knowledgeScreen() {
  title.set(t("knowledge.title"));
  loadCollections();
  const create = async () => {
    const made = await openCollectionDialog();
    if (made) navigate(collectionPath(made.id));
  };
  const has = computed(() => collections()?.length > 0);
  const body = el(
    "div.screen-body.stack",
    {},
    () => (collectionsError() ? failureNote(collectionsError(), loadCollections) : null),
    when(() => collections() === null && !collectionsError(), waiting),
    when(() => collections()?.length === 0, () => firstSteps(create)),
    when(has, () => [knowledgeSearchForm(), el("ul.collection-list", {}, each(collections, ({ id }) => id, collectionCard))]),
  );
  // What is dropped beside a collection must not make the browser leave the page for it.
  takeDrops(body, (files) => dropOnKnowledge(files));
  return [
    screenHead(
      t("knowledge.title"),
      when(has, () => el("button.primary", { type: "button", onclick: create }, icon("add"), el("span", {}, t("knowledge.collection.new")))),
    ),
    body,
  ];
}

/** Files that are dropped where no collection is named go into the only one, or into one that is made for them. */
async function dropOnKnowledge(files) {
  try {
    const known = (collections.peek() ?? []).filter(mayChangeCollection);
    const into = known.length === 1 ? known[0] : known.length ? await openCollectionDialog() : await addFirstCollection();
    if (!into) return;
    uploadFiles(into.id, files);
    navigate(collectionPath(into.id));
  } catch (error) {
    failed(error);
  }
}

function firstSteps(create) {
  const [zone, isOver] = dropZone(dropOnKnowledge);
  zone.classList.add("large");
  return el(
    "div.first-steps",
    { class: () => (isOver() ? "over" : "") },
    el("h2", {}, t("knowledge.first.heading")),
    el("ol.first-list", {}, ["one", "two", "three"].map((step) => el("li", {}, t(`knowledge.first.${step}`)))),
    zone,
    el("p.muted", {}, t("knowledge.first.or"), " ", el("button.text-button", { type: "button", onclick: create }, t("knowledge.first.create"))),
  );
}

/** A search in all collections. */
function knowledgeSearchForm() {
  const input = el("input.grow", { type: "search", "aria-label": t("knowledge.search.label"), placeholder: t("knowledge.search.placeholder"), dir: "auto" });
  const go = (event) => {
    event.preventDefault();
    if (input.value.trim()) navigate(`/knowledge/search?${new URLSearchParams({ q: input.value.trim() })}`);
  };
  return el("form.row.knowledge-search-row", { role: "search", onsubmit: go }, input, el("button.quiet", { type: "submit" }, icon("search"), t("knowledge.search.go")));
}

function collectionCard(collection) {
  const node = el("li.collection-card.card");
  const isOver = takeDrops(node, (files) => mayChangeCollection(collection.peek()) && uploadFiles(collection.peek().id, files));
  const facts = () => {
    const { document_count, chunk_count, updated_at } = collection();
    return [t("knowledge.collection.documents", { count: document_count }), t("knowledge.collection.passages", { count: chunk_count }), t("knowledge.collection.changed", { when: formatAgo(updated_at) })].join(" · ");
  };
  const workspace = () => collectionWorkspaces().find(({ id }) => id === collection().workspace_id)?.name;
  const menu = (event) =>
    openMenu(event.currentTarget, [
      { label: t("knowledge.search.here"), icon: "search", action: () => navigate(`/knowledge/search?collections=${collection.peek().id}`) },
      mayChangeCollection(collection.peek()) && { label: t("knowledge.collection.settings"), icon: "edit", action: () => openCollectionDialog(collection.peek()) },
      mayChangeCollection(collection.peek()) && { label: t("knowledge.collection.delete"), icon: "trash", isDangerous: true, action: () => deleteCollection(collection.peek()) },
    ]);
  node.append(
    el(
      "div.collection-main",
      { class: () => (isOver() ? "over" : "") },
      el("h2", {}, link(() => collectionPath(collection().id), { class: "collection-link" }, icon("folder"), el("span", { dir: "auto" }, () => collection().name))),
      () => (collection().description ? el("p.collection-description.muted", { dir: "auto" }, collection().description) : null),
      el("p.small.muted", {}, facts),
      el(
        "div.row.tight",
        {},
        el("span.badge", { dir: "auto" }, () => spaceText(collection().space)),
        () => (collection().is_shared ? el("span.badge", {}, icon("people"), t("knowledge.collection.is_shared")) : null),
        () => (workspace() ? el("span.badge", {}, icon("people"), el("span", { dir: "auto" }, workspace())) : null),
      ),
    ),
    iconButton("more", t("knowledge.collection.menu", { name: collection.peek().name }), menu, { "aria-haspopup": "menu" }),
  );
  return node;
}
