// Not written yet.

import { el } from "../dom.js";

export function knowledgeScreen() {
  return el("div.empty", {}, "…");
}
