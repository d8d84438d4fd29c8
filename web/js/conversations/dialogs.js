// Dialogs about one conversation: its tags, its workspace.

import { el, each, freshId } from "../dom.js";
import { signal } from "../reactive.js";
import { icon } from "../icons.js";
import { failed, iconButton, openDialog } from "../overlay.js";
import { conversations } from "./list.js";
import { createWorkspace, loadWorkspaces, workspaces } from "./workspaces.js";
import { t } from "../language.js";

const MAX_TAGS = 50;

function knownTags() {
  const all = [...conversations.pinned.peek(), ...conversations.recent.peek()].flatMap((one) => one.tags ?? []);
  return [...new Set(all)].sort((left, right) => left.localeCompare(right)).slice(0, 100);
}

/** Asks for the tags of a conversation; `change(conversation, fields)` sets them. */
export async function editTags(conversation, change) {
  const tags = signal(conversation.tags ?? []);
  const list = freshId("tags");
  let input;
  const add = () => {
    const fresh = input.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    tags.update((known) => [...new Set([...known, ...fresh])].slice(0, MAX_TAGS));
    input.value = "";
  };
  const remove = (tag) => {
    tags.update((known) => known.filter((other) => other !== tag));
    input.focus();
  };
  const chosen = await openDialog({
    title: t("conversations.tags"),
    body: (close) =>
      el(
        "form.stack",
        { id: `${list}-form`, onsubmit: (event) => (event.preventDefault(), input.value.trim() ? add() : close(tags.peek())) },
        el(
          "ul.conversation-tags",
          { "aria-label": t("conversations.tags"), hidden: () => !tags().length },
          each(tags, (tag) => tag, (tag) =>
            el("li.badge", {}, el("span", { dir: "auto" }, tag()), iconButton("close", t("conversations.tag_remove", { tag: tag() }), () => remove(tag()))),
          ),
        ),
        el(
          "label.field",
          {},
          el("span", {}, t("conversations.tag_add")),
          el("input", { type: "text", list, autofocus: true, maxlength: 100, dir: "auto", autocomplete: "off", ref: (node) => (input = node) }),
          el("small", {}, t("conversations.tag_hint")),
        ),
        el("datalist", { id: list }, knownTags().map((tag) => el("option", { value: tag }))),
      ),
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close() }, t("cancel")),
      el("button.primary", { type: "button", onclick: () => (add(), close(tags.peek())) }, t("save")),
    ],
  });
  if (chosen) await change(conversation, { tags: chosen });
}

/** Asks for the workspace of a conversation; `change(conversation, fields)` moves it. */
export async function moveConversation(conversation, change) {
  await loadWorkspaces().catch(failed);
  const row = (id, name, close) =>
    el(
      "button.menu-item",
      { type: "button", "aria-pressed": String((conversation.workspace_id ?? null) === id), onclick: () => close({ id }) },
      icon(id ? "people" : "user"),
      el("span.menu-label.truncate", { dir: "auto" }, name),
      (conversation.workspace_id ?? null) === id ? icon("check") : null,
    );
  const chosen = await openDialog({
    title: t("conversations.move"),
    body: (close) => [
      el("p.muted.small", {}, t("conversations.move_hint")),
      el(
        "div.conversation-choices",
        {},
        row(null, t("conversations.workspace_none"), close),
        workspaces.peek().filter((one) => one.role !== "viewer").map((one) => row(one.id, one.name, close)),
        el(
          "button.menu-item",
          { type: "button", onclick: () => close({ isNew: true }) },
          icon("add"),
          el("span.menu-label", {}, t("conversations.workspace_new")),
        ),
      ),
    ],
  });
  if (!chosen) return;
  const id = chosen.isNew ? (await createWorkspace())?.id : chosen.id;
  if (id !== undefined && id !== (conversation.workspace_id ?? null)) await change(conversation, { workspace_id: id });
}
