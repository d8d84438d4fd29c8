// Not written yet.

import { el } from "../dom.js";

export function sidebar() {
  return el("div.empty", {}, "…");
}
