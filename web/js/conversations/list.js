// The conversations that the sidebar shows: pinned ones, and the others last changed first, read page by page.

import { batch, computed, signal } from "../reactive.js";
import { api } from "../api.js";
import { keep, recall } from "../storage.js";

const PAGE = 50;
/** Pinned ones that are shown at most; whoever pins more has no use for pins. */
const MAX_PINNED = 200;

/** The id of the workspace that is shown, null for all; a new conversation begins in it. */
export const currentWorkspace = signal(recall("workspace"));
/** Ids of conversations in which this page sees an answer being written. */
export const writingConversations = signal(new Set());

/** What was deleted and can still be undone: not shown, whatever the server says meanwhile. */
const hiddenConversations = new Set();
/** Milliseconds in which the server has done what it was told when the page was left. */
const ON_ITS_WAY = 20000;
for (const { id, at } of recall("deleted", [])) if (Date.now() - at < ON_ITS_WAY) hiddenConversations.add(id);
let listCursor = null;
/** A request of an epoch that is over says nothing any more. */
let listEpoch = 0;
/** Counts what this page changed, so that an answer from before does not take it back. */
let listRevision = 0;

/**
 * `pinned`, `recent`, `isLoading`, `isComplete`, `isLoaded`, `error` and `isArchive` (whether those put away are shown) are signals;
 * `more()` reads on, `reset()` begins anew, `refresh()` looks for what changed elsewhere, `find(id)` gives one that was read.
 */
export const conversations = {
  pinned: signal([]),
  recent: signal([]),
  isArchive: signal(false),
  isLoading: signal(false),
  isLoaded: signal(false),
  isComplete: signal(false),
  error: signal(null),
  find: (id) => conversations.pinned.peek().find((one) => one.id === id) ?? conversations.recent.peek().find((one) => one.id === id) ?? null,
  more: moreConversations,
  reset: resetConversations,
  refresh: refreshConversations,
};

/** Whether an answer is being written in a conversation that is shown, of which this page does not see the end by itself. */
export const isWrittenElsewhere = computed(() =>
  [...conversations.pinned(), ...conversations.recent().slice(0, PAGE)].some((one) => one.is_answering && !writingConversations().has(one.id)),
);

/** Whether nothing is there to show. */
export const hasNoConversations = computed(() => conversations.isLoaded() && !conversations.pinned().length && !conversations.recent().length);

function listQuery() {
  return { archived: conversations.isArchive.peek(), workspace_id: currentWorkspace.peek() };
}

/** Whether a conversation was not deleted here a moment ago, while the server has it yet. */
export const isShown = (one) => !hiddenConversations.has(one.id);

async function moreConversations() {
  if (conversations.isLoading.peek() || conversations.isComplete.peek()) return;
  const epoch = listEpoch;
  conversations.isLoading.set(true);
  conversations.error.set(null);
  try {
    const isFirst = !listCursor;
    const [page, pinned] = await Promise.all([
      api.get("/conversations", { ...listQuery(), pinned: false, limit: isFirst ? PAGE : 2 * PAGE, cursor: listCursor }),
      isFirst ? api.get("/conversations", { ...listQuery(), pinned: true, limit: MAX_PINNED }) : null,
    ]);
    if (epoch !== listEpoch) return;
    listCursor = page.next_cursor;
    batch(() => {
      // What came into the list by `conversationChanged` meanwhile is not shown twice.
      const known = new Set([...conversations.recent.peek(), ...conversations.pinned.peek()].map((one) => one.id));
      const fresh = (list) => list.filter((one) => !known.has(one.id) && isShown(one));
      conversations.recent.update((list) => newestFirst([...list, ...fresh(page.data)]));
      if (pinned) conversations.pinned.update((list) => newestFirst([...list, ...fresh(pinned.data)]));
      conversations.isComplete.set(!listCursor);
      conversations.isLoaded.set(true);
    });
  } catch (error) {
    if (epoch === listEpoch) conversations.error.set(error);
  } finally {
    if (epoch === listEpoch) conversations.isLoading.set(false);
  }
}

function resetConversations() {
  listEpoch += 1;
  listCursor = null;
  batch(() => {
    conversations.pinned.set([]);
    conversations.recent.set([]);
    conversations.isLoading.set(false);
    conversations.isLoaded.set(false);
    conversations.isComplete.set(false);
  });
  return moreConversations();
}

/** Reads the first page again: what was said in other tabs and by other devices is there at its top. */
async function refreshConversations() {
  if (!conversations.isLoaded.peek() || conversations.isLoading.peek()) return;
  const [epoch, revision] = [listEpoch, listRevision];
  let pages;
  try {
    pages = await Promise.all([
      api.get("/conversations", { ...listQuery(), pinned: false, limit: PAGE }),
      api.get("/conversations", { ...listQuery(), pinned: true, limit: MAX_PINNED }),
    ]);
  } catch {
    // Nobody asked for it; what is shown stays.
    return;
  }
  if (epoch !== listEpoch || revision !== listRevision) return;
  // So much is new that something between it and what is shown may be missing.
  const known = new Set(conversations.recent.peek().map((one) => one.id));
  if (pages[0].next_cursor && known.size && !pages[0].data.some((one) => known.has(one.id))) return resetConversations();
  batch(() => {
    const found = new Set(pages.flatMap((page) => page.data.map((one) => one.id)));
    pages.forEach((page, at) => {
      const list = at ? conversations.pinned : conversations.recent;
      const oldest = page.next_cursor ? activeAt(page.data.at(-1)) : "";
      const rest = list.peek().filter((one) => activeAt(one) < oldest && !found.has(one.id));
      const next = newestFirst([...page.data.filter(isShown), ...rest]);
      if (!isSameList(next, list.peek())) list.set(next);
    });
  });
}

function isSameList(left, right) {
  const isSame = (one, other) => one.id === other.id && one.updated_at === other.updated_at && one.is_answering === other.is_answering;
  return left.length === right.length && left.every((one, at) => isSame(one, right[at]));
}

/** When something was last said in a conversation; by older servers, when it last changed. */
export function activeAt(conversation) {
  return conversation.last_active_at ?? conversation.updated_at;
}

/** Sorted as the server does it. Its times are of one form, so that texts compare as times do. */
function newestFirst(list) {
  const place = (one) => activeAt(one) + one.id;
  return list.sort((left, right) => (place(left) < place(right) ? 1 : -1));
}

/** Tells of a conversation that is new or was altered: an object of the API, or its `id` and the fields that changed. */
export function conversationChanged(conversation) {
  listRevision += 1;
  const one = { ...conversations.find(conversation.id), ...conversation };
  hiddenConversations.delete(one.id);
  if (!one.updated_at || !one.title) return;
  const isHere = Boolean(one.is_archived) === conversations.isArchive.peek() && (!currentWorkspace.peek() || one.workspace_id === currentWorkspace.peek());
  batch(() => {
    for (const list of [conversations.pinned, conversations.recent]) {
      const rest = list.peek().filter((other) => other.id !== one.id);
      const belongs = isHere && (list === conversations.pinned) === Boolean(one.is_pinned);
      // What is older than all that was read comes with its page.
      const isRead = list === conversations.pinned || conversations.isComplete.peek() || !rest.length || activeAt(one) > activeAt(rest.at(-1));
      if (belongs && isRead) list.set(newestFirst([...rest, one]));
      else if (rest.length !== list.peek().length) list.set(rest);
    }
  });
}

/** Tells that a conversation is gone. */
export function conversationRemoved(id) {
  listRevision += 1;
  hiddenConversations.add(id);
  batch(() => {
    for (const list of [conversations.pinned, conversations.recent]) {
      if (list.peek().some((one) => one.id === id)) list.update((all) => all.filter((one) => one.id !== id));
    }
  });
}

/** Tells that an answer is being written in a conversation, or no longer. */
export function conversationWriting(id, isWriting) {
  writingConversations.update((known) => {
    if (known.has(id) === isWriting) return known;
    const next = new Set(known);
    next[isWriting ? "add" : "delete"](id);
    return next;
  });
}

/** Shows the conversations of a workspace, or with null all of them. */
export function chooseWorkspace(id) {
  if (id === currentWorkspace.peek()) return;
  currentWorkspace.set(id);
  keep("workspace", id);
  resetConversations();
}

/** Shows those that were put away, or the others. */
export function showArchive(isArchive) {
  conversations.isArchive.set(isArchive);
  resetConversations();
}
