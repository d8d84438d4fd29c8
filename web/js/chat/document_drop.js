// Documents that are dropped into a chat go into a collection, which the next messages are answered from.

import { el } from "../dom.js";
import { failed, notice, openDialog } from "../overlay.js";
import { signal } from "../reactive.js";
import { addFirstCollection, openCollectionDialog } from "../knowledge/collection_dialog.js";
import { collections, loadCollections } from "../knowledge/collections.js";
import { uploadFiles } from "../knowledge/upload.js";
import { t } from "../language.js";

async function askCollection(files) {
  const chosen = signal(collections.peek()[0].id);
  const choice = await openDialog({
    title: t("chat.documents.title", { count: files.length }),
    body: () => [
      el("p.muted", {}, t("chat.documents.text")),
      el("ul.file-names", {}, files.slice(0, 5).map((file) => el("li", { dir: "auto" }, file.name)), files.length > 5 ? el("li.muted", {}, t("chat.documents.others", { count: files.length - 5 })) : null),
      el("label.field", {}, el("span", {}, t("chat.documents.collection")), el("select", { onchange: (event) => chosen.set(event.target.value) }, collections.peek().map((one) => el("option", { value: one.id }, one.name)))),
    ],
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close({ isNew: true }) }, t("chat.documents.new")),
      el("button.primary", { type: "button", autofocus: true, onclick: () => close({ id: chosen.peek() }) }, t("chat.documents.put")),
    ],
  });
  return choice?.isNew ? (await openCollectionDialog())?.id : choice?.id;
}

/** Puts files into a collection that the reader chooses, and asks from it. */
export async function documentsForCollection(files, settings) {
  try {
    await loadCollections();
    const id = collections.peek()?.length ? await askCollection(files) : (await addFirstCollection())?.id;
    if (!id) return;
    if (!settings.knowledge.peek().includes(id)) settings.choose(settings.knowledge, [...settings.knowledge.peek(), id]);
    notice(t("chat.documents.under_way", { count: files.length }));
    await uploadFiles(id, files);
  } catch (error) {
    failed(error);
  }
}
