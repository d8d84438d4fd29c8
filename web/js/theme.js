// Light and dark: as the system has it, or as chosen.

import { signal } from "./reactive.js";
import { keep, recall } from "./storage.js";

/** `system`, `light` or `dark`. */
export const theme = signal(recall("theme", "system"));

export function chooseTheme(choice) {
  theme.set(choice);
  keep("theme", choice === "system" ? null : choice);
  applyTheme();
}

export function applyTheme() {
  const choice = theme.peek();
  document.documentElement.style.colorScheme = choice === "system" ? "" : choice;
}
