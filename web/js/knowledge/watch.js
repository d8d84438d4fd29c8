// Documents that are still being read, followed together: one request for many of them.

import { api, isSignedOut } from "../api.js";
import { batch } from "../reactive.js";

/** Pages of 200 that one look reads at most, and single documents that it asks for beside them. */
const WATCH_PAGES = 3;
const WATCH_SINGLE = 5;

/** What is watched: the document's id with its newest state and those who want to hear of it. */
const watched = new Map();
let watchTimer = null;
let quietLooks = 0;

export function isUnderWay(document) {
  return document.status === "pending" || document.status === "processing";
}

/** Calls `onchange(document)` whenever the document changes until it is `ready` or `failed`, and `onchange(null)` when it is gone. Gives what ends it. */
export function watchDocument(document, onchange) {
  let entry = watched.get(document.id);
  if (!entry) {
    entry = { document, listeners: new Set() };
    watched.set(document.id, entry);
  }
  entry.listeners.add(onchange);
  quietLooks = 0;
  scheduleWatch(400);
  return () => {
    entry.listeners.delete(onchange);
    if (!entry.listeners.size && watched.get(document.id) === entry) watched.delete(document.id);
  };
}

/** Tells all who watch that a document is as it is now, or gone. */
export function documentSeen(id, document) {
  const entry = watched.get(id);
  if (!entry) return;
  if (document?.updated_at === entry.document.updated_at && document.progress === entry.document.progress && document.status === entry.document.status) return;
  quietLooks = 0;
  if (document) entry.document = document;
  if (!document || !isUnderWay(document)) watched.delete(id);
  for (const listener of entry.listeners) listener(document);
}

function scheduleWatch(delay) {
  if (watchTimer === null && watched.size) watchTimer = setTimeout(watchTick, delay);
}

/** Where the next look into a collection goes on: more are watched than one look reads. */
const watchCursors = new Map();

async function watchCollection(collectionId) {
  const missing = new Set([...watched.values()].filter(({ document }) => document.collection_id === collectionId).map(({ document }) => document.id));
  let cursor = watchCursors.get(collectionId) ?? null;
  for (let pages = 0; missing.size && pages < WATCH_PAGES; pages += 1) {
    // The newest come first, and what is under way mostly is new.
    const limit = Math.min(200, Math.max(20, missing.size));
    const page = await api.get("/knowledge/documents", { collection_id: collectionId, limit, cursor });
    batch(() => {
      for (const document of page.data) {
        documentSeen(document.id, document);
        missing.delete(document.id);
      }
    });
    cursor = page.next_cursor;
    if (!cursor) break;
  }
  watchCursors.set(collectionId, missing.size ? cursor : null);
  for (const id of [...missing].slice(0, WATCH_SINGLE)) {
    const document = await api.get(`/knowledge/documents/${id}`).catch((error) => {
      if (error.status === 404) return null;
      throw error;
    });
    documentSeen(id, document);
  }
}

async function watchTick() {
  try {
    // A page that nobody looks at need not be current.
    if (!document.hidden && !isSignedOut.peek()) {
      for (const id of new Set([...watched.values()].map((entry) => entry.document.collection_id))) await watchCollection(id);
    }
    quietLooks += 1;
  } catch {
    quietLooks += 3;
  }
  watchTimer = null;
  const most = watched.size > 100 ? 2500 : 1000;
  scheduleWatch(Math.min(10000, most + quietLooks * 250));
}
