// Not written yet.

import { el } from "../dom.js";

export function openPalette() {
  return el("div.empty", {}, "…");
}
