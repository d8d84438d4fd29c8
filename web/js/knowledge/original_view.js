// The original of a document, as far as a browser shows it.

import { send } from "../api.js";
import { el } from "../dom.js";
import { onCleanup, signal } from "../reactive.js";
import { formatBytes } from "../format.js";
import { t } from "../language.js";
import { contentUrl, download } from "./document_row.js";
import { failureNote, waiting } from "./states.js";

/** What the server lets a browser show: it takes none of them for a page with scripts. */
const SHOWN_IMAGES = ["image/gif", "image/jpeg", "image/png", "image/webp"];
/** Bytes of a text that are shown at most. */
const SHOWN_BYTES = 2_000_000;

/** The original at `page`; where it cannot be shown, the way to save it. */
export function originalView(document, page) {
  const kind = document.media_type.replace(/;.*/, "").trim().toLowerCase();
  const address = contentUrl(document.id);
  if (kind === "application/pdf") return el("iframe.original", { src: page ? `${address}#page=${page}` : address, title: t("knowledge.document.original_of", { name: document.name }) });
  if (SHOWN_IMAGES.includes(kind)) return el("img.original-image", { src: address, alt: document.name });
  if (kind.startsWith("text/") || /[/+](json|xml)$/.test(kind)) return originalText(document);
  return el(
    "div.none-here",
    {},
    el("p.muted", {}, t("knowledge.document.cannot_show")),
    el("button.quiet", { type: "button", onclick: () => download(document) }, t("knowledge.document.download")),
  );
}

/** A text is drawn here: browsers save some kinds instead of showing them. */
function originalText({ id, size }) {
  const [text, error] = [signal(null), signal(null)];
  const abort = new AbortController();
  onCleanup(() => abort.abort());
  const load = async () => {
    error.set(null);
    try {
      const headers = size > SHOWN_BYTES ? { range: `bytes=0-${SHOWN_BYTES - 1}` } : {};
      const response = await send("GET", `/knowledge/documents/${id}/content`, { headers, signal: abort.signal });
      text.set(decoded(await response.arrayBuffer(), response.headers.get("content-type")));
    } catch (problem) {
      if (problem.name !== "AbortError") error.set(problem);
    }
  };
  load();
  return el(
    "div.stack",
    {},
    () => (error() ? failureNote(error(), load) : text() === null ? waiting() : el("pre.original-text", { dir: "auto", tabindex: "0" }, text())),
    size > SHOWN_BYTES ? el("p.muted.small", {}, t("knowledge.document.cut", { size: formatBytes(SHOWN_BYTES) })) : null,
  );
}

function decoded(bytes, type) {
  const charset = /charset=([\w-]+)/i.exec(type ?? "")?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    // A charset that browsers do not know.
    return new TextDecoder().decode(bytes);
  }
}
