// Not written yet.

import { el } from "../dom.js";

export function documentScreen() {
  return el("div.empty", {}, "…");
}
