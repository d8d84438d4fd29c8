// The workspaces that the user is in, for lists and choices.

import { api } from "../api.js";
import { signal } from "../reactive.js";
import { t } from "../language.js";

/** The workspaces that the user is in; null until they are loaded. */
export const ownWorkspaces = signal(null);

/** Reads them; where that fails, choices of a workspace are left out. */
export async function loadOwnWorkspaces() {
  const { data } = await api.get("/workspaces", { limit: 200 }).catch(() => ({ data: [] }));
  ownWorkspaces.set(data);
  return data;
}

/** Whether the user is an owner of a workspace. */
export function isOwnerOf(id) {
  return Boolean(ownWorkspaces()?.some((workspace) => workspace.id === id && workspace.role === "owner"));
}

/** What a workspace is called. */
export function workspaceLabel(id) {
  return ownWorkspaces()?.find((workspace) => workspace.id === id)?.name ?? t("settings.workspaces.one");
}
