// The original of a document, as far as a browser shows it.

import { el } from "../dom.js";
import { t } from "../language.js";
import { contentUrl, download } from "./document_row.js";

/** What the server lets a browser show: it takes none of them for a page with scripts. */
const SHOWN_IMAGES = ["image/gif", "image/jpeg", "image/png", "image/webp"];
const SHOWN_TEXTS = ["application/json", "text/csv", "text/markdown", "text/plain"];

/** The original at `page`; where it cannot be shown, the way to save it. */
export function originalView(document, page) {
  const kind = document.media_type.replace(/;.*/, "").trim().toLowerCase();
  const title = t("knowledge.document.original_of", { name: document.name });
  const address = contentUrl(document.id);
  if (kind === "application/pdf") return el("iframe.original", { src: page ? `${address}#page=${page}` : address, title });
  if (SHOWN_IMAGES.includes(kind)) return el("img.original-image", { src: address, alt: document.name });
  if (SHOWN_TEXTS.includes(kind)) return el("iframe.original", { src: address, title });
  return el(
    "div.none-here",
    {},
    el("p.muted", {}, t("knowledge.document.cannot_show")),
    el("button.quiet", { type: "button", onclick: () => download(document) }, t("knowledge.document.download")),
  );
}
