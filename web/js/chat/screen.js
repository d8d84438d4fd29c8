// Not written yet.

import { el } from "../dom.js";

export function chatScreen() {
  return el("div.empty", {}, "…");
}
