// The chunks of a document, read around a place: what comes before and after is read on demand.

import { api } from "../api.js";
import { computed, signal } from "../reactive.js";

/** Chunks of one request; what is looked at around a place comes with it. */
const CHUNK_WINDOW = 200;
const CHUNK_STEP = 50;

async function readChunks(id, from, limit) {
  const { data } = await api.get(`/knowledge/documents/${id}/chunks`, { from, limit });
  return data;
}

/** The chunk that `place` (`{ chunk, start, page }`) means, in a window of chunks around it. */
async function findChunk(id, count, { chunk, start, page }) {
  const isIt = (one) => (chunk ? one.id === chunk : start !== null ? one.start <= start && start < Math.max(one.end, one.start + 1) : one.page === page);
  const isAfter = start !== null ? (one) => one.start > start : page !== null ? (one) => one.page > page : null;
  let [low, high] = [0, Math.ceil(count / CHUNK_WINDOW) - 1];
  // Chunks are in order, so windows are halved; an id alone has to be looked for from the start.
  while (low <= high) {
    const at = isAfter ? (low + high) >> 1 : low;
    const window = await readChunks(id, at * CHUNK_WINDOW, CHUNK_WINDOW);
    const found = window.find(isIt) ?? (isAfter && chunk ? window.find((one) => start !== null && one.start <= start && start < one.end) : null);
    if (found) return { found, window };
    if (!window.length) break;
    if (!isAfter) low = at + 1;
    else if (isAfter(window[0])) high = at - 1;
    else low = at + 1;
  }
  return { found: null, window: [] };
}

/**
 * The chunks around a place: `chunks`, `isLoading`, `error`, `hasBefore` and `isComplete` are signals, `target` is the
 * chunk that the place means (null: none, undefined: not known yet); `before()` and `more()` read on.
 */
export function chunkList(id, count, place) {
  const list = { items: signal([]), isLoading: signal(false), error: signal(null), target: signal(undefined), isComplete: signal(false) };
  const first = signal(0);
  list.hasBefore = computed(() => list.items().length > 0 && first() > 0);
  const run = async (work) => {
    if (list.isLoading.peek()) return;
    list.isLoading.set(true);
    list.error.set(null);
    try {
      await work();
    } catch (error) {
      list.error.set(error);
    } finally {
      list.isLoading.set(false);
    }
  };
  const setEnd = () => {
    const last = list.items.peek().at(-1);
    list.isComplete.set(!last || last.index + 1 >= count);
  };
  const hasPlace = place.chunk || place.start !== null || place.page !== null;
  const open = async () => {
    const { found, window } = hasPlace ? await findChunk(id, count, place) : { found: null, window: [] };
    const from = found ? Math.max(window[0].index, found.index - 5) : 0;
    const items = found ? window.filter(({ index }) => index >= from && index < found.index + CHUNK_STEP) : await readChunks(id, 0, CHUNK_STEP);
    first.set(items[0]?.index ?? 0);
    list.items.set(items);
    setEnd();
    list.target.set(found);
  };
  list.more = () =>
    run(async () => {
      if (list.target.peek() === undefined) return open();
      if (list.isComplete.peek()) return;
      const next = await readChunks(id, list.items.peek().at(-1).index + 1, CHUNK_STEP);
      list.items.update((known) => [...known, ...next]);
      if (next.length) setEnd();
      else list.isComplete.set(true);
    });
  list.before = () =>
    run(async () => {
      const from = Math.max(0, first.peek() - CHUNK_STEP);
      const earlier = await readChunks(id, from, first.peek() - from);
      first.set(from);
      list.items.update((known) => [...earlier, ...known]);
    });
  return list;
}
