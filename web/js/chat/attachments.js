// What goes along with a message: pictures, and files of text. Other documents go into a collection.

import { signal } from "../reactive.js";
import { formatBytes } from "../format.js";
import { t } from "../language.js";
import { quoteFile } from "./quoted_file.js";

/** A pasted text of so many characters becomes a file. */
export const LONG_PASTE = 20_000;
/** Largest file of text that is quoted in a message; the server takes 4 MB of text. */
const MAX_QUOTED = 512 * 1024;
const MAX_ATTACHMENTS = 20;
const MAX_PICTURES_BYTES = 18_000_000;
/** Longest side of a picture that is sent as it is; models see no more. */
const MAX_SIDE = 2576;
const SENT_AS_IS = /^image\/(png|jpeg|gif|webp)$/;

const readAsBase64 = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

/** A picture that models take: large ones smaller, other formats as PNG. */
async function fitPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) throw new Error(t("chat.attach.no_picture", { name: file.name }));
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  if (SENT_AS_IS.test(file.type) && file.size < 3_000_000 && (scale === 1 || file.type === "image/gif")) return { data: await readAsBase64(file), media_type: file.type };
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale))];
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const type = file.type === "image/png" && canvas.width * canvas.height < 1_500_000 ? "image/png" : "image/jpeg";
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, 0.88));
  return { data: await readAsBase64(blob), media_type: type };
}

/** The text of a file, or null where it is none. */
async function textOf(file) {
  if (file.size > MAX_QUOTED) return null;
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes.subarray(0, 65536).includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The attachments of a message that is being written: `items` is a signal of `{ id, kind: "image"|"file", name, … }`, `error` one of a
 * sentence. `add(files)` gives those that belong into a collection instead.
 */
export function attachmentList() {
  const items = signal([]);
  const error = signal(null);
  let lastId = 0;
  const put = (item) => {
    lastId += 1;
    items.update((known) => [...known, { ...item, id: lastId }]);
  };

  async function add(files) {
    error.set(null);
    const documents = [];
    for (const file of files) {
      if (!file.size) {
        error.set(t("chat.attach.empty", { name: file.name }));
        continue;
      }
      const isPicture = file.type.startsWith("image/") && file.type !== "image/svg+xml";
      // So many are a collection.
      if (items.peek().length >= MAX_ATTACHMENTS || files.length > MAX_ATTACHMENTS) {
        if (isPicture) error.set(t("chat.attach.too_many", { count: MAX_ATTACHMENTS }));
        else documents.push(file);
        continue;
      }
      try {
        if (isPicture) {
          const picture = await fitPicture(file);
          const sum = items.peek().reduce((bytes, item) => bytes + (item.data?.length ?? 0), picture.data.length);
          if (sum > MAX_PICTURES_BYTES) error.set(t("chat.attach.too_large", { size: formatBytes(MAX_PICTURES_BYTES) }));
          else put({ kind: "image", name: file.name, ...picture });
          continue;
        }
        const text = await textOf(file);
        if (text === null) documents.push(file);
        else put({ kind: "file", name: file.name, text, size: file.size });
      } catch (failure) {
        error.set(failure.message);
      }
    }
    return documents;
  }

  return {
    items,
    error,
    add,
    /** A pasted text, as a file. */
    addText: (text) => add([new File([text], t("chat.attach.pasted"), { type: "text/plain" })]),
    remove: (id) => items.update((known) => known.filter((item) => item.id !== id)),
    set: (list) => {
      items.set([]);
      list.forEach(put);
      error.set(null);
    },
  };
}

/** The content of a message: pictures and files, then what is said. */
export function contentOf(text, items) {
  const parts = items.map((item) => (item.kind === "image" ? { type: "image", data: item.data, media_type: item.media_type } : { type: "text", text: quoteFile(item.name, item.text) }));
  if (text.trim() || !parts.length) parts.push({ type: "text", text });
  return parts;
}
