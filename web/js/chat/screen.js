// The chat: a conversation, or the start of one.

import { append, el, when } from "../dom.js";
import { failed, iconButton, notice } from "../overlay.js";
import { effect, onCleanup, untracked } from "../reactive.js";
import { isSignedOut } from "../api.js";
import { navigate, query, setQuery } from "../router.js";
import { loadCollections } from "../knowledge/collections.js";
import { takeDrops } from "../knowledge/drop.js";
import { afterFirstPaint } from "../first_paint.js";
import { loadModelsOnce } from "../models.js";
import { chatDefaults } from "../settings/preferences.js";
import { t } from "../language.js";
import { announcer } from "./announcer.js";
import { chatHead } from "./chat_head.js";
import { composer } from "./composer.js";
import { openConversationSettings } from "./conversation_settings.js";
import { keepDraft, recallDraft } from "./draft.js";
import { followEnd } from "./follow_end.js";
import { isViewerOf, workspaces } from "../conversations/workspaces.js";
import { onTabs } from "./outbox.js";
import { startHeading, startNote } from "./start_view.js";
import { lastModelOf, threadActions } from "./thread_actions.js";
import { threadPages } from "./thread_pages.js";
import { loadOlder, loadThread, newThread, refreshThread, threadOf } from "./thread.js";
import { turnSettings } from "./turn_settings.js";

/** How far above what is seen older messages are read, in pixels. */
const READ_AHEAD = 1600;

/** A thread that begins as the settings say. */
function threadWithDefaults() {
  const thread = newThread();
  const { system_prompt, temperature, max_tokens } = chatDefaults.peek();
  const sampling = Object.fromEntries(Object.entries({ temperature, max_tokens }).filter(([, value]) => value !== undefined));
  thread.conversation.set({ system_prompt, metadata: Object.keys(sampling).length ? { sampling } : {} });
  return thread;
}

/** The screen of a conversation (`id`), or of a new one. */
export function chatScreen({ id = null }) {
  const thread = id ? threadOf(id) : threadWithDefaults();
  const settings = turnSettings(thread, () => lastModelOf(thread));
  afterFirstPaint(() => {
    loadModelsOnce().catch((error) => error.status && error.status !== 401 && failed(error));
    if (settings.knowledge.peek().length) loadCollections();
  });

  const pages = el("div.thread");
  const scroller = el("div.chat-scroll", { tabindex: "-1" }, pages);
  const follow = followEnd(scroller, pages);
  const box = {};

  async function openSettings() {
    const changed = await openConversationSettings(thread.conversation.peek() ?? { metadata: {} });
    if (changed) thread.conversation.set(changed);
  }

  function onstarted(data) {
    if (id) {
      thread.leaf = null;
      if (query.peek().size) navigate(`/c/${id}`, { replace: true });
      return;
    }
    settings.save();
    const draft = recallDraft(null);
    if (draft.text || draft.items.length) keepDraft(data.conversation_id, draft);
    keepDraft(null, { text: "", items: [] });
    // Who has gone elsewhere meanwhile stays there.
    if (scroller.isConnected) navigate(`/c/${data.conversation_id}`, { replace: true });
  }

  const actions = threadActions(thread, settings, {
    onstarted,
    fill: (text, items) => box.current.fill(text, items),
    goToLeaf: (leaf) => setQuery("leaf", leaf, {}),
    atEnd: () => queueMicrotask(follow.toEnd),
  });
  box.current = composer(thread, settings, { send: actions.send, stop: actions.stop, openSettings });
  append(pages, [
    el("div.thread-top", {}, topOf(thread)),
    threadPages(thread, actions, scroller),
    when(thread.partOf, () => el("p.thread-end", {}, el("button.quiet", { type: "button", onclick: () => navigate(`/c/${id}?leaf=${thread.partOf.peek()}`) }, t("chat.goes_on")))),
  ]);

  // Another branch, or a message that a search found.
  effect(() => {
    const [leaf, mark] = [query().get("leaf"), query().get("m")];
    untracked(() => id && open(leaf, mark));
  });

  async function open(leaf, mark) {
    if (!mark && thread.isLoaded.peek() && thread.leaf === leaf && !thread.partOf.peek()) {
      queueMicrotask(follow.toEnd);
      refreshThread(thread);
    } else {
      await loadThread(thread, leaf, mark);
      if (!scroller.isConnected) return;
      if (mark) showMark(mark);
      else follow.toEnd();
    }
    if (!isSignedOut.peek()) actions.resumeUnsent();
  }

  function showMark(mark) {
    const node = pages.querySelector(`[data-message="${CSS.escape(mark)}"]`);
    if (!node) return notice(t("chat.mark_missing"));
    follow.show(node);
    node.classList.add("marked");
    node.tabIndex = -1;
    node.focus({ preventScroll: true });
  }

  let isReadingOlder = false;
  const readOlder = async () => {
    if (isReadingOlder || scroller.scrollTop > READ_AHEAD || !thread.hasOlder.peek() || !thread.isLoaded.peek()) return;
    isReadingOlder = true;
    const before = thread.pages.peek()[0];
    const [first] = pages.querySelectorAll(".thread-page");
    const top = first?.getBoundingClientRect().top;
    await loadOlder(thread);
    // What is seen stays where it is, whether or not the browser sees to it itself.
    if (thread.pages.peek()[0] !== before && first?.isConnected && !follow.isAtEnd.peek()) scroller.scrollTop += first.getBoundingClientRect().top - top;
    isReadingOlder = false;
    if (!thread.error.peek()) readOlder();
  };
  scroller.addEventListener("scroll", readOlder, { passive: true });
  effect(() => {
    if (thread.isLoaded()) requestAnimationFrame(readOlder);
  });

  // What is said in other tabs and by other devices.
  const look = () => document.visibilityState === "visible" && refreshThread(thread);
  document.addEventListener("visibilitychange", look);
  const endTabs = onTabs((changed) => changed === thread.id.peek() && look());
  onCleanup(() => {
    document.removeEventListener("visibilitychange", look);
    endTabs();
  });

  // Whoever may only read in a workspace has nowhere to write.
  const isViewer = () => workspaces().length > 0 && Boolean(thread.conversation()?.workspace_id) && isViewerOf(thread.conversation().workspace_id);
  const isStart = () => !thread.id() && !thread.pages().length;
  const screen = el(
    "div.chat",
    { class: () => (isStart() ? "starting" : "") },
    chatHead(thread, openSettings),
    scroller,
    when(isStart, startHeading),
    el("div.composer-place", {}, when(() => !isStart() && !follow.isAtEnd(), () => iconButton("down", t("chat.to_end"), () => follow.toEnd(), { class: "to-end" })), when(isViewer, () => el("p.muted.read-only", {}, t("chat.read_only")), () => box.current.node)),
    when(isStart, startNote),
    announcer(),
  );
  const isOver = takeDrops(screen, (found) => box.current.takeFiles(found.map((one) => one.file)));
  screen.append(el("div.drop-hint", { hidden: () => !isOver() }, el("p", {}, t("chat.drop"))));
  if (!id) queueMicrotask(actions.resumeUnsent);
  if (!matchMedia("(pointer: coarse)").matches) afterFirstPaint(() => !query.peek().get("m") && box.current?.focus());
  return screen;
}

/** What stands above the first message: whether there is more, or what went wrong. */
function topOf(thread) {
  return () => {
    const error = thread.error();
    if (error) {
      const again = () => (thread.isLoaded.peek() ? (thread.error.set(null), loadOlder(thread)) : loadThread(thread, thread.leaf));
      return el("div.empty.compact", {}, el("p.error-text", { role: "alert" }, error.message), error.status === 404 ? null : el("button.quiet", { type: "button", onclick: again }, t("retry")));
    }
    if (thread.isLoading()) return el("p.thread-loading", {}, el("span.spinner"), el("span.visually-hidden", {}, t("loading")));
    return null;
  };
}
