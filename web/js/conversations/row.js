// A conversation in the sidebar: its link, its menu, and renaming it in place.

import { el, when } from "../dom.js";
import { effect, onCleanup, signal } from "../reactive.js";
import { icon } from "../icons.js";
import { openMenu } from "../overlay.js";
import { link } from "../router.js";
import { writingConversations } from "./list.js";
import { changeConversation, conversationMenuItems, deleteConversation } from "./actions.js";
import { t } from "../language.js";

/** The row of `item` (a signal); `activeId` says which conversation the screen shows. */
export function conversationRow(item, activeId) {
  const isRenaming = signal(false);
  const { id } = item.peek();
  let more;
  let anchor;
  const rename = () => isRenaming.set(true);
  const menuLabel = () => t("conversations.menu", { title: item().title });
  const openConversationMenu = () => openMenu(more, conversationMenuItems(item.peek(), { rename }), { label: menuLabel() });
  const keys = (event) => {
    if (event.key === "F2") rename();
    else if (event.key === "Delete") deleteConversation(item.peek());
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) openConversationMenu();
    else return;
    event.preventDefault();
  };
  const row = el(
    "li.conversation-row",
    { "data-id": id },
    when(isRenaming, () => renameField(item, () => (isRenaming.set(false), anchor?.focus())), () => [
      link(
        `/c/${id}`,
        {
          class: "conversation-link",
          "aria-current": activeId.peek() === id ? "page" : null,
          title: () => item().title,
          ref: (node) => (anchor = node),
          onkeydown: keys,
        },
        el("span.truncate", { dir: "auto", textContent: () => item().title }),
        when(() => writingConversations().has(id) || item().is_answering, () =>
          el("span.conversation-writing", {}, el("span.visually-hidden", {}, t("conversations.writing"))),
        ),
      ),
      el(
        "button.icon-button.conversation-more",
        {
          type: "button",
          "aria-haspopup": "menu",
          "aria-label": menuLabel,
          ref: (node) => (more = node),
          onclick: openConversationMenu,
        },
        icon("more"),
      ),
    ]),
  );
  onCleanup(() => row.contains(document.activeElement) && keepFocus(row, id));
  return row;
}

/** The focus of a row that goes stays with its conversation, where that stands elsewhere now, else with its neighbour. */
function keepFocus(row, id) {
  const list = row.closest(".conversation-list");
  const neighbour = row.nextElementSibling ?? row.previousElementSibling ?? list?.querySelector(".conversation-row");
  queueMicrotask(() => {
    if (document.activeElement !== document.body) return;
    const next = list?.querySelector(`[data-id="${CSS.escape(id)}"]`) ?? neighbour;
    next?.querySelector(".conversation-link")?.focus({ preventScroll: true });
  });
}

function renameField(item, done) {
  let isDone = false;
  const finish = (isKept) => {
    if (isDone) return;
    isDone = true;
    const title = input.value.trim();
    const before = item.peek();
    done();
    if (isKept && title && title !== before.title) changeConversation(before, { title });
  };
  const keys = (event) => {
    if (event.key === "Enter" && !event.isComposing) finish(true);
    else if (event.key === "Escape") finish(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const input = el("input.conversation-rename", {
    type: "text",
    value: item.peek().title,
    maxlength: 500,
    dir: "auto",
    "aria-label": t("conversations.title"),
    onkeydown: keys,
    onblur: () => finish(true),
  });
  queueMicrotask(() => (input.focus(), input.select()));
  return input;
}

/** Marks the row of the conversation that is shown, and brings it into view, within `scroller`. */
export function followActive(scroller, activeId, isListed) {
  const follow = (id) => {
    scroller.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const active = id && scroller.querySelector(`[data-id="${CSS.escape(id)}"] .conversation-link`);
    active?.setAttribute("aria-current", "page");
    active?.scrollIntoView({ block: "nearest" });
  };
  effect(() => {
    const id = activeId();
    isListed();
    // When the rows are drawn that the same change makes.
    queueMicrotask(() => id === activeId.peek() && follow(id));
  });
}
