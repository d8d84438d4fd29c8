// The collections there are for this user: their own, the shared ones, and those of their workspaces.

import { api } from "../api.js";
import { signal } from "../reactive.js";

/** All collections, newest first; null until they are loaded. */
export const collections = signal(null);
/** Why they could not be loaded. */
export const collectionsError = signal(null);
/** The user's workspaces: `[{ id, name, … }]`. */
export const collectionWorkspaces = signal([]);

let loadingCollections = null;

async function everyPage(path, query) {
  const all = [];
  let cursor = null;
  do {
    const page = await api.get(path, { ...query, limit: 200, cursor });
    all.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  return all;
}

async function readCollections() {
  const [own, workspaces] = await Promise.all([
    everyPage("/knowledge/collections"),
    // A page without workspaces still has collections.
    everyPage("/workspaces").catch(() => []),
  ]);
  const theirs = await Promise.all(workspaces.map(({ id }) => everyPage("/knowledge/collections", { workspace_id: id })));
  const byId = new Map([...own, ...theirs.flat()].map((collection) => [collection.id, collection]));
  collectionWorkspaces.set(workspaces);
  collections.set([...byId.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1)));
}

/** Loads the collections; a load that is under way is shared. Never throws: `collectionsError` says why it failed. */
export function loadCollections() {
  loadingCollections ??= readCollections()
    .then(() => collectionsError.set(null), (error) => collectionsError.set(error))
    .finally(() => (loadingCollections = null));
  return loadingCollections;
}

/** Takes over a collection that is new or has changed. */
export function collectionChanged(collection) {
  collections.update((known) => {
    const isKnown = known?.some(({ id }) => id === collection.id);
    return isKnown ? known.map((one) => (one.id === collection.id ? collection : one)) : [collection, ...(known ?? [])];
  });
}

/** Forgets a collection that is gone. */
export function collectionRemoved(id) {
  collections.update((known) => known?.filter((one) => one.id !== id) ?? null);
}

/** The name of a collection that is known, else nothing. */
export function collectionName(id) {
  return collections()?.find((one) => one.id === id)?.name ?? "";
}
