// What the settings ask of the workspaces that the user is in.

import { loadWorkspaces, workspaces } from "../conversations/workspaces.js";
import { t } from "../language.js";

/** Reads them anew; where that fails, they stay as they were. */
export function reloadWorkspaces() {
  loadWorkspaces().catch(() => {});
}

/** Whether the user is an owner of a workspace. */
export function isOwnerOf(id) {
  return workspaces().some((workspace) => workspace.id === id && workspace.role === "owner");
}

/** What a workspace is called. */
export function workspaceLabel(id) {
  return workspaces().find((workspace) => workspace.id === id)?.name ?? t("settings.workspaces.one");
}
