// Not written yet.

import { el } from "../dom.js";

export function signInScreen() {
  return el("div.empty", {}, "…");
}

export function signInAgain() {
  return null;
}
