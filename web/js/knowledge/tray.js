// What is on its way to the server, shown on every screen of the page.

import { el, each, when } from "../dom.js";
import { icon } from "../icons.js";
import { iconButton } from "../overlay.js";
import { computed, signal } from "../reactive.js";
import { link } from "../router.js";
import { t } from "../language.js";
import { collectionName } from "./collections.js";
import { collectionPath, documentPath } from "./links.js";
import { cancelUpload, cancelUploads, clearUploads, retryUpload, uploadCounts, uploads } from "./upload.js";

/** Files that the list of the tray names at most: those that matter come first. */
const TRAY_ROWS = 40;
const trayIsOpen = signal(false);
let tray = null;

/** Shows the tray; it goes by itself when all is well. */
export function showUploadTray() {
  if (tray) return;
  tray = drawTray();
  document.body.append(tray);
}

function trayText({ total, sent, reading, failed, ready }) {
  if (sent < total) return t("knowledge.upload.sending", { sent, total });
  if (reading) return t("knowledge.upload.reading", { count: reading });
  if (failed) return t("knowledge.upload.failed", { count: failed });
  return ready ? t("knowledge.upload.done", { count: ready }) : t("knowledge.upload.state.cancelled");
}

function drawTray() {
  const isOver = computed(() => uploadCounts().sent === uploadCounts().total && !uploadCounts().reading);
  const share = computed(() => {
    const { total, waiting, sending, reading } = uploadCounts();
    // Sending is the first half of the way, reading the second.
    return total ? 1 - (waiting + sending + reading / 2) / total : 1;
  });
  // What is shown anew only when a file goes from one state to the next.
  const rows = computed(() => {
    uploadCounts();
    const order = { failed: 0, sending: 1, reading: 2, waiting: 3, cancelled: 4, ready: 5 };
    return [...uploads.peek()].sort((a, b) => order[a.state.peek()] - order[b.state.peek()] || a.id - b.id).slice(0, TRAY_ROWS);
  });
  const hide = () => {
    trayIsOpen.set(false);
    clearUploads();
  };
  let goodbye = null;
  // The list goes when something else is done; what it tells stays in its head.
  addEventListener("pointerdown", (event) => trayIsOpen.peek() && !node.contains(event.target) && trayIsOpen.set(false), true);
  const node = el(
    "section.upload-tray",
    { "aria-label": t("knowledge.upload.label"), onkeydown: (event) => event.key === "Escape" && trayIsOpen.set(false), hidden: () => !uploadCounts().total && !uploads().length },
    el(
      "div.upload-tray-head",
      {},
      el(
        "button.upload-tray-toggle",
        { type: "button", "aria-expanded": () => String(trayIsOpen()), onclick: () => trayIsOpen.update((open) => !open) },
        when(() => !isOver(), () => el("span.spinner", { "aria-hidden": "true" }), () => () => icon(uploadCounts().failed ? "warning" : "check")),
        el("span.truncate", { role: "status" }, () => trayText(uploadCounts())),
      ),
      when(isOver, () => iconButton("close", t("close"), hide)),
    ),
    el("progress", { max: "1", value: share, hidden: isOver, "aria-label": t("knowledge.upload.label") }),
    when(trayIsOpen, () => [
      el("ul.upload-rows", {}, each(rows, (item) => item.id, (item) => uploadRow(item()))),
      el("div.row.upload-tray-foot", {},
        el("small.muted.grow", {}, () => (uploadCounts().total > TRAY_ROWS ? t("knowledge.upload.more", { count: uploadCounts().total - TRAY_ROWS }) : "")),
        when(() => uploadCounts().sent < uploadCounts().total, () => el("button.text-button", { type: "button", onclick: cancelUploads }, t("knowledge.upload.cancel_all"))),
      ),
    ]),
    () => {
      clearTimeout(goodbye);
      if (isOver() && !uploadCounts().failed && !trayIsOpen()) goodbye = setTimeout(hide, 5000);
      return null;
    },
  );
  return node;
}

/** One file on its way. */
export function uploadRow(item) {
  const state = () => t(`knowledge.upload.state.${item.state()}`);
  return el(
    "li.upload-row",
    { class: () => item.state() },
    el(
      "div.grow",
      {},
      () => {
        const document = item.document();
        const name = el("span", { dir: "auto" }, item.path);
        return document ? link(documentPath({ document_id: document.id }), { class: "truncate upload-name" }, name) : el("span.truncate.upload-name", {}, name);
      },
      el(
        "small.muted",
        {},
        () => (item.isReplaced() ? `${t("knowledge.upload.replaced")} · ` : ""),
        state,
        () => (collectionName(item.collectionId) ? " · " : ""),
        link(collectionPath(item.collectionId), {}, el("span", { dir: "auto" }, () => collectionName(item.collectionId))),
      ),
      when(() => item.state() === "sending", () => el("progress", { max: "1", value: item.progress, "aria-label": item.name })),
      () => (item.error() && item.state() === "failed" ? el("p.error-text", { dir: "auto" }, item.error()) : null),
    ),
    () => {
      const now = item.state();
      if (["waiting", "sending", "reading"].includes(now)) return iconButton("close", t("knowledge.upload.cancel_one", { name: item.name }), () => cancelUpload(item));
      if (["failed", "cancelled"].includes(now) && item.file) return iconButton("refresh", t("knowledge.upload.retry_one", { name: item.name }), () => retryUpload(item));
      return null;
    },
  );
}
