// Not written yet.

import { el } from "../dom.js";

export function searchScreen() {
  return el("div.empty", {}, "…");
}
