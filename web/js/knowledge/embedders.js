// The models that make vectors, and the spaces of a collection that hold them.

import { api } from "../api.js";
import { el, each, when } from "../dom.js";
import { computed, onCleanup, signal } from "../reactive.js";
import { confirmDialog, failed, notice } from "../overlay.js";
import { formatNumber, formatTime } from "../format.js";
import { t } from "../language.js";
import { collectionChanged } from "./collections.js";
import { failureNote, waiting } from "./states.js";

const embedders = signal([]);

/** Loads the models of the connections that can make vectors. */
async function loadEmbedders() {
  const { data } = await api.get("/models");
  const seems = ({ capabilities, id }) => capabilities?.includes("embedding") || /embed|bge|gte|e5-|minilm/i.test(id);
  embedders.set(data.filter((model) => model.is_active !== false && seems(model)).map(({ id }) => id));
}

/** A choice of a model for vectors; `chosen` is a signal of its name, `null` for the server's own choice. */
export function embedderField(chosen, { hasDefault = true, label = t("knowledge.embedder.label") } = {}) {
  loadEmbedders().catch(() => {});
  const isOther = signal(false);
  const fixed = [...(hasDefault ? [["", t("knowledge.embedder.default")]] : []), ["none", t("knowledge.embedder.none")], ["local", t("knowledge.embedder.local")]];
  const choose = (event) => {
    const { value } = event.target;
    isOther.set(value === "?");
    chosen.set(value === "?" ? "" : value || null);
  };
  const select = el(
    "select",
    { onchange: choose },
    fixed.map(([value, text]) => el("option", { value }, text)),
    each(embedders, (id) => id, (id) => el("option", { value: id() }, id())),
    el("option", { value: "?" }, t("knowledge.embedder.further")),
  );
  if (!hasDefault && !chosen.peek()) chosen.set("none");
  return [
    el("label.field", {}, el("span", {}, label), select, el("small", {}, t("knowledge.embedder.hint"))),
    when(isOther, () =>
      el("label.field", {}, el("span", {}, t("knowledge.embedder.name")), el("input", { type: "text", placeholder: "ollama/nomic-embed-text", required: true, dir: "ltr", oninput: (event) => chosen.set(event.target.value.trim()) })),
    ),
  ];
}

/** How a collection is searched, in a few words. */
export function spaceText(space) {
  return space ? t("knowledge.space.both", { model: space.name }) : t("knowledge.space.words");
}

/** The spaces of a collection: which one answers, which one is being built, and the way back. `collection` is a signal. */
export function spacesPanel(collection, mayEdit) {
  const spaces = signal(null);
  const error = signal(null);
  const chosen = signal(null);
  const isBusy = signal(false);
  let timer = null;
  let isGone = false;
  const { id } = collection.peek();
  const load = async () => {
    clearTimeout(timer);
    try {
      const { data } = await api.get(`/knowledge/collections/${id}/spaces`);
      if (isGone) return;
      const wasBuilding = spaces.peek()?.some(({ status }) => status === "building");
      const isBuilding = data.some(({ status }) => status === "building");
      spaces.set(data);
      error.set(null);
      if (isBuilding) timer = setTimeout(load, 1500);
      if (wasBuilding && !isBuilding) collectionChanged(await api.get(`/knowledge/collections/${id}`));
    } catch (problem) {
      error.set(problem);
    }
  };
  onCleanup(() => {
    isGone = true;
    clearTimeout(timer);
  });
  load();
  const change = async (embedder) => {
    isBusy.set(true);
    try {
      collectionChanged(await api.patch(`/knowledge/collections/${id}`, { embedder }));
      await load();
    } catch (problem) {
      failed(problem);
    } finally {
      isBusy.set(false);
    }
  };
  const back = async ({ name }) => {
    await change(name);
    if (spaces.peek()?.find((space) => space.name === name)?.status === "active") notice(t("knowledge.space.is_active", { model: name }));
  };
  const begin = async (event) => {
    event.preventDefault();
    const name = chosen.peek();
    if (!name) return;
    const isSure =
      name !== "none" ||
      (await confirmDialog({ title: t("knowledge.space.none_title"), text: t("knowledge.space.none_text"), action: t("knowledge.space.none_action") }));
    if (isSure) await change(name);
  };
  const isWithout = computed(() => spaces()?.length > 0 && !spaces().some(({ status }) => status === "active"));
  return el(
    "div.stack",
    {},
    el("p.muted.small", {}, t("knowledge.space.explain")),
    when(() => spaces() === null && !error(), waiting),
    () => (error() ? failureNote(error(), load) : null),
    when(() => spaces()?.length === 0 || isWithout(), () => el("p", {}, t("knowledge.space.only_words"))),
    el("ul.space-list", {}, each(spaces, (space) => space.id, (space) => spaceRow(space, collection, mayEdit, isBusy, back))),
    when(mayEdit, () =>
      el(
        "form.space-form",
        { onsubmit: begin },
        embedderField(chosen, { hasDefault: false, label: t("knowledge.space.another") }),
        el("button.quiet", { type: "submit", disabled: () => isBusy() || !chosen() }, t("knowledge.space.switch")),
      ),
    ),
  );
}

function spaceRow(space, collection, mayEdit, isBusy, back) {
  const badges = { active: "good", building: "warn", failed: "bad", retired: "" };
  const share = () => Math.min(1, space().chunk_count / Math.max(1, collection()?.chunk_count ?? 1));
  const facts = () => [t("knowledge.space.dimensions", { count: space().dimensions }), t("knowledge.space.vectors", { count: space().chunk_count }), formatTime(space().created_at)].join(" · ");
  return el(
    "li.card",
    {},
    el(
      "div.row",
      {},
      el("strong.grow.space-name", { dir: "ltr" }, () => space().name),
      () => el(`span.badge.${badges[space().status]}`, {}, t(`knowledge.space.status.${space().status}`)),
      when(() => mayEdit() && space().status === "retired", () => el("button.quiet", { type: "button", disabled: isBusy, onclick: () => back(space.peek()) }, t("knowledge.space.back"))),
      when(() => mayEdit() && space().status === "failed", () => el("button.quiet", { type: "button", disabled: isBusy, onclick: () => back(space.peek()) }, t("retry"))),
    ),
    el("small.muted", {}, facts),
    when(() => space().status === "building", () => [
      el("progress", { max: "1", value: share, "aria-label": t("knowledge.space.status.building") }),
      el("small.muted", {}, () => t("knowledge.space.progress", { share: formatNumber(share(), { style: "percent" }) })),
    ]),
    () => (space().error ? el("p.error-text", { dir: "auto" }, space().error) : null),
  );
}
