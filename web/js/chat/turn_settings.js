// How the next message is answered: the model, the collections and tools, kept per conversation in this browser.

import { computed, signal } from "../reactive.js";
import { chatDefaults } from "../settings/preferences.js";
import { keep, recall } from "../storage.js";
import { models, modelOf } from "../models.js";

/** Conversations of which this is kept. */
const MAX_KEPT = 200;

/** Settings of the turns of a thread: signals `model`, `knowledge` and `tools`, each with what was chosen. */
export function turnSettings(thread, lastModel) {
  const kept = recall("turns", []).find(([id]) => id === thread.id.peek())?.[1] ?? {};
  const chosen = signal(kept.model ?? null);
  const knowledge = signal(kept.knowledge ?? []);
  const tools = signal(kept.tools ?? []);
  /** The model that answers: chosen here, else that of the last answer, of the last conversation, the first of a model server. */
  const model = computed(() => {
    const known = [chosen(), lastModel(), chatDefaults().model, recall("model")].find((id) => id && modelOf(id));
    return known ?? models().find((one) => one.id.split("/")[0] !== "builtin")?.id ?? models()[0]?.id ?? chosen();
  });
  const save = () => {
    const id = thread.id.peek();
    if (!id) return;
    const settings = { model: chosen.peek(), knowledge: knowledge.peek(), tools: tools.peek() };
    keep("turns", [...recall("turns", []).filter(([one]) => one !== id).slice(1 - MAX_KEPT), [id, settings]]);
  };
  return {
    model,
    knowledge,
    tools,
    save,
    chooseModel(id) {
      chosen.set(id);
      keep("model", id);
      save();
    },
    choose(list, ids) {
      list.set(ids);
      save();
    },
  };
}

/** The fields of a turn for these settings. */
export function turnFields(settings, sampling = {}) {
  const fields = { ...sampling };
  if (settings.model.peek()) fields.model = settings.model.peek();
  if (settings.tools.peek().length) fields.tools = settings.tools.peek();
  return fields;
}
