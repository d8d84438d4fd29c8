// The prompts that a person keeps, as the composer offers them and the settings list them.

import { api } from "../api.js";
import { signal } from "../reactive.js";

/** The prompts that the user sees, oldest first; empty until they are loaded. */
export const prompts = signal([]);

/** Pages of the list that are read: more prompts than anybody looks through. */
const PROMPT_PAGES = 10;

/** Reads the prompts anew. */
export async function loadPrompts() {
  const all = [];
  let cursor = null;
  for (let page = 0; page < PROMPT_PAGES; page += 1) {
    const read = await api.get("/prompts", { limit: 200, cursor });
    all.push(...read.data);
    cursor = read.next_cursor;
    if (!cursor) break;
  }
  prompts.set(all);
  return all;
}
