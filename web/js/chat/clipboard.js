// Copying, also where the browser has no clipboard for the page (plain HTTP in a network).

import { el } from "../dom.js";
import { iconButton } from "../overlay.js";
import { icon } from "../icons.js";
import { t } from "../language.js";

/** Copies a text. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea.visually-hidden", { value: text, "aria-hidden": "true" });
    // Beside an open dialog nothing can be selected.
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** A button that copies what `text()` gives, and says so. */
export function copyButton(text, label = t("copy")) {
  const button = iconButton("copy", label, async () => {
    await copyText(text());
    button.replaceChildren(icon("check"));
    button.setAttribute("aria-label", t("copied"));
    setTimeout(() => {
      button.replaceChildren(icon("copy"));
      button.setAttribute("aria-label", label);
    }, 1600);
  });
  return button;
}
