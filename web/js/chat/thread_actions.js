// What a reader does in a thread: sends, edits, answers again, goes to another branch.

import { api } from "../api.js";
import { batch } from "../reactive.js";
import { failed, notice } from "../overlay.js";
import { currentWorkspace } from "../conversations/list.js";
import { t } from "../language.js";
import { contentOf } from "./attachments.js";
import { runTurn, giveUpTurn, stopRun } from "./answering.js";
import { samplingOf } from "./conversation_settings.js";
import { freshClientId, outboxItems, removeFromOutbox } from "./outbox.js";
import { quotedFile } from "./quoted_file.js";
import { appendEntries, lastEntry, leafThrough, loadThread, lookIfDue, refreshConversation, storedMessages, threadEntries, threadEntry, truncateAt } from "./thread.js";
import { turnFields } from "./turn_settings.js";

/** The beginning of a text, in one line. */
function shortLine(text) {
  const letters = [...text.trim().replace(/\s+/g, " ")];
  return letters.length > 60 ? `${letters.slice(0, 59).join("")}…` : letters.join("");
}

function answerEntry(model) {
  return threadEntry({ role: "assistant", content: [], status: "streaming", model, created_at: new Date().toISOString() }, "waiting");
}

/** The text and attachments of a message, to write it again. */
function writtenAgain(content) {
  const items = [];
  const texts = [];
  for (const part of content) {
    const file = part.type === "text" ? quotedFile(part.text) : null;
    if (file) items.push({ kind: "file", name: file.name, text: file.text, size: file.text.length });
    else if (part.type === "image" && part.data) items.push({ kind: "image", name: t("chat.picture"), data: part.data, media_type: part.media_type });
    else if (part.type === "text") texts.push(part.text);
  }
  return [texts.join("\n\n"), items];
}

/**
 * Actions of a thread. `fill(text, items)` puts something back into the composer, `onstarted(data)` is told when the server has a turn,
 * `goToLeaf(id)` shows another branch.
 */
export function threadActions(thread, settings, { fill, onstarted, goToLeaf, atEnd }) {
  const turn = (kind, messageId, body) => ({ clientId: freshClientId(), conversationId: thread.id.peek(), kind, messageId, body });
  const sampling = () => samplingOf(thread.conversation.peek());
  const begin = (item, question, answer) => {
    for (const one of [question, answer]) if (one) one.turn = { item, question, answer };
    atEnd();
    return runTurn(thread, item, question, answer, onstarted).catch(failed);
  };

  const actions = {
    isRunning: () => Boolean(thread.running()),

    /** Sends a message; gives whether it is on its way. */
    send(text, items) {
      if (thread.running.peek()) return false;
      const content = contentOf(text, items);
      const last = threadEntries(thread).at(-1);
      if (last && last.state.peek() !== "stored") {
        notice(t("chat.unsent_first"));
        return false;
      }
      const body = { content, ...turnFields(settings, sampling()) };
      if (last) body.parent_id = last.message.peek().id;
      // Without any, the built-in answers look everywhere.
      if (settings.knowledge.peek().length) body.knowledge = settings.knowledge.peek();
      if (!thread.id.peek()) {
        const { system_prompt: prompt, metadata } = thread.conversation.peek() ?? {};
        body.conversation = {};
        // Named by what is asked, not by a file that comes before it.
        if (content.length > 1 && text.trim()) body.conversation.title = shortLine(text);
        if (prompt) body.conversation.system_prompt = prompt;
        if (metadata?.sampling) body.conversation.metadata = { sampling: metadata.sampling };
        if (currentWorkspace.peek()) body.conversation.workspace_id = currentWorkspace.peek();
      }
      const question = threadEntry({ role: "user", content, status: "complete", created_at: new Date().toISOString() }, "sending");
      const answer = answerEntry(body.model);
      appendEntries(thread, [question, answer]);
      begin(turn("message", null, body), question, answer);
      return true;
    },

    /** Sends what a reload or a failure left unsent. What the server has already it answers once: its place is shown anew. */
    resumeUnsent() {
      for (const item of outboxItems()) {
        if (item.conversationId !== thread.id.peek() || thread.running.peek()) continue;
        const entries = threadEntries(thread);
        if (entries.some((entry) => entry.turn?.item.clientId === item.clientId)) continue;
        const { content, model, parent_id: parent } = item.body;
        const isIt = ({ id, sibling_ids: siblings }) => id === item.messageId || siblings?.includes(item.messageId);
        const at = item.kind === "message" ? entries.findIndex((entry) => entry.message.peek().id === parent) + 1 : entries.findIndex((entry) => isIt(entry.message.peek()));
        if (at < 0) {
          // It is far above what is shown.
          removeFromOutbox(item.clientId);
          if (content) fill(...writtenAgain(content));
          continue;
        }
        const question = content ? threadEntry({ role: "user", content, status: "complete", created_at: new Date().toISOString() }, "sending") : null;
        const answer = answerEntry(model);
        batch(() => {
          if (entries[at] && (parent || item.kind !== "message")) truncateAt(thread, entries[at]);
          appendEntries(thread, question ? [question, answer] : [answer]);
        });
        begin(item, question, answer);
      }
    },

    stop() {
      const run = thread.running.peek();
      if (!run) return;
      const { turn: begun } = run.entry;
      // What waits for another try is not with the server.
      if (!run.runId && run.item && (begun?.question ?? run.entry).error.peek()) actions.giveUp();
      else stopRun(run);
    },

    giveUp() {
      const run = thread.running.peek();
      if (!run?.item) return;
      giveUpTurn(thread, run);
      actions.takeBack(run.entry);
    },

    /** Takes what was not sent out of the thread and gives it back to be changed. */
    takeBack(entry) {
      const { item, question, answer } = entry.turn;
      if (item.kind === "message") {
        truncateAt(thread, question);
        fill(...writtenAgain(item.body.content));
        lookIfDue(thread);
        return;
      }
      if (item.kind === "edit") fill(...writtenAgain(item.body.content));
      truncateAt(thread, question ?? answer);
      loadThread(thread, thread.leaf);
    },

    retry(entry) {
      const { item, question, answer } = entry.turn;
      return begin(item, question, answer);
    },

    async editQuestion(entry, text) {
      const message = entry.message.peek();
      // Pictures and files stay.
      const kept = message.content.filter((part) => part.type === "image" || (part.type === "text" && quotedFile(part.text))).map((part) => (part.type === "text" ? { type: "text", text: part.text } : part));
      const content = [...kept, { type: "text", text }];
      const body = { content, ...turnFields(settings, sampling()) };
      if (settings.knowledge.peek().length) body.knowledge = settings.knowledge.peek();
      const question = threadEntry({ role: "user", content, status: "complete", parent_id: message.parent_id, created_at: new Date().toISOString() }, "sending");
      const answer = answerEntry(body.model);
      batch(() => {
        truncateAt(thread, entry);
        appendEntries(thread, [question, answer]);
      });
      begin(turn("edit", message.id, body), question, answer);
    },

    async editAnswer(entry, text) {
      const message = entry.message.peek();
      const stored = await api.put(`/conversations/${message.conversation_id}/messages/${message.id}`, { content: text });
      const [listed] = await storedMessages(message.conversation_id, stored.id);
      batch(() => {
        truncateAt(thread, entry);
        appendEntries(thread, [threadEntry(listed)]);
      });
      refreshConversation(thread);
    },

    /** Answers the same question again, with another model where `model` names one. */
    regenerate(entry, model = null) {
      if (thread.running.peek()) return;
      const message = entry.message.peek();
      const body = { ...turnFields(settings, sampling()) };
      if (model) body.model = model;
      const answer = answerEntry(body.model);
      batch(() => {
        truncateAt(thread, entry);
        appendEntries(thread, [answer]);
      });
      begin(turn("regenerate", message.id, body), null, answer);
    },

    /** Lets a model go on where its answer ended too early. */
    goOn: () => actions.send(t("chat.continue_text"), []),

    async openBranch(messageId) {
      try {
        goToLeaf(await leafThrough(thread, messageId));
      } catch (error) {
        failed(error);
      }
    },
  };
  return actions;
}

/** The model of the last answer of a thread; followed where it is read. */
export function lastModelOf(thread) {
  const last = lastEntry(thread);
  return last?.role === "assistant" ? last.message().model : null;
}
