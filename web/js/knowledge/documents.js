// Documents of a collection: adding, reading again, deleting.

import { api } from "../api.js";
import { el } from "../dom.js";
import { signal } from "../reactive.js";
import { confirmDialog, failed, notice, openDialog } from "../overlay.js";
import { t } from "../language.js";
import { documentSeen } from "./watch.js";

/** Reads a document again that failed. Gives the document as it is then. */
export function retryDocument({ id }) {
  return api.post(`/knowledge/documents/${id}/retry`);
}

/** Deletes a document after asking. Gives whether it is gone. */
export async function deleteDocument(document) {
  const isSure = await confirmDialog({ title: t("knowledge.document.delete"), text: t("knowledge.document.delete_text", { name: document.name }), action: t("delete"), isDangerous: true });
  if (!isSure) return false;
  try {
    await api.delete(`/knowledge/documents/${document.id}`);
  } catch (error) {
    if (error.status !== 404) {
      failed(error);
      return false;
    }
  }
  documentSeen(document.id, null);
  notice(t("knowledge.document.deleted", { name: document.name }));
  return true;
}

/** Stops the reading of a document. */
export async function cancelDocument(document) {
  try {
    const now = await api.post(`/knowledge/documents/${document.id}/cancel`);
    documentSeen(now.id, now);
    return now;
  } catch (error) {
    failed(error);
    return document;
  }
}

/** Asks for a text, or an address, that becomes a document of the collection. Resolves with the document or nothing. */
export function openAddDialog(collectionId, kind) {
  const [error, isBusy] = [signal(null), signal(false)];
  const field = (name, input) => el("label.field", {}, el("span", {}, t(`knowledge.add.${name}`)), input);
  const name = el("input", { type: "text", required: true, maxlength: 400, autofocus: true, dir: "auto" });
  const text = el("textarea.add-text", { rows: 12, required: true, dir: "auto" });
  const url = el("input", { type: "url", required: true, autofocus: true, dir: "ltr", placeholder: "https://example.com/manual", pattern: "https?://.*" });
  const isText = kind === "text";
  const save = (close) => async (event) => {
    event.preventDefault();
    isBusy.set(true);
    error.set(null);
    try {
      const body = isText ? { name: name.value.trim(), text: text.value } : { url: url.value.trim() };
      close(await api.post(`/knowledge/collections/${collectionId}/documents`, body));
    } catch (problem) {
      error.set(problem);
      isBusy.set(false);
    }
  };
  return openDialog({
    title: t(`knowledge.add.${kind}_title`),
    wide: isText,
    body: (close) =>
      el(
        "form.stack",
        { id: "add-document", onsubmit: save(close) },
        isText ? [field("name", name), field("text", text)] : [field("url", url), el("small.muted", {}, t("knowledge.add.url_hint"))],
        () => (error() ? el("p.error-text", { role: "alert", dir: "auto" }, error().message) : null),
      ),
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close() }, t("cancel")),
      el("button.primary", { type: "submit", form: "add-document", disabled: isBusy }, t("add")),
    ],
  });
}
