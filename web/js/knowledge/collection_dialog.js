// Making a collection, changing and deleting it.

import { api } from "../api.js";
import { el, when } from "../dom.js";
import { signal } from "../reactive.js";
import { confirmDialog, failed, notice, openDialog } from "../overlay.js";
import { isAdmin, isLocal } from "../session.js";
import { t } from "../language.js";
import { collectionChanged, collectionRemoved, collectionWorkspaces } from "./collections.js";
import { embedderField } from "./embedders.js";

/** Asks for a new collection, or for changes of `collection`. Resolves with it as it is then, or nothing. */
export function openCollectionDialog(collection = null, { name = "" } = {}) {
  const isNew = !collection;
  const [error, isBusy, embedder] = [signal(null), signal(false), signal(null)];
  const before = collection ?? { name, description: "", chunking: { size: 1000, overlap: 200 }, workspace_id: null, is_shared: false };
  const fields = {};
  const keepField = (key) => (node) => (fields[key] = node);
  const save = (close) => async (event) => {
    event.preventDefault();
    isBusy.set(true);
    error.set(null);
    try {
      close(await (isNew ? addCollection(fields, embedder.peek()) : changeCollection(collection, fields)));
    } catch (problem) {
      error.set(problem);
      isBusy.set(false);
    }
  };
  const number = (key, label, value, min, max) =>
    el("label.field", {}, el("span", {}, label), el("input", { type: "number", min, max, required: true, value: String(value), ref: keepField(key), oninvalid: showDetails }));
  return openDialog({
    title: t(isNew ? "knowledge.collection.new" : "knowledge.collection.settings"),
    body: (close) =>
      el(
        "form.stack",
        { id: "collection-form", onsubmit: save(close) },
        el("label.field", {}, el("span", {}, t("knowledge.collection.name")), el("input", { type: "text", required: true, maxlength: 200, autofocus: true, dir: "auto", value: before.name, ref: keepField("name") })),
        el("label.field", {}, el("span", {}, t("knowledge.collection.description")), el("textarea", { rows: 3, maxlength: 10000, dir: "auto", value: before.description, ref: keepField("description") }), el("small", {}, t("knowledge.collection.description_hint"))),
        isNew ? embedderField(embedder) : null,
        when(() => (isAdmin() && !isLocal() && isNew) || collectionWorkspaces().length, () => audienceField(before, isNew, keepField("audience"))),
        el(
          "details",
          {},
          el("summary", {}, t("knowledge.collection.chunking")),
          el("div.stack", {}, el("p.small.muted", {}, t("knowledge.collection.chunking_hint")), el("div.row.chunking", {}, number("size", t("knowledge.collection.size"), before.chunking.size, 100, 8000), number("overlap", t("knowledge.collection.overlap"), before.chunking.overlap, 0, 3999))),
        ),
        () => (error() ? el("p.error-text", { role: "alert" }, error().message) : null),
      ),
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close() }, t("cancel")),
      el("button.primary", { type: "submit", form: "collection-form", disabled: isBusy }, t(isNew ? "knowledge.collection.create" : "save")),
    ],
  });
}

/** A fault in a folded part would be told nowhere. */
function showDetails(event) {
  event.target.closest("details").open = true;
}

/** Who sees the collection: the user alone, all users, or those of a workspace. */
function audienceField(before, isNew, ref) {
  const chosen = before.is_shared ? "shared" : before.workspace_id ?? "";
  const option = (value, text) => el("option", { value, selected: value === chosen }, text);
  return el(
    "label.field",
    {},
    el("span", {}, t("knowledge.collection.audience")),
    el(
      "select",
      { ref, disabled: before.is_shared && !isNew },
      option("", t("knowledge.collection.private")),
      (isNew && isAdmin() && !isLocal()) || before.is_shared ? option("shared", t("knowledge.collection.shared")) : null,
      collectionWorkspaces.peek().filter(({ role }) => role !== "viewer").map(({ id, name }) => option(id, t("knowledge.collection.of_workspace", { name }))),
    ),
  );
}

function readFields(fields) {
  const { name, description, size, overlap, audience } = fields;
  return { name: name.value.trim(), description: description.value.trim(), chunking: { size: Number(size.value), overlap: Number(overlap.value) }, audience: audience?.value ?? "" };
}

async function addCollection(fields, embedder) {
  const { audience, ...body } = readFields(fields);
  if (embedder) body.embedder = embedder;
  if (audience === "shared") body.shared = true;
  else if (audience) body.workspace_id = audience;
  const made = await api.post("/knowledge/collections", body);
  collectionChanged(made);
  return made;
}

async function changeCollection(collection, fields) {
  const { audience, ...body } = readFields(fields);
  if (fields.audience && !collection.is_shared && audience !== (collection.workspace_id ?? "")) body.workspace_id = audience || null;
  const changed = await api.patch(`/knowledge/collections/${collection.id}`, body);
  collectionChanged(changed);
  return changed;
}

/** Deletes a collection after asking, saying what goes with it. Gives whether it is gone. */
export async function deleteCollection(collection) {
  const text = collection.document_count ? t("knowledge.collection.delete_text", { count: collection.document_count, name: collection.name }) : t("knowledge.collection.delete_empty", { name: collection.name });
  if (!(await confirmDialog({ title: t("knowledge.collection.delete"), text, action: t("delete"), isDangerous: true }))) return false;
  try {
    await api.delete(`/knowledge/collections/${collection.id}`);
  } catch (error) {
    failed(error);
    return false;
  }
  collectionRemoved(collection.id);
  notice(t("knowledge.collection.deleted", { name: collection.name }));
  return true;
}

/** The collection for files that come before there is any. */
export async function addFirstCollection() {
  const made = await api.post("/knowledge/collections", { name: t("knowledge.first.name") });
  collectionChanged(made);
  return made;
}
