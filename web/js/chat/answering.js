// Turns: sending one until the server has it, and following its answer until it is finished.

import { ApiError, send } from "../api.js";
import { whenUnmarked } from "../dom.js";
import { batch } from "../reactive.js";
import { conversationWriting } from "../conversations/list.js";
import { announce } from "./announcer.js";
import { liveAnswer } from "./live_answer.js";
import { asSender, keepInOutbox, removeFromOutbox, tellTabs } from "./outbox.js";
import { backoff, followRun, isPassing, runEvents, signedIn } from "./run_events.js";
import { adoptThread, lookIfDue, refreshConversation, storedMessages } from "./thread.js";
import { t } from "../language.js";

const TURN_PATHS = {
  message: ({ conversationId }) => ["POST", conversationId ? `/conversations/${conversationId}/messages` : "/messages"],
  edit: ({ conversationId, messageId }) => ["PUT", `/conversations/${conversationId}/messages/${messageId}`],
  regenerate: ({ conversationId, messageId }) => ["POST", `/conversations/${conversationId}/messages/${messageId}/regenerate`],
};

/**
 * Sends a turn until the server has it, and follows its answer. `item`: `{ clientId, conversationId, kind, messageId, body }`;
 * `question` is the entry of what is said (null where an answer is made anew), `answer` that of the answer.
 * `onstarted()` is called once the server has the turn.
 */
export async function runTurn(thread, item, question, answer, onstarted = () => {}) {
  keepInOutbox(item);
  const abort = new AbortController();
  const run = { entry: answer, abort, isStopped: false, runId: null, item };
  thread.turns += 1;
  thread.running.set(run);
  const sent = question ?? answer;
  batch(() => {
    sent.state.set("sending");
    sent.error.set(null);
  });
  const done = await asSender(item, () => sendUntilTaken(thread, run, question, onstarted));
  // Another tab sends it and tells when it is done.
  if (done === undefined) endRun(thread, run);
}

async function sendUntilTaken(thread, run, question, onstarted) {
  const { item, entry: answer, abort } = run;
  const sent = question ?? answer;
  const [method, path] = TURN_PATHS[item.kind](item);
  let last = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await send(method, path, { body: { ...item.body, client_id: item.clientId, stream: true }, headers: { accept: "text/event-stream" }, signal: abort.signal });
      for await (const event of runEvents(response)) {
        last = Number(event.id) || last;
        if (event.event === "started") {
          started(thread, run, question, event.data);
          onstarted(event.data);
        }
        await handleEvent(thread, run, event);
      }
      return true;
    } catch (error) {
      if (run.runId) return goOn(thread, run, last);
      if (abort.signal.aborted) return true;
      if (error.status === 401) {
        sent.error.set(error);
        await signedIn();
      } else if (isPassing(error)) {
        sent.error.set(error instanceof ApiError ? error : new ApiError({ detail: t("chat.not_ours") }, 0));
        await backoff(attempt + 1, error, abort.signal);
      } else {
        removeFromOutbox(item.clientId);
        batch(() => {
          sent.state.set("failed");
          sent.error.set(error);
          endRun(thread, run);
        });
        return true;
      }
    }
  }
}

/** The server has the turn. */
function started(thread, run, question, data) {
  const { item, entry: answer } = run;
  removeFromOutbox(item.clientId);
  run.runId = data.run_id;
  const live = answer.live.peek() ?? liveAnswer();
  batch(() => {
    if (!thread.id.peek()) adoptThread(thread, data.conversation_id);
    if (question) {
      question.message.update((message) => ({ ...message, id: data.user_message_id, status: "complete" }));
      question.state.set("stored");
      question.error.set(null);
    }
    answer.message.update((message) => ({ ...message, id: data.message_id, conversation_id: data.conversation_id, parent_id: data.user_message_id, model: data.model, run_id: data.run_id, status: "streaming" }));
    answer.state.set("stored");
    answer.error.set(null);
    answer.live.set(live);
  });
  conversationWriting(data.conversation_id, true);
  announce(t("chat.answering"));
  refreshConversation(thread);
  tellTabs(data.conversation_id);
  // Who stopped it before the server had it meant this.
  if (run.isStopped) stopRun(run);
}

async function handleEvent(thread, run, event) {
  const { entry } = run;
  entry.live.peek()?.apply(event);
  if (event.event === "finished" || event.event === "error") await finishAnswer(thread, run, event);
}

async function goOn(thread, run, after) {
  const { entry } = run;
  try {
    let final = null;
    await followRun(run.runId, {
      after,
      abort: run.abort.signal,
      onevent(event) {
        if (event.event === "finished" || event.event === "error") final = event;
        else entry.live.peek()?.apply(event);
      },
    });
    await finishAnswer(thread, run, final);
  } catch (error) {
    if (!run.abort.signal.aborted) entry.error.set(error);
    await finishAnswer(thread, run, null);
  }
  return true;
}

/** Follows an answer that was begun elsewhere or before a reload. */
export async function followAnswer(thread, entry) {
  const live = liveAnswer();
  live.isReplay = true;
  const run = { entry, abort: new AbortController(), isStopped: false, runId: entry.message.peek().run_id, item: null };
  live.runId.set(run.runId);
  batch(() => {
    entry.live.set(live);
    thread.turns += 1;
    thread.running.set(run);
  });
  conversationWriting(thread.id.peek(), true);
  await goOn(thread, run, 0);
}

/** The answer is over: what the server has stored takes the place of what was streamed. */
async function finishAnswer(thread, run, event) {
  const { entry } = run;
  const live = entry.live.peek();
  live?.close();
  entry.warnings = live?.warnings ?? [];
  entry.thoughtFor = live?.isReplay ? null : live?.thoughtFor ?? null;
  if (event?.event === "error") entry.failure.set(event.data);
  const { id } = entry.message.peek();
  let stored = null;
  try {
    if (id) [stored] = (await storedMessages(thread.id.peek(), id)).slice(-1);
    if (stored && live) keepWhileMarked(entry, live.node);
  } catch {
    stored = event?.data.message ?? null;
    // What was streamed stays, since it is rendered already.
    entry.body = live?.node ?? null;
  }
  batch(() => {
    if (stored) entry.message.set({ ...entry.message.peek(), ...stored });
    else entry.message.update((message) => ({ ...message, status: "interrupted" }));
    entry.live.set(null);
    endRun(thread, run);
  });
  announce(t(entry.message.peek().status === "complete" ? "chat.finished" : "chat.ended"));
  refreshConversation(thread);
  tellTabs(thread.id.peek());
  // Of the question, its branches may be more now.
  const parent = thread.pages.peek().flatMap((page) => page.entries.peek()).find((one) => one.message.peek().id && one.message.peek().id === entry.message.peek().parent_id);
  if (parent && !parent.message.peek().sibling_ids) {
    storedMessages(thread.id.peek(), parent.message.peek().id).then(([message]) => parent.message.set(message), () => {});
  }
}

/** Who marks a part of an answer to copy it keeps the mark when the answer ends. */
function keepWhileMarked(entry, node) {
  entry.body = node;
  whenUnmarked(node, () => {
    entry.body = null;
    // The content as another value, so that it is drawn.
    if (!entry.live.peek()) entry.message.update((message) => ({ ...message, content: [...message.content] }));
  });
}

function endRun(thread, run) {
  if (thread.running.peek() === run) thread.running.set(null);
  if (thread.id.peek()) conversationWriting(thread.id.peek(), false);
  // After what ends it is shown whole.
  queueMicrotask(() => lookIfDue(thread));
}

/** Stops an answer; one that the server does not have yet is stopped when it has. */
export async function stopRun(run) {
  run.isStopped = true;
  if (!run.runId) return;
  for (let attempt = 1; attempt < 6; attempt += 1) {
    try {
      await send("POST", `/runs/${run.runId}/cancel`);
      return;
    } catch (error) {
      if (!isPassing(error)) return;
      await backoff(attempt, error);
    }
  }
}

/** Gives up a turn that the server does not have yet. */
export function giveUpTurn(thread, run) {
  removeFromOutbox(run.item.clientId);
  run.abort.abort();
  endRun(thread, run);
}
