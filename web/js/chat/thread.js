// One conversation as it is shown: the messages of a branch, newest page first, and what is being sent and answered in it.

import { api } from "../api.js";
import { afterFirstPaint } from "../first_paint.js";
import { batch, signal } from "../reactive.js";
import { conversationChanged, conversations } from "../conversations/list.js";
import { followAnswer } from "./answering.js";

/** Messages that are read at a time. */
const THREAD_PAGE = 50;
/** Conversations whose messages stay in memory. */
const MAX_THREADS = 5;
const threads = new Map();
let lastKey = 0;

/**
 * A message in a thread: signals of the `message` as the server has it, its `state` (`stored`, `sending`, `failed`), the `error` of
 * sending it, and its `live` answer while it is written. `key` stays the same through all of it.
 */
export function threadEntry(message, state = "stored") {
  lastKey += 1;
  return { key: lastKey, role: message.role, message: signal(message), state: signal(state), error: signal(null), live: signal(null), failure: signal(null), warnings: [], thoughtFor: null };
}

/** A thread of the conversation `id`, null for one that does not exist yet. */
export function newThread(id = null) {
  return {
    id: signal(id),
    conversation: signal(null),
    /** `[{ key, entries: signal([…]) }]`, oldest first. */
    pages: signal([]),
    isLoading: signal(false),
    isLoaded: signal(!id),
    hasOlder: signal(false),
    error: signal(null),
    /** The entry that is being answered: what sends it, stops it. */
    running: signal(null),
    leaf: null,
    /** Where only the branch up to a message is shown that was asked for: the end of the branch, else null. */
    partOf: signal(null),
    cursor: null,
    epoch: 0,
    /** The conversation's `updated_at` that what is shown is at least as new as, where it is known. */
    asOf: null,
    isLooking: false,
    /** Whether something may have been said elsewhere since the last look. */
    isLookDue: false,
    /** How many turns began here. */
    turns: 0,
  };
}

/** The thread of a conversation; one that is being answered is the same wherever it is shown. */
export function threadOf(id) {
  let thread = threads.get(id);
  threads.delete(id);
  thread ??= newThread(id);
  threads.set(id, thread);
  for (const [key, one] of threads) {
    if (threads.size <= MAX_THREADS) break;
    if (!one.running.peek() && key !== id) threads.delete(key);
  }
  return thread;
}

/** Gives a thread that began without a conversation its own. */
export function adoptThread(thread, id) {
  thread.id.set(id);
  threads.set(id, thread);
}

/** All entries, oldest first. */
export function threadEntries(thread) {
  return thread.pages.peek().flatMap((page) => page.entries.peek());
}

/** The last entry, or undefined. Followed where it is read. */
export function lastEntry(thread) {
  return thread.pages().at(-1)?.entries().at(-1);
}

function pageOf(entries) {
  lastKey += 1;
  return { key: lastKey, entries: signal(entries) };
}

function messagesPage(thread, query) {
  return api.get(`/conversations/${thread.id.peek()}/messages`, { limit: THREAD_PAGE, html: true, ...query });
}

/**
 * Reads the newest page of the branch that ends with `leaf` (null: the open one). `mark` is a message that has to be in it: where it is
 * not, the branch up to it is shown.
 */
export async function loadThread(thread, leaf = null, mark = null) {
  thread.epoch += 1;
  const { epoch } = thread;
  thread.leaf = leaf;
  thread.asOf = null;
  thread.isLookDue = false;
  thread.isLoading.set(true);
  thread.error.set(null);
  try {
    let page = await messagesPage(thread, mark ? { through: mark } : { leaf });
    let partOf = null;
    if (mark) {
      thread.leaf = page.data.at(-1)?.id ?? null;
      if (!page.data.some((message) => message.id === mark)) {
        partOf = thread.leaf;
        thread.leaf = mark;
        page = await messagesPage(thread, { leaf: mark });
      }
    }
    if (epoch !== thread.epoch) return;
    batch(() => {
      thread.cursor = page.next_cursor;
      thread.hasOlder.set(Boolean(page.next_cursor));
      thread.partOf.set(partOf);
      thread.pages.set(page.data.length ? [pageOf(page.data.map((message) => threadEntry(message)))] : []);
      thread.isLoaded.set(true);
    });
    resumeAnswers(thread);
    afterFirstPaint(() => refreshConversation(thread));
  } catch (error) {
    if (epoch === thread.epoch) thread.error.set(error);
  } finally {
    if (epoch === thread.epoch) {
      thread.isLoading.set(false);
      lookIfDue(thread);
    }
  }
}

/** An answer that is being written goes on here. */
function resumeAnswers(thread) {
  const entry = threadEntries(thread).at(-1);
  if (entry?.message.peek().status === "streaming" && !entry.live.peek()) followAnswer(thread, entry);
}

/** Reads the page before the first one. */
export async function loadOlder(thread) {
  if (thread.isLoading.peek() || !thread.cursor) return;
  const { epoch } = thread;
  thread.isLoading.set(true);
  try {
    const page = await messagesPage(thread, { leaf: thread.leaf, cursor: thread.cursor });
    if (epoch !== thread.epoch) return;
    batch(() => {
      thread.cursor = page.next_cursor;
      thread.hasOlder.set(Boolean(page.next_cursor));
      thread.pages.update((pages) => [pageOf(page.data.map((message) => threadEntry(message))), ...pages]);
    });
  } catch (error) {
    // The next scroll tries again.
    if (epoch === thread.epoch) thread.error.set(error);
  } finally {
    if (epoch === thread.epoch) {
      thread.isLoading.set(false);
      lookIfDue(thread);
    }
  }
}

/**
 * Looks whether something was said elsewhere, and takes it over; what is shown and unchanged stays. While an answer is written here, or
 * the thread is read, it waits for the end of that.
 */
export async function refreshThread(thread) {
  thread.isLookDue = true;
  if (thread.isLooking) return;
  thread.isLooking = true;
  try {
    while (thread.isLookDue && canLook(thread)) {
      thread.isLookDue = false;
      await look(thread);
    }
  } finally {
    thread.isLooking = false;
  }
}

/** The look that had to wait. */
export function lookIfDue(thread) {
  if (thread.isLookDue) refreshThread(thread);
}

function canLook(thread) {
  // What the server refused is here alone.
  if (threadEntries(thread).some((entry) => entry.state.peek() === "failed")) return false;
  return thread.id.peek() && !thread.running.peek() && !thread.isLoading.peek() && thread.isLoaded.peek() && !thread.partOf.peek();
}

async function look(thread) {
  const { epoch, turns } = thread;
  let page;
  let conversation;
  try {
    conversation = await api.get(`/conversations/${thread.id.peek()}`);
    // Not what `thread.conversation` has: that is read for its title too, when the messages are not.
    if (thread.asOf === conversation.updated_at) return;
    page = await messagesPage(thread, { through: thread.leaf });
  } catch {
    // Nobody asked for it.
    return;
  }
  if (epoch !== thread.epoch) return;
  if (turns !== thread.turns) {
    // What was read may be older than what is shown.
    thread.isLookDue = true;
    return;
  }
  thread.asOf = conversation.updated_at;
  thread.conversation.set(conversation);
  const entries = threadEntries(thread);
  const at = new Map(entries.map((entry, index) => [entry.message.peek().id, index]));
  if (thread.leaf) thread.leaf = page.data.at(-1)?.id ?? null;
  const first = page.data.findIndex((message) => at.has(message.id));
  if (first < 0) {
    if (page.data.length || entries.length) loadThread(thread, thread.leaf);
    return;
  }
  let last = null;
  for (const message of page.data.slice(first)) {
    const index = at.get(message.id);
    if (index === undefined) break;
    last = entries[index];
    const shown = last.message.peek();
    if (shown.status !== message.status || shown.sibling_ids?.length !== message.sibling_ids.length) last.message.set(message);
  }
  const fresh = page.data.slice(page.data.findIndex((message) => message.id === last.message.peek().id) + 1);
  batch(() => {
    if (entries.at(-1) !== last) truncateAfter(thread, last);
    appendEntries(thread, fresh.map((message) => threadEntry(message)));
  });
  resumeAnswers(thread);
}

/** Adds entries at the end. */
export function appendEntries(thread, entries) {
  if (!entries.length) return;
  const last = thread.pages.peek().at(-1);
  if (last && last.entries.peek().length + entries.length <= THREAD_PAGE * 1.5) last.entries.update((known) => [...known, ...entries]);
  else thread.pages.update((pages) => [...pages, pageOf(entries)]);
}

/** Takes away `entry` and what follows it. */
export function truncateAt(thread, entry) {
  const pages = thread.pages.peek();
  const index = pages.findIndex((page) => page.entries.peek().includes(entry));
  if (index < 0) return;
  batch(() => {
    pages[index].entries.update((entries) => entries.slice(0, entries.indexOf(entry)));
    thread.pages.set(pages.slice(0, index + 1));
  });
}

function truncateAfter(thread, entry) {
  const entries = threadEntries(thread);
  const next = entries[entries.indexOf(entry) + 1];
  if (next) truncateAt(thread, next);
}

/** The end of the branch through a message: the newest message below it. */
export async function leafThrough(thread, messageId) {
  const page = await messagesPage(thread, { through: messageId, limit: 1, html: null });
  return page.data.at(-1).id;
}

/** Reads a message again, with its HTML and branches, and the `count - 1` before it. Gives them, oldest first. */
export async function storedMessages(conversationId, messageId, count = 1) {
  const page = await api.get(`/conversations/${conversationId}/messages`, { leaf: messageId, limit: count, html: true });
  return page.data;
}

/** Reads the conversation again and tells the sidebar. */
export async function refreshConversation(thread) {
  try {
    const conversation = await api.get(`/conversations/${thread.id.peek()}`);
    thread.conversation.set(conversation);
    if (conversation.updated_at !== conversations.find(conversation.id)?.updated_at) conversationChanged(conversation);
  } catch {
    // The sidebar learns of it with the next change.
  }
}
