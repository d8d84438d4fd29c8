// The models that can be asked.

import { api } from "./api.js";
import { signal } from "./reactive.js";

/** The active models of `GET /models` that chat. */
export const models = signal([]);
/** Whether the list was read once. */
export const areModelsLoaded = signal(false);

let modelsReadAt = -Infinity;

/** Reads the list where it was not read within the last minute. */
export async function loadModelsOnce() {
  if (performance.now() - modelsReadAt > 60_000) await loadModels();
}

/** Reads the list (again). */
export async function loadModels() {
  const { data } = await api.get("/models");
  // Servers that say nothing of what a model can do are believed to serve chats.
  models.set(data.filter((model) => model.is_active && (!model.capabilities.length || model.capabilities.includes("chat") || !model.capabilities.includes("embedding"))));
  areModelsLoaded.set(true);
  modelsReadAt = performance.now();
}

/** The model of this id, or undefined. */
export function modelOf(id) {
  return models().find((model) => model.id === id);
}

/** The name of a model for people. */
export function modelName(id) {
  return modelOf(id)?.name ?? id?.slice(id.indexOf("/") + 1) ?? "";
}

/** Whether nothing but the answers out of documents is there: no model server yet. */
export function isOnlyBuiltin() {
  return areModelsLoaded() && models().every((model) => model.id.split("/")[0] === "builtin");
}
