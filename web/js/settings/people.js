// The accounts and groups that can be chosen: all of them for an administrator, for others what they are told.

import { el, freshId } from "../dom.js";
import { api } from "../api.js";
import { isAdmin, server, user } from "../session.js";
import { signal } from "../reactive.js";
import { t } from "../language.js";

/** The accounts, for those who may list them. */
export const people = signal([]);
/** The groups that the user sees. */
export const groups = signal([]);

const PEOPLE_PAGES = 10;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads accounts and groups; what an account may not see stays empty. */
export async function loadPeople() {
  if (server.peek()?.sign_in === "none") return;
  const found = await api.get("/groups", { limit: 200 }).catch(() => ({ data: [] }));
  groups.set(found.data);
  if (!isAdmin.peek() || server.peek()?.sign_in !== "accounts") return;
  const all = [];
  let cursor = null;
  for (let page = 0; page < PEOPLE_PAGES; page += 1) {
    const read = await api.get("/users", { limit: 200, cursor }).catch(() => ({ data: [], next_cursor: null }));
    all.push(...read.data);
    cursor = read.next_cursor;
    if (!cursor) break;
  }
  people.set(all);
}

/** What an account is called, or its id. */
export function personName(id) {
  if (/^[0-]+$/.test(id)) return t("settings.people.deleted");
  const found = people().find((one) => one.id === id) ?? (user()?.id === id ? user() : null);
  return found ? found.name || found.email || id : id;
}

/** The list that a field for an account offers: its `list` attribute's id, and the element to put beside it. */
export function peopleChoices() {
  const id = freshId("people");
  return { id, node: el("datalist", { id }, () => people().map(({ name, email }) => el("option", { value: email ?? "" }, name))) };
}

/** The id of the account that was typed as an address or an id; throws what a form shows at `path`. */
export function personIdOf(typed, path) {
  const wanted = typed.trim().toLowerCase();
  const found = people.peek().find(({ id, email }) => email?.toLowerCase() === wanted || id === wanted);
  if (found || ID.test(wanted)) return found?.id ?? wanted;
  const message = t(people.peek().length ? "settings.people.unknown" : "settings.people.no_id");
  throw Object.assign(new Error(message), { fields: [{ path, message }] });
}
