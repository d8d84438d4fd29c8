// Links that models and documents wrote to other hosts: shown with the host, opened only after the reader said so once for it.

import { el } from "../dom.js";
import { confirmDialog } from "../overlay.js";
import { keep, recall } from "../storage.js";
import { t } from "../language.js";

/** Opens an address of another host; asks the first time for each. */
export async function openForeign(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return;
  const host = url.host || url.pathname.split("@").pop();
  const known = recall("hosts", []);
  if (!known.includes(host)) {
    const shown = address.length > 300 ? `${address.slice(0, 300)}…` : address;
    if (!(await confirmDialog({ title: t("chat.foreign.title", { host }), text: t("chat.foreign.text", { address: shown }), action: t("chat.foreign.open") }))) return;
    keep("hosts", [...known.slice(-199), host]);
  }
  window.open(url.href, "_blank", "noopener,noreferrer");
}

/** A link to another host, with its host beside it. */
export function foreignLink(address, text) {
  let host = "";
  try {
    host = new URL(address).host;
  } catch {
    return el("span", {}, text);
  }
  return el("a.foreign", { href: address, "data-host": host, rel: "noopener noreferrer nofollow", target: "_blank" }, text, el("span.host", {}, host));
}

function foreignClicked(event) {
  const anchor = event.target.closest?.("a.foreign");
  if (!anchor || (event.type === "auxclick" && event.button !== 1)) return;
  event.preventDefault();
  openForeign(anchor.getAttribute("href"));
}

document.addEventListener("click", foreignClicked);
document.addEventListener("auxclick", foreignClicked);
