// `/knowledge/documents/:id`: what is known of a document, its text with the cited place, its passages, its original.

import { api } from "../api.js";
import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { computed, effect, onCleanup, signal, untracked } from "../reactive.js";
import { failed, iconButton, openMenu } from "../overlay.js";
import { formatBytes, formatTime } from "../format.js";
import { link, navigate, path, query } from "../router.js";
import { screenHead, title } from "../shell.js";
import { t } from "../language.js";
import { collectionName, collections, loadCollections } from "./collections.js";
import { documentKind, download } from "./document_row.js";
import { documentChunks, documentText } from "./document_text.js";
import { cancelDocument, deleteDocument, retryDocument } from "./documents.js";
import { collectionPath } from "./links.js";
import { originalView } from "./original_view.js";
import { documentBadge, documentFailure, failureNote, mayChangeCollection, waiting } from "./states.js";
import { isUnderWay, watchDocument } from "./watch.js";

const DOCUMENT_VIEWS = ["text", "chunks", "original"];

export function documentScreen({ id }) {
  const [document, error] = [signal(null), signal(null)];
  let stop = null;
  let isGone = false;
  const take = (now) => {
    if (isGone) return;
    if (!now) return navigate("/knowledge");
    document.set(now);
    stop?.();
    stop = isUnderWay(now) ? watchDocument(now, take) : null;
  };
  const load = async () => {
    error.set(null);
    try {
      take(await api.get(`/knowledge/documents/${id}`));
    } catch (problem) {
      error.set(problem);
    }
  };
  onCleanup(() => {
    isGone = true;
    stop?.();
  });
  load();
  if (collections.peek() === null) loadCollections();
  effect(() => title.set(document()?.name ?? t("knowledge.title")));
  const isKnown = computed(() => document() !== null);
  const isEditable = computed(() => document() !== null && mayChangeCollection(collections()?.find((one) => one.id === document().collection_id)));
  const collection = () => document()?.collection_id;
  return [
    screenHead(
      el("span.crumbs", {}, link("/knowledge", { class: "crumb" }, t("knowledge.title")), when(() => collection() && collectionName(collection()), () => [el("span.muted", { "aria-hidden": "true" }, " › "), link(() => collectionPath(collection()), { class: "crumb" }, el("span", { dir: "auto" }, () => collectionName(collection())))])),
      when(isKnown, () => [
        iconButton("download", t("knowledge.document.download"), () => download(document.peek())),
        when(isEditable, () => documentMenu(document, take)),
      ]),
    ),
    el(
      "div.screen-body.stack.document-body",
      {},
      () => (error() ? failureNote(error(), error().status === 404 ? null : load) : null),
      when(() => !isKnown() && !error(), waiting),
      when(isKnown, () => documentBody(document)),
    ),
  ];
}

function documentMenu(document, take) {
  const retry = () => retryDocument(document.peek()).then(take, failed);
  const leave = async () => {
    const { collection_id } = document.peek();
    if (await deleteDocument(document.peek())) navigate(collectionPath(collection_id));
  };
  const open = (event) =>
    openMenu(event.currentTarget, [
      isUnderWay(document.peek()) && { label: t("knowledge.document.cancel"), icon: "stop", action: async () => take(await cancelDocument(document.peek())) },
      document.peek().status === "failed" && { label: t("knowledge.document.retry"), icon: "refresh", action: retry },
      { label: t("knowledge.document.delete"), icon: "trash", isDangerous: true, action: leave },
    ]);
  return iconButton("more", t("knowledge.document.menu", { name: document.peek().name }), open, { "aria-haspopup": "menu" });
}

function numberOf(name) {
  const value = query().get(name);
  return value !== null && /^\d+$/.test(value) ? Number(value) : null;
}

function documentBody(document) {
  const view = computed(() => (DOCUMENT_VIEWS.includes(query().get("view")) ? query().get("view") : "text"));
  const place = computed(() => JSON.stringify({ page: numberOf("page"), start: numberOf("start"), end: numberOf("end"), chunk: query().get("chunk") }));
  const hasText = computed(() => document().chunk_count > 0);
  // A document that is replaced gets other chunks.
  const version = computed(() => `${document().content_hash} ${document().chunk_count}`);
  const to = (name) => () => {
    const next = new URLSearchParams(query());
    next.set("view", name);
    return `${path()}?${next}`;
  };
  const tab = (name) => link(to(name), { class: "tab", "aria-current": () => (view() === name ? "page" : null) }, t(`knowledge.document.view.${name}`));
  return [
    el(
      "div.collection-title",
      {},
      el("h2", { dir: "auto" }, () => document().title || document().name),
      () => (document().title && document().title !== document().name ? el("p", { dir: "auto" }, document().name) : null),
      el("div.row", {}, () => documentBadge(document()), el("small.muted", {}, () => [documentKind(document()), formatBytes(document().size), t("knowledge.collection.passages", { count: document().chunk_count }), formatTime(document().updated_at)].join(" · "))),
      when(() => document().status === "processing", () => el("progress", { max: "1", value: () => document().progress, "aria-label": t("knowledge.document.progress") })),
      () => (document().status === "failed" ? el("p.document-failure", {}, documentFailure(document())) : null),
      () => (document().warnings?.length ? el("div.callout", {}, icon("info"), el("ul.plain-list", { "aria-label": t("knowledge.document.warnings") }, document().warnings.map((text) => el("li", { dir: "auto" }, text)))) : null),
      documentFacts(document),
    ),
    el("nav.tabs", { "aria-label": t("knowledge.document.views") }, DOCUMENT_VIEWS.map(tab)),
    () => {
      const [shown, where] = [view(), JSON.parse(place())];
      version();
      const now = untracked(document);
      if (shown === "original") return originalView(now, where.page);
      if (!hasText()) return el("p.muted.none-here", {}, t(isUnderWay(now) ? "knowledge.document.no_text_yet" : "knowledge.document.no_text"));
      return shown === "chunks" ? documentChunks(now, where) : documentText(now, where);
    },
  ];
}

function documentFacts(document) {
  const fact = (label, value) => (value ? [el("dt", {}, t(`knowledge.document.${label}`)), el("dd", { dir: "auto" }, value)] : []);
  return el(
    "details.document-about",
    {},
    el("summary", {}, t("knowledge.document.facts")),
    el("dl.facts", {}, () => {
      const { source, media_type, size, content_hash, created_at, updated_at, metadata } = document();
      return [
        fact("source", source),
        fact("type", media_type),
        fact("size", formatBytes(size)),
        fact("added", formatTime(created_at)),
        fact("changed", formatTime(updated_at)),
        Object.entries(metadata ?? {}).map(([key, value]) => [el("dt", { dir: "auto" }, key), el("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value))]),
        fact("hash", content_hash),
      ];
    }),
  );
}
