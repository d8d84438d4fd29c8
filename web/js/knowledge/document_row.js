// One document in a list: its name, state, why it failed, and what can be done with it.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { signal } from "../reactive.js";
import { failed, iconButton, openMenu } from "../overlay.js";
import { formatAgo, formatBytes } from "../format.js";
import { link, navigate, prefix } from "../router.js";
import { t } from "../language.js";
import { cancelDocument, deleteDocument, retryDocument } from "./documents.js";
import { documentPath } from "./links.js";
import { documentBadge, documentFailure } from "./states.js";
import { isUnderWay } from "./watch.js";

/** The address of the original of a document. */
export function contentUrl(id) {
  return `${prefix}/api/v1/knowledge/documents/${id}/content`;
}

/** `PDF`, `Markdown`, …: the ending of the name says it best, else the media type. */
export function documentKind({ name, media_type }) {
  const ending = /\.([a-z0-9]{1,5})$/i.exec(name)?.[1];
  return ending ? ending.toUpperCase() : media_type.replace(/^.*\/(x-)?/, "").replace(/;.*/, "");
}

/** A row of a list; `changed(id, document)` is told what became of it, `null` when it is gone. */
export function documentRow(document, isEditable, changed) {
  const isBusy = signal(false);
  const isUnread = () => isUnderWay(document());
  const place = () => {
    const { source, name } = document();
    return source && source !== name ? source : null;
  };
  const retry = async () => {
    isBusy.set(true);
    try {
      const fresh = await retryDocument(document.peek());
      changed(fresh.id, fresh);
    } catch (error) {
      failed(error);
    } finally {
      isBusy.set(false);
    }
  };
  const cancel = async () => changed(document.peek().id, await cancelDocument(document.peek()));
  const menu = (event) =>
    openMenu(event.currentTarget, [
      { label: t("knowledge.document.open"), icon: "file", action: () => navigate(documentPath({ document_id: document.peek().id })) },
      { label: t("knowledge.document.download"), icon: "download", action: () => download(document.peek()) },
      isEditable.peek() && document.peek().status === "failed" && { label: t("knowledge.document.retry"), icon: "refresh", action: retry },
      isEditable.peek() && null,
      isEditable.peek() && { label: t("knowledge.document.delete"), icon: "trash", isDangerous: true, action: async () => (await deleteDocument(document.peek())) && changed(document.peek().id, null) },
    ]);
  return el(
    "li.document-row",
    {},
    icon("file"),
    el(
      "div.grow",
      {},
      link(() => documentPath({ document_id: document().id }), { class: "document-name" }, el("span", { dir: "auto" }, () => document().name)),
      el("small.muted.document-facts", {}, () => [documentKind(document()), formatBytes(document().size), document().chunk_count ? t("knowledge.collection.passages", { count: document().chunk_count }) : null, formatAgo(document().updated_at)].filter(Boolean).join(" · ")),
      () => (place() ? el("small.muted.truncate.document-source", { dir: "ltr" }, place()) : null),
      () => (document().status === "failed" ? el("p.document-failure", {}, documentFailure(document())) : null),
      when(() => document().status === "processing", () => el("progress", { max: "1", value: () => document().progress, "aria-label": t("knowledge.document.progress") })),
    ),
    () => documentBadge(document()),
    el(
      "div.row.tight.document-actions",
      {},
      when(() => isEditable() && isUnread(), () => iconButton("stop", t("knowledge.document.cancel"), cancel)),
      when(() => isEditable() && document().status === "failed", () => iconButton("refresh", t("knowledge.document.retry"), retry, { disabled: isBusy })),
      iconButton("more", t("knowledge.document.menu", { name: document.peek().name }), menu, { "aria-haspopup": "menu" }),
    ),
  );
}

/** Saves the original to the user's disk. */
export function download({ id, name }) {
  el("a", { href: contentUrl(id), download: name }).click();
}
