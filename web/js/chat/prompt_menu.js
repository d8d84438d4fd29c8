// Kept prompts, offered after a slash at the beginning of an empty message.

import { each, el, freshId, when } from "../dom.js";
import { computed, signal } from "../reactive.js";
import { loadPrompts, prompts } from "../settings/prompts.js";
import { t } from "../language.js";

/** `text` is a signal of what is typed, `onchoose(prompt)` gets what was picked. Gives `{ node, onkeydown, attributes }` for the field. */
export function promptMenu(text, onchoose) {
  const id = freshId("prompts");
  const at = signal(0);
  const isClosed = signal(false);
  let isLoaded = false;
  const wanted = computed(() => /^\/([^\n]{0,60})$/.exec(text())?.[1] ?? null);
  const found = computed(() => {
    if (wanted() === null || isClosed()) return [];
    const words = wanted().toLowerCase().split(/\s+/).filter(Boolean);
    return prompts().filter((prompt) => words.every((word) => prompt.title.toLowerCase().includes(word))).slice(0, 20);
  });
  const isOpen = computed(() => found().length > 0);
  const row = (prompt) => {
    const index = () => found().findIndex((one) => one.id === prompt().id);
    return el(
      "div.prompt-row",
      { role: "option", id: () => `${id}-${index()}`, "aria-selected": () => String(index() === at()), onpointerdown: (event) => (event.preventDefault(), onchoose(prompt.peek())), onpointermove: () => at.set(index()) },
      el("span", { dir: "auto" }, () => prompt().title),
      el("small.muted.truncate", { dir: "auto" }, () => prompt().content.slice(0, 160)),
    );
  };
  return {
    attributes: { "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-controls": () => (isOpen() ? id : null), "aria-activedescendant": () => (isOpen() ? `${id}-${at()}` : null) },
    node: when(isOpen, () => el("div.prompt-menu", { role: "listbox", id, "aria-label": t("chat.prompts") }, each(found, (prompt) => prompt.id, row))),
    /** Called with each change of the text. */
    typed() {
      if (wanted.peek() === null) {
        isClosed.set(false);
        at.set(0);
      } else if (!isLoaded) {
        isLoaded = true;
        loadPrompts().catch(() => (isLoaded = false));
      }
      if (at.peek() >= found.peek().length) at.set(0);
    },
    /** Whether the key was the menu's. */
    onkeydown(event) {
      if (!isOpen.peek()) return false;
      const count = found.peek().length;
      if (event.key === "ArrowDown") at.update((now) => (now + 1) % count);
      else if (event.key === "ArrowUp") at.update((now) => (now + count - 1) % count);
      else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") onchoose(found.peek()[at.peek()]);
      else if (event.key === "Escape") isClosed.set(true);
      else return false;
      event.preventDefault();
      event.stopPropagation();
      document.getElementById(`${id}-${at.peek()}`)?.scrollIntoView({ block: "nearest" });
      return true;
    },
  };
}
