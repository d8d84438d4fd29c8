// Files on their way to the server: a few at once, whatever screen is shown.

import { ApiError, api, isSignedOut, upload } from "../api.js";
import { batch, signal } from "../reactive.js";
import { formatBytes, formatNumber } from "../format.js";
import { server } from "../session.js";
import { t } from "../language.js";
import { failureAdvice } from "./states.js";
import { isUnderWay, watchDocument } from "./watch.js";
import { showUploadTray } from "./tray.js";

/** Files that are sent at the same time. */
const UPLOAD_LANES = 3;
/** What a server takes at most of one file that does not tell. */
const UPLOAD_MAX = 1024 ** 3;
/** Tries of a file while the server is busy or away. */
const UPLOAD_TRIES = 6;

/**
 * All files of this tab, oldest first. Each has `id, collectionId, name, path, size`, and the signals `state`
 * (`waiting, sending, reading, ready, failed, cancelled`), `progress` (of sending, 0 to 1), `error` (a sentence) and `document`.
 */
export const uploads = signal([]);
/** Counts by state, for what shows them all: changed at most a few times a second. */
export const uploadCounts = signal({ waiting: 0, sending: 0, reading: 0, ready: 0, failed: 0, cancelled: 0, total: 0, sent: 0 });

let uploadLanesBusy = 0;
let lastUpload = 0;
let uploadsResumeAt = 0;
let uploadCountTimer = null;

/**
 * Sends files to a collection. `files`: `File`s, or `{ file, path }` where the path in a dropped folder is known.
 * Resolves with the documents that the server has taken, when all are sent or have failed.
 */
export function uploadFiles(collectionId, files) {
  const items = [...files].map((one) => (one instanceof File ? { file: one, path: one.webkitRelativePath || one.name } : one)).map(({ file, path }) => newUpload(collectionId, file, path));
  if (!items.length) return Promise.resolve([]);
  uploads.update((known) => [...known, ...items]);
  showUploadTray();
  recountUploads();
  for (let lane = uploadLanesBusy; lane < UPLOAD_LANES; lane += 1) runUploadLane();
  return Promise.all(items.map((item) => item.settled)).then(() => items.map((item) => item.document.peek()).filter(Boolean));
}

function newUpload(collectionId, file, path) {
  lastUpload += 1;
  const item = { id: lastUpload, collectionId, file, path, name: file.name, size: file.size };
  Object.assign(item, { state: signal("waiting"), progress: signal(0), error: signal(null), document: signal(null), isReplaced: signal(false) });
  item.settled = new Promise((resolve) => (item.settle = resolve));
  return item;
}

async function runUploadLane() {
  uploadLanesBusy += 1;
  try {
    let item;
    while ((item = uploads.peek().find((one) => one.state.peek() === "waiting"))) await sendUpload(item);
  } finally {
    uploadLanesBusy -= 1;
    recountUploads();
  }
}

function setUpload(item, state, error = null) {
  batch(() => {
    item.state.set(state);
    item.error.set(error);
  });
  if (state !== "waiting" && state !== "sending") item.settle();
  recountUploads();
}

async function sendUpload(item) {
  const refusal = uploadRefusal(item);
  if (refusal) return setUpload(item, "failed", refusal);
  item.abort = new AbortController();
  item.progress.set(0);
  setUpload(item, "sending");
  try {
    const document = await sendWithPatience(item);
    const isOld = new Date(document.updated_at) - new Date(document.created_at) > 1000;
    item.isReplaced.set(isOld && document.status === "pending");
    uploadTaken(item, document);
  } catch (error) {
    if (error.name === "AbortError") setUpload(item, "cancelled");
    else setUpload(item, "failed", (await isFileReadable(item.file)) ? error.message : t("knowledge.upload.unreadable"));
  }
}

function uploadLimit() {
  return server.peek()?.limits?.document_bytes ?? UPLOAD_MAX;
}

/** The largest file that the server takes, such as `1 GiB`. */
export function uploadLimitText() {
  const mebibytes = uploadLimit() / 1024 ** 2;
  const number = (value) => formatNumber(value, { maximumFractionDigits: 1 });
  return mebibytes < 1024 ? `${number(mebibytes)} MiB` : `${number(mebibytes / 1024)} GiB`;
}

/** Why a file is not sent at all. */
function uploadRefusal({ size }) {
  if (size > uploadLimit()) return t("knowledge.upload.too_large", { size: formatBytes(size), limit: uploadLimitText() });
  if (size === 0) return t("knowledge.upload.empty");
  return null;
}

async function isFileReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

async function sendWithPatience(item) {
  const { signal: abort } = item.abort;
  for (let attempt = 1; ; attempt += 1) {
    // What the server asks of one file is meant for all; and nobody is signed in meanwhile.
    while (Date.now() < uploadsResumeAt || isSignedOut.peek()) await uploadPause(Math.max(500, uploadsResumeAt - Date.now()), abort);
    try {
      const form = new FormData();
      // A collection has one document of a source: a file that is sent again replaces itself.
      form.append("source", item.path);
      form.append("file", item.file, item.name);
      const onProgress = (share) => item.progress.set(share);
      return await upload(`/knowledge/collections/${item.collectionId}/documents`, form, { onProgress, signal: abort });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const isAway = error.status === 503 || (error.code === "offline" && (await isFileReadable(item.file)));
      if (error.status === 429 || (isAway && attempt < UPLOAD_TRIES)) uploadsResumeAt = Date.now() + Math.min(60, error.retryAfter ?? 2 ** attempt) * 1000;
      else if (error.status !== 401 || !isSignedOut.peek()) throw error;
    }
  }
}

function uploadPause(milliseconds, abort) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    abort.addEventListener("abort", () => (clearTimeout(timer), reject(new DOMException("aborted", "AbortError"))));
  });
}

/** Follows the document that came of a file until it is read. */
function uploadTaken(item, document) {
  // The bytes are the server's now.
  item.file = null;
  const follow = (now) => {
    if (!now) return setUpload(item, "cancelled");
    item.document.set(now);
    setUpload(item, isUnderWay(now) ? "reading" : now.status, now.status === "failed" ? failureAdvice(now) : null);
  };
  follow(document);
  for (const listener of uploadListeners) listener(document);
  if (isUnderWay(document)) watchDocument(document, follow);
}

const uploadListeners = new Set();
/** Calls `listener(document)` for every document that a file of this tab has become. Gives what ends it. */
export function onUploaded(listener) {
  uploadListeners.add(listener);
  return () => uploadListeners.delete(listener);
}

/** Stops sending a file, or reading its document. */
export function cancelUpload(item) {
  const state = item.state.peek();
  if (state === "sending") item.abort.abort();
  else if (state === "waiting") setUpload(item, "cancelled");
  else if (state === "reading") api.post(`/knowledge/documents/${item.document.peek().id}/cancel`).catch(() => {});
}

/** Stops all that is not sent yet. */
export function cancelUploads() {
  for (const item of uploads.peek()) if (["waiting", "sending"].includes(item.state.peek())) cancelUpload(item);
}

/** Sends a file again that could not be sent. */
export function retryUpload(item) {
  if (!item.file) return;
  setUpload(item, "waiting");
  if (uploadLanesBusy < UPLOAD_LANES) runUploadLane();
}

/** Forgets the files that are through. */
export function clearUploads() {
  uploads.update((known) => known.filter((item) => ["waiting", "sending", "reading"].includes(item.state.peek())));
  recountUploads();
}

function recountUploads() {
  uploadCountTimer ??= setTimeout(() => {
    uploadCountTimer = null;
    const counts = { waiting: 0, sending: 0, reading: 0, ready: 0, failed: 0, cancelled: 0, total: 0, sent: 0 };
    for (const item of uploads.peek()) {
      counts[item.state.peek()] += 1;
      counts.total += 1;
    }
    counts.sent = counts.total - counts.waiting - counts.sending;
    uploadCounts.set(counts);
  }, 100);
}

addEventListener("beforeunload", (event) => {
  if (uploadLanesBusy) event.preventDefault();
});
