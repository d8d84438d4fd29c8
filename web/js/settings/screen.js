// Not written yet.

import { el } from "../dom.js";

export function settingsScreen() {
  return el("div.empty", {}, "…");
}
