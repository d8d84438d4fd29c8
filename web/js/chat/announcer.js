// Short sentences for those who do not see the page.

import { el } from "../dom.js";

const liveRegion = el("div.visually-hidden", { role: "status", "aria-live": "polite" });

/** The region that speaks, for the screen to hold. */
export function announcer() {
  return liveRegion;
}

/** Says a sentence. */
export function announce(text) {
  liveRegion.textContent = text;
}
