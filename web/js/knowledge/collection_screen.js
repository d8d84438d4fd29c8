// Not written yet.

import { el } from "../dom.js";

export function collectionScreen() {
  return el("div.empty", {}, "…");
}
