// What is typed and not sent: kept per conversation, so that a reload loses none of it.

import { user } from "../session.js";
import { keep, recall } from "../storage.js";

/** Of one account alone: others may use the browser too. */
const draftKey = (id) => `${user.peek()?.id ?? ""}.${id ?? "new"}`;

/** The draft of a conversation (null: of the next one): `{ text, items }`. */
export function recallDraft(id) {
  return { text: recall(`draft.${draftKey(id)}`, ""), items: recall(`draft_files.${draftKey(id)}`, []) };
}

/** Keeps a draft; one without anything is forgotten. The text alone is small enough for any storage. */
export function keepDraft(id, { text, items }) {
  keep(`draft.${draftKey(id)}`, text || null);
  keep(`draft_files.${draftKey(id)}`, items.length ? items : null);
}
