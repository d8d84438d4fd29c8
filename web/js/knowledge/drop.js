// Files and folders that are dropped or chosen.

import { el } from "../dom.js";
import { onCleanup, signal } from "../reactive.js";
import { t } from "../language.js";
import { failed } from "../overlay.js";
import { uploadLimitText } from "./upload.js";

/** Files that are taken out of dropped folders at most. */
const DROP_MAX = 20000;

/** The files of a drop, also those in its folders, as `{ file, path }`. Has to be called within the event. */
export function droppedFiles(transfer) {
  // What the event holds is gone after it, so all entries are taken before anything is waited for.
  const taken = [...transfer.items].filter((item) => item.kind === "file").map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
  return readDropped(taken);
}

async function readDropped(taken) {
  const found = [];
  for (const { entry, file } of taken) {
    if (entry?.isDirectory) await readFolder(entry, found);
    else if (file) found.push({ file, path: file.name });
  }
  return found;
}

/** Files of the system, such as .DS_Store and what is in .git. */
function isHiddenPath(path) {
  return path.split("/").some((part) => part.startsWith("."));
}

async function readFolder(folder, found) {
  const reader = folder.createReader();
  for (;;) {
    // A reader gives a hundred at a time, and none at its end.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const entry of entries) {
      if (isHiddenPath(entry.name)) continue;
      if (found.length >= DROP_MAX) throw new Error(t("knowledge.drop.too_many", { count: DROP_MAX }));
      if (entry.isDirectory) await readFolder(entry, found);
      else found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path: entry.fullPath.replace(/^\//, "") });
    }
  }
}

/** Lets the user choose files, or a folder; `onfiles` gets `File`s. */
export function chooseFiles(onfiles, { isFolder = false } = {}) {
  const input = el("input", { type: "file", multiple: true, webkitdirectory: isFolder });
  input.addEventListener("change", () => input.files.length && onfiles([...input.files].filter((file) => !isHiddenPath(file.webkitRelativePath || file.name))));
  input.click();
}

function carriesFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

// A file that is dropped beside all zones must not make the browser leave the page for it.
for (const type of ["dragover", "drop"]) {
  addEventListener(type, (event) => {
    if (!carriesFiles(event) || event.defaultPrevented) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}

/**
 * Makes `node` take what is dropped on it: gives a signal that says whether something hangs over it.
 */
export function takeDrops(node, onfiles) {
  const isOver = signal(false);
  let depth = 0;
  const handlers = {
    dragenter(event) {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      depth += 1;
      isOver.set(true);
    },
    dragover(event) {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
    },
    dragleave() {
      depth = Math.max(0, depth - 1);
      if (!depth) isOver.set(false);
    },
    drop(event) {
      depth = 0;
      isOver.set(false);
      // A zone within this one has taken it already.
      if (!carriesFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      droppedFiles(event.dataTransfer).then(onfiles, failed);
    },
  };
  for (const [name, handler] of Object.entries(handlers)) node.addEventListener(name, handler);
  onCleanup(() => {
    for (const [name, handler] of Object.entries(handlers)) node.removeEventListener(name, handler);
  });
  return isOver;
}

/** A zone that says what can be dropped, with buttons for those who choose instead. */
export function dropZone(onfiles, { hint = "knowledge.drop.hint" } = {}) {
  const node = el("div.drop-zone");
  const isOver = takeDrops(node, onfiles);
  node.append(
    el("div.drop-heading", {}, el("p", {}, t("knowledge.drop.heading")), el("small.muted", {}, t(hint, { limit: uploadLimitText() }))),
    el(
      "div.row.drop-buttons",
      {},
      el("button.primary", { type: "button", onclick: () => chooseFiles(onfiles) }, t("knowledge.drop.files")),
      el("button.quiet", { type: "button", onclick: () => chooseFiles(onfiles, { isFolder: true }) }, t("knowledge.drop.folder")),
    ),
  );
  return [node, isOver];
}
