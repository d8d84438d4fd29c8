// Keys that work everywhere on the page.

const shortcuts = [];

/** Whether this machine's keyboards have a Command key. */
export const isApple = /Mac|iPhone|iPad/.test(navigator.platform);

/** Calls `action` at a key with Ctrl (Command on Apple's), such as `k` or `shift+o`; `label` is shown in the list of keys. */
export function shortcut(keys, label, action) {
  shortcuts.push({ keys, label, action });
}

/** The keys there are, as people know them: `[{ keys: "Ctrl K", label }]`. */
export function shortcutList() {
  return shortcuts.map(({ keys, label }) => ({ keys: keysText(keys), label }));
}

export function keysText(keys) {
  const names = keys.split("+").map((key) => (key === "shift" ? "Shift" : key.toUpperCase()));
  return [isApple ? "⌘" : "Ctrl", ...names].join(" ");
}

addEventListener("keydown", (event) => {
  if (!(isApple ? event.metaKey : event.ctrlKey) || event.altKey) return;
  const pressed = (event.shiftKey ? "shift+" : "") + event.key.toLowerCase();
  const found = shortcuts.find(({ keys }) => keys === pressed);
  if (!found) return;
  event.preventDefault();
  found.action();
});
