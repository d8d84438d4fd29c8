// Not written yet.

import { el } from "../dom.js";

export function sharedScreen() {
  return el("div.empty", {}, "…");
}
