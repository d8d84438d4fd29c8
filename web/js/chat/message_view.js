// A message: who says it, what is said, and what can be done with it.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { failed, iconButton, notice, openMenu } from "../overlay.js";
import { computed, signal } from "../reactive.js";
import { api } from "../api.js";
import { afterFirstPaint } from "../first_paint.js";
import { formatTime } from "../format.js";
import { modelName, models } from "../models.js";
import { navigate } from "../router.js";
import { conversationChanged } from "../conversations/list.js";
import { t } from "../language.js";
import { answerParts, markdownOf, questionParts } from "./answer_view.js";
import { copyButton } from "./clipboard.js";
import { openModelPicker } from "./model_picker.js";
import { openRunDialog } from "./run_dialog.js";

/** `‹ 2/3 ›` */
function branchSwitch(entry, actions) {
  const siblings = computed(() => entry.message().sibling_ids ?? []);
  const at = computed(() => siblings().indexOf(entry.message().id));
  const step = (by) => actions.openBranch(siblings.peek()[at.peek() + by]);
  return when(() => siblings().length > 1 && at() >= 0, () =>
    el(
      "span.branches",
      { role: "group", "aria-label": t("chat.branches") },
      iconButton("back", t("chat.branch_before"), () => step(-1), { disabled: () => at() === 0 }),
      el("span.small", {}, () => `${at() + 1}/${siblings().length}`),
      iconButton("forward", t("chat.branch_after"), () => step(1), { disabled: () => at() === siblings().length - 1 }),
    ),
  );
}

/** The form in which a message is changed. */
function editForm(entry, isEditing, actions) {
  const isQuestion = entry.role === "user";
  const field = el("textarea", { dir: "auto", rows: 3, value: markdownOf(entry.message.peek()), "aria-label": t("edit") });
  const isSaving = signal(false);
  const error = signal(null);
  const submit = async () => {
    if (!field.value.trim() || isSaving.peek()) return;
    isSaving.set(true);
    try {
      await (isQuestion ? actions.editQuestion(entry, field.value) : actions.editAnswer(entry, field.value));
      isEditing.set(false);
    } catch (failure) {
      error.set(failure);
      isSaving.set(false);
    }
  };
  const keys = (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      isEditing.set(false);
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
  };
  field.addEventListener("keydown", keys);
  queueMicrotask(() => field.focus());
  return el(
    "form.message-edit",
    { onsubmit: (event) => (event.preventDefault(), submit()) },
    field,
    el("p.muted.small", {}, t(isQuestion ? "chat.edit_question_hint" : "chat.edit_answer_hint")),
    () => (error() ? el("p.error-text", { role: "alert" }, error().message) : null),
    el("div.row", {}, el("button.primary", { type: "submit", disabled: isSaving }, t(isQuestion ? "chat.send" : "save")), el("button.quiet", { type: "button", onclick: () => isEditing.set(false) }, t("cancel"))),
  );
}

/** Copies the branch up to a message into a new conversation, and goes there. */
async function forkAt(message) {
  try {
    const conversation = await api.post(`/conversations/${message.conversation_id}/fork`, { message_id: message.id });
    conversationChanged(conversation);
    await navigate(`/c/${conversation.id}`);
    notice(t("chat.forked"));
  } catch (error) {
    failed(error);
  }
}

function messageMenu(anchor, entry, isEditing, actions) {
  const message = entry.message.peek();
  const isAnswer = entry.role === "assistant";
  const isIdle = !actions.isRunning();
  openMenu(
    anchor,
    [
      isAnswer && isIdle && models.peek().length > 1 ? { label: t("chat.other_model"), icon: "spark", action: () => openModelPicker(anchor, message.model, (model) => actions.regenerate(entry, model)) } : false,
      isIdle ? { label: t(isAnswer ? "chat.edit_answer" : "edit"), icon: "edit", action: () => isEditing.set(true) } : false,
      { label: t("chat.fork"), icon: "branch", action: () => forkAt(message) },
      isAnswer ? { label: t("chat.run.title"), icon: "info", action: () => openRunDialog(message) } : false,
    ],
    { label: t("more") },
  );
}

// Times come when there is something to see: to write the first one takes long.
const hasTimes = signal(false);
afterFirstPaint(() => hasTimes.set(true));

function messageActions(entry, isEditing, actions) {
  const isAnswer = entry.role === "assistant";
  const more = iconButton("more", t("more"), () => messageMenu(more, entry, isEditing, actions), { "aria-haspopup": "menu", "aria-expanded": "false" });
  return el(
    "div.message-actions",
    {},
    branchSwitch(entry, actions),
    copyButton(() => markdownOf(entry.message.peek()), t("chat.copy_markdown")),
    isAnswer
      ? iconButton("refresh", t("chat.regenerate"), () => actions.regenerate(entry), { disabled: actions.isRunning })
      : iconButton("edit", t("edit"), () => isEditing.set(true), { disabled: actions.isRunning }),
    more,
    isAnswer ? el("span.message-model.muted.small.truncate", { dir: "auto", title: () => `${entry.message().model ?? ""}${hasTimes() ? ` · ${formatTime(entry.message().created_at)}` : ""}` }, () => modelName(entry.message().model)) : null,
  );
}

/** What went wrong with a turn that the server has not taken. */
function sendingState(entry, actions) {
  return () => {
    const error = entry.error();
    if (entry.state() === "sending") {
      if (!error) return el("p.message-state.muted.small", {}, t("chat.sending"));
      const text = error.status === 429 && error.retryAfter ? t("chat.wait", { count: Math.ceil(error.retryAfter) }) : t("chat.trying_again");
      return el("p.message-state.small", { role: "status" }, el("span", {}, `${error.status === 401 ? t("chat.session_ended") : `${error.message} ${text}`} `), el("button.text-button", { type: "button", onclick: () => actions.giveUp() }, t("chat.do_not_send")));
    }
    if (entry.state() !== "failed") return null;
    return el(
      "div.callout.error.small",
      { role: "alert" },
      icon("warning"),
      el("div.grow", {}, el("p", { dir: "auto" }, error?.message ?? t("error.unknown")), el("div.row.tight", {}, el("button.text-button", { type: "button", onclick: () => actions.retry(entry) }, t("retry")), el("button.text-button", { type: "button", onclick: () => actions.takeBack(entry) }, t("chat.take_back")))),
    );
  };
}

/** Why an answer failed that was not seen failing: its run knows. */
async function readFailure(entry) {
  const run = entry.message.peek().run_id;
  if (!run || entry.isFailureAsked) return;
  entry.isFailureAsked = true;
  const { error } = await api.get(`/runs/${run}`).catch(() => ({}));
  if (error) entry.failure.set(error);
}

/** How an answer ended, where it is not whole. */
function endingView(entry, actions) {
  return () => {
    const { status, content } = entry.message();
    if (entry.live() || entry.state() !== "stored" || !["interrupted", "failed", "cancelled"].includes(status)) return null;
    const failure = entry.failure();
    if (status === "failed" && !failure) readFailure(entry);
    const hasText = content.some((part) => part.type === "text" && part.text.trim());
    if (status === "cancelled") return el("p.message-state.muted.small", {}, t("chat.stopped"), " ", hasText ? el("button.text-button.small", { type: "button", disabled: actions.isRunning, onclick: () => actions.goOn() }, t("chat.continue")) : null);
    return el(
      "div.callout.small",
      { class: status === "failed" ? "error" : "", role: "note" },
      icon("warning"),
      el(
        "div.grow",
        {},
        el("p", { dir: "auto" }, status === "interrupted" ? t("chat.answer_interrupted") : failure?.detail ?? t("chat.answer_failed")),
        el(
          "div.row.tight",
          {},
          el("button.text-button", { type: "button", disabled: actions.isRunning, onclick: () => actions.regenerate(entry) }, t("retry")),
          hasText ? el("button.text-button", { type: "button", disabled: actions.isRunning, onclick: () => actions.goOn() }, t("chat.continue")) : null,
        ),
      ),
    );
  };
}

/**
 * The view of an entry of a thread. `actions`: `openBranch(id)`, `editQuestion`, `editAnswer`, `regenerate`, `retry`, `takeBack`,
 * `giveUp`, `goOn` and `isRunning()`.
 */
export function messageView(entry, actions) {
  const isAnswer = entry.role === "assistant";
  const isEditing = signal(false);
  const isShown = computed(() => !isEditing());
  const isDone = computed(() => !entry.live() && entry.state() === "stored" && Boolean(entry.message().id));
  const written = computed(() => entry.message().content);
  const speaker = el("h2.visually-hidden", {}, t(isAnswer ? "chat.answer" : entry.role === "user" ? "chat.you" : "chat.system"));
  const content = () => {
    if (!isShown()) return editForm(entry, isEditing, actions);
    const live = entry.live();
    if (live) return live.node;
    // Only another content is drawn anew: branches and the like change without it.
    written();
    const message = entry.message.peek();
    if (isAnswer) return message.status !== "streaming" || message.content.length ? entry.body ?? el("div.answer-body", {}, answerParts(message, entry)) : null;
    return el("div.question-body", {}, questionParts(message));
  };
  return el(
    "article.message",
    { class: isAnswer ? "answer" : "question", "data-message": () => entry.message().id ?? null, "data-state": () => entry.state() },
    speaker,
    content,
    sendingState(entry, actions),
    isAnswer ? endingView(entry, actions) : null,
    when(() => isDone() && isShown(), () => messageActions(entry, isEditing, actions)),
  );
}
