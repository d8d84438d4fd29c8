// The workspaces that somebody is in: groups of conversations, prompts and collections that members share.

import { computed, signal } from "../reactive.js";
import { api } from "../api.js";
import { askText, failed } from "../overlay.js";
import { chooseWorkspace, currentWorkspace } from "./list.js";
import { t } from "../language.js";

/** Those that are not put away, by name. */
export const workspaces = signal([]);

/** The one that is shown, or null. */
export const shownWorkspace = computed(() => workspaces().find((one) => one.id === currentWorkspace()) ?? null);

/** Reads them all. One that was chosen and is there no more is chosen no more. */
export async function loadWorkspaces() {
  const found = [];
  let cursor = null;
  do {
    const page = await api.get("/workspaces", { limit: 200, cursor });
    found.push(...page.data);
    cursor = page.next_cursor;
  } while (cursor);
  const chosen = currentWorkspace.peek();
  workspaces.set(found.filter((one) => !one.is_archived || one.id === chosen).sort((left, right) => left.name.localeCompare(right.name)));
  if (chosen && !found.some((one) => one.id === chosen)) chooseWorkspace(null);
}

/** Asks for a name and makes a workspace; gives it, or undefined. */
export async function createWorkspace() {
  const name = await askText({ title: t("conversations.workspace_new"), label: t("conversations.workspace_name"), action: t("add") });
  if (!name) return undefined;
  try {
    const workspace = await api.post("/workspaces", { name });
    workspaces.update((list) => [...list, workspace].sort((left, right) => left.name.localeCompare(right.name)));
    return workspace;
  } catch (error) {
    failed(error);
    return undefined;
  }
}

/** Whether who is here may only read in a workspace. */
export function isViewerOf(id) {
  return workspaces.peek().find((one) => one.id === id)?.role === "viewer";
}
