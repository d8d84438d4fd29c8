// Not written yet.

import { el } from "../dom.js";

export function knowledgeSearchScreen() {
  return el("div.empty", {}, "…");
}
