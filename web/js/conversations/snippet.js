// Places in a text, marked.

import { el } from "../dom.js";

/** How long typing rests, in milliseconds, until it is searched for. */
export const TYPING_REST = 150;

/** The nodes of `text` with `matches` marked: `[{ start, end }]`, in code points as the API counts. */
export function markedNodes(text, matches) {
  const letters = [...text];
  const nodes = [];
  let at = 0;
  for (const { start, end } of matches) {
    if (start < at) continue;
    nodes.push(letters.slice(at, start).join(""), el("mark", {}, letters.slice(start, end).join("")));
    at = end;
  }
  nodes.push(letters.slice(at).join(""));
  return nodes;
}

/** Where a found conversation is opened: at the message, where it was one. */
export function hitPath(hit) {
  return hit.message_id ? `/c/${hit.id}?m=${hit.message_id}` : `/c/${hit.id}`;
}
