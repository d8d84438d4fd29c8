// What can be done with a conversation, wherever it is shown.

import { api, send } from "../api.js";
import { beforeSignOut } from "../session.js";
import { prefix, navigate, path, query } from "../router.js";
import { keep } from "../storage.js";
import { askText, failed, notice } from "../overlay.js";
import { conversationChanged, conversationRemoved, conversations } from "./list.js";
import { isViewerOf } from "./workspaces.js";
import { editTags, moveConversation } from "./dialogs.js";
import { openShareDialog } from "./share_dialog.js";
import { exportConversation } from "./export.js";
import { t } from "../language.js";

/** Changes fields of a conversation, at once in the page and then on the server; gives what the server has, or undefined. */
export async function changeConversation(conversation, change) {
  conversationChanged({ ...conversation, ...change });
  try {
    const changed = await api.patch(`/conversations/${conversation.id}`, change);
    conversationChanged(changed);
    return changed;
  } catch (error) {
    conversationChanged(conversation);
    failed(error);
    return undefined;
  }
}

/** Asks for another title. */
export async function renameConversation(conversation) {
  const title = await askText({ title: t("conversations.rename"), label: t("conversations.title"), value: conversation.title });
  if (title && title !== conversation.title) await changeConversation(conversation, { title });
}

async function archiveConversation(conversation, isArchived) {
  const changed = await changeConversation(conversation, { is_archived: isArchived });
  if (!changed) return;
  notice(t(isArchived ? "conversations.archived_notice" : "conversations.unarchived_notice"), {
    action: t("undo"),
    onaction: () => changeConversation(changed, { is_archived: !isArchived }),
  });
}

/** Deletions that can be undone yet: what ends their notice, by id. */
const deletions = new Map();

/** Takes a conversation away. The server is told when the notice that offers to undo it has gone. */
export function deleteConversation(conversation) {
  const { id } = conversation;
  const wasAt = path.peek() === `/c/${id}` ? `/c/${id}${query.peek().size ? `?${query.peek()}` : ""}` : null;
  conversationRemoved(id);
  if (wasAt) navigate("/new");
  const restore = () => {
    deletions.delete(id);
    conversationChanged(conversation);
  };
  const finish = () => {
    deletions.delete(id);
    // What somebody else deleted meanwhile is gone as well.
    send("DELETE", `/conversations/${id}`).catch((error) => error.status !== 404 && (restore(), failed(error)));
  };
  const remove = notice(t("conversations.deleted", { title: shortTitle(conversation.title) }), {
    action: t("undo"),
    onaction: () => (restore(), wasAt && navigate(wasAt)),
    onclose: () => deletions.has(id) && finish(),
  });
  deletions.set(id, remove);
}

/** Who leaves has not undone it. */
function finishDeletions() {
  if (deletions.size) keep("deleted", [...deletions.keys()].map((id) => ({ id, at: Date.now() })));
  return Promise.all(
    [...deletions].map(([id, remove]) => {
      deletions.delete(id);
      remove();
      return fetch(`${prefix}/api/v1/conversations/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
    }),
  );
}
addEventListener("pagehide", finishDeletions);
beforeSignOut(finishDeletions);

function shortTitle(title) {
  const letters = [...title];
  return letters.length > 40 ? `${letters.slice(0, 39).join("")}…` : title;
}

/**
 * The entries of `openMenu` for a conversation. Options: `rename()` where it is renamed in place, `leaf`, the last message of the branch
 * that is shown, which is then shared and exported.
 */
export function conversationMenuItems(conversation, { rename = () => renameConversation(conversation), leaf = null } = {}) {
  const { is_pinned: isPinned, is_archived: isArchived } = conversation;
  const current = () => conversations.find(conversation.id) ?? conversation;
  const download = { label: t("conversations.export"), icon: "download", action: () => exportConversation(current(), leaf).catch(failed) };
  if (conversation.workspace_id && isViewerOf(conversation.workspace_id)) return [download];
  return [
    { label: t("conversations.rename"), icon: "edit", action: rename },
    {
      label: t(isPinned ? "conversations.unpin" : "conversations.pin"),
      icon: isPinned ? "unpin" : "pin",
      action: () => changeConversation(current(), { is_pinned: !isPinned }),
    },
    { label: t("conversations.tags"), icon: "tag", action: () => editTags(current(), changeConversation) },
    { label: t("conversations.move"), icon: "folder", action: () => moveConversation(current(), changeConversation) },
    null,
    { label: t("conversations.share"), icon: "share", action: () => openShareDialog(current(), leaf) },
    download,
    null,
    {
      label: t(isArchived ? "conversations.unarchive" : "conversations.archive"),
      icon: "archive",
      action: () => archiveConversation(current(), !isArchived),
    },
    { label: t("delete"), icon: "trash", isDangerous: true, action: () => deleteConversation(current()) },
  ];
}
