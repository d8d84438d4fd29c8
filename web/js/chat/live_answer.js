// An answer while it is being written: each event of its run changes what is there, nothing that is finished is drawn again.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { signal } from "../reactive.js";
import { formatDuration } from "../format.js";
import { t } from "../language.js";
import { streamedText } from "./streamed_text.js";
import { toolCallState, toolCallView } from "./tool_call.js";
import { warningsView } from "./warning.js";

/** What a model thought, folded. `time` is a signal of milliseconds, or null while it is not known. */
export function reasoningView(content, { isOver = () => true, time = () => null } = {}) {
  const label = () => (!isOver() ? t("chat.thinking") : time() >= 500 ? t("chat.thought_for", { time: formatDuration(time()) }) : t("chat.thought"));
  return el(
    "details.fold.reasoning",
    {},
    el("summary", {}, icon("spark"), el("span", {}, label), when(() => !isOver(), () => el("span.spinner", { "aria-hidden": "true" }))),
    el("div.fold-body", {}, content),
  );
}

/** Gives `{ node, apply(event), close(), … }` for the events of a run. */
export function liveAnswer() {
  const parts = el("div.answer-parts");
  const warnings = el("div.warnings");
  const hasBegun = signal(false);
  const node = el("div.answer-body", { "aria-busy": () => "true" }, when(() => !hasBegun(), () => el("p.writing", {}, el("span.writing-dot"), el("span.visually-hidden", {}, t("chat.answering")))), parts, warnings);
  const calls = new Map();
  const live = { node, runId: signal(null), citations: [], warnings: [], thoughtFor: null, isWaiting: signal(false), calls };
  let current = null;

  const add = (child) => {
    hasBegun.set(true);
    parts.append(child);
  };

  function closeCurrent() {
    if (!current) return;
    current.view.end();
    if (current.kind === "reasoning") {
      const time = performance.now() - current.since;
      live.thoughtFor = (live.thoughtFor ?? 0) + time;
      current.time.set(time);
      current.isOver.set(true);
    }
    current = null;
  }

  function openText() {
    if (current?.kind === "text") return current;
    closeCurrent();
    const view = streamedText({ citations: () => live.citations });
    current = { kind: "text", view };
    add(view.node);
    return current;
  }

  function openReasoning() {
    if (current?.kind === "reasoning") return current;
    closeCurrent();
    const view = streamedText({ isRendered: false });
    current = { kind: "reasoning", view, since: performance.now(), isOver: signal(false), time: signal(null) };
    add(reasoningView(view.node, current));
    return current;
  }

  function callOf(call) {
    let state = calls.get(call.id);
    if (!state) {
      closeCurrent();
      state = toolCallState(call, live.runId.peek());
      calls.set(call.id, state);
      add(toolCallView(state));
    }
    return state;
  }

  const on = {
    started: (data) => live.runId.set(data.run_id),
    retrieved: (data) => (live.citations = data.citations),
    text: (data) => openText().view.push(data.text),
    reasoning: (data) => openReasoning().view.push(data.text),
    text_was_reasoning() {
      closeCurrent();
      const texts = [...parts.querySelectorAll(":scope > .streamed")];
      const view = streamedText({ isRendered: false });
      texts.forEach((text) => view.push(text.textContent));
      view.end();
      texts[0]?.before(reasoningView(view.node));
      texts.forEach((text) => text.remove());
    },
    tool_called: (data) => void callOf(data.call),
    approval_required(data) {
      callOf(data.call).waits.set(true);
      live.isWaiting.set(true);
    },
    tool_progress(data) {
      // It runs, so somebody has allowed it.
      calls.get(data.id)?.waits.set(false);
      calls.get(data.id)?.progress.set(data);
    },
    input_required(data) {
      calls.get(data.id)?.waits.set(false);
      calls.get(data.id)?.question.set(data);
      live.isWaiting.set(true);
    },
    tool_returned(data) {
      const state = calls.get(data.id);
      if (state) {
        state.waits.set(false);
        state.result.set(data);
      }
      live.isWaiting.set([...calls.values()].some((one) => !one.result.peek() && (one.waits.peek() || one.question.peek())));
    },
    warning(data) {
      live.warnings.push(data);
      warnings.replaceChildren(...warningsView(live.warnings));
    },
  };

  /** Takes an event of the run; what a newer server says beyond is passed over. */
  live.apply = ({ event, data }) => on[event]?.(data);
  /** Nothing more comes. */
  live.close = () => {
    closeCurrent();
    hasBegun.set(true);
    node.setAttribute("aria-busy", "false");
    for (const state of calls.values()) state.isOver.set(true);
  };
  return live;
}
