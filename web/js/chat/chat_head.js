// The head of a conversation: its title, renamed in place, and what can be done with it.

import { el, when } from "../dom.js";
import { iconButton, openMenu } from "../overlay.js";
import { computed, effect, signal } from "../reactive.js";
import { changeConversation, conversationMenuItems } from "../conversations/actions.js";
import { conversations } from "../conversations/list.js";
import { sidebarButton, title } from "../shell.js";
import { t } from "../language.js";
import { lastEntry } from "./thread.js";

function titleField(conversation, isRenaming) {
  let isOver = false;
  const finish = async (isKept) => {
    if (isOver) return;
    isOver = true;
    const next = input.value.trim();
    const before = conversation.peek();
    isRenaming.set(false);
    if (isKept && next && next !== before.title) await changeConversation(before, { title: next });
  };
  const keys = (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    finish(event.key === "Enter");
  };
  const input = el("input.title-field", { type: "text", dir: "auto", value: conversation.peek().title, maxlength: 500, "aria-label": t("conversations.title"), onkeydown: keys, onblur: () => finish(true) });
  queueMicrotask(() => {
    input.focus();
    input.select();
  });
  return input;
}

/** The head of a thread. `openSettings()` opens instructions and settings. */
export function chatHead(thread, openSettings) {
  const isRenaming = signal(false);
  // The sidebar may know better: it is told of every change.
  const conversation = computed(() => {
    const id = thread.id();
    return [...conversations.pinned(), ...conversations.recent()].find((one) => one.id === id) ?? thread.conversation();
  });
  effect(() => title.set(thread.id() ? conversation()?.title ?? "" : t("chat.new")));
  const open = () => {
    const items = conversationMenuItems({ ...thread.conversation.peek(), ...conversation.peek() }, { rename: () => isRenaming.set(true), leaf: lastEntry(thread)?.message.peek().id ?? null });
    openMenu(more, [...items.slice(0, -1), { label: t("chat.settings.title"), icon: "settings", action: openSettings }, items.at(-1)], { label: t("chat.menu") });
  };
  const more = iconButton("more", t("chat.menu"), open, { "aria-haspopup": "menu", "aria-expanded": "false" });
  return el(
    "header.screen-head.chat-head",
    {},
    sidebarButton(),
    when(() => isRenaming() && conversation(), () => titleField(conversation, isRenaming), () =>
      when(() => thread.id(), () => el("h1", { dir: "auto", ondblclick: () => isRenaming.set(true), title: () => (conversation() ? t("chat.rename_hint") : null) }, () => conversation()?.title ?? ""), () => el("span.grow"))),
    el("div.screen-actions", {}, when(() => thread.id() && conversation(), () => more)),
  );
}
