// The prompts that a person keeps: texts to begin with, and instructions of workspaces.

import { el, when } from "../dom.js";
import { api } from "../api.js";
import { isAdmin, isLocal } from "../session.js";
import { openForm } from "./form.js";
import { loadPrompts, prompts } from "./prompts.js";
import { actsButton, askAndDelete, badge, putItem, resource, settingsItem, settingsList, settingsPart, shown, takeItem } from "./parts.js";
import { workspaces } from "../conversations/workspaces.js";
import { reloadWorkspaces, workspaceLabel } from "./workspaces.js";
import { mayChange } from "./connection_section.js";
import { t } from "../language.js";

async function openPromptForm(prompt = null) {
  const isNew = !prompt;
  const usable = workspaces.peek().filter(({ role }) => role !== "viewer");
  const saved = await openForm({
    title: isNew ? t("settings.prompts.new") : t("settings.prompts.change"),
    wide: true,
    values: prompt ?? {},
    fields: [
      { name: "title", label: t("settings.prompts.title"), isRequired: true, max: 200, isFirst: true },
      {
        name: "content",
        label: t("settings.prompts.content"),
        kind: "area",
        rows: 10,
        isRequired: true,
        max: 100_000,
        hint: t("settings.prompts.content_hint"),
      },
      isNew && isAdmin.peek() && !isLocal.peek() && { name: "shared", label: t("settings.shared"), kind: "check" },
      isNew &&
        usable.length > 0 && {
          name: "workspace_id",
          label: t("settings.prompts.workspace"),
          kind: "select",
          when: (valueOf) => !valueOf("shared"),
          hint: t("settings.prompts.workspace_hint"),
          options: [["", t("settings.prompts.library")], ...usable.map(({ id, name }) => [id, name])],
        },
      (prompt?.workspace_id || (isNew && usable.length > 0)) && {
        name: "is_active",
        label: t("settings.prompts.active"),
        kind: "check",
        value: true,
        when: (valueOf) => prompt?.workspace_id || valueOf("workspace_id"),
      },
    ],
    send: ({ workspace_id: workspace, ...values }) =>
      isNew ? api.post("/prompts", workspace ? { ...values, workspace_id: workspace } : values) : api.patch(`/prompts/${prompt.id}`, values),
  });
  if (saved) putItem(prompts, saved);
}

function promptItem(prompt) {
  const { id } = prompt.peek();
  const remove = () =>
    askAndDelete({
      title: t("settings.prompts.delete_title", { name: prompt.peek().title }),
      text: t("settings.prompts.delete_text"),
      remove: () => api.delete(`/prompts/${id}`),
      then: () => takeItem(prompts, id),
    });
  const acts = () => [
    { label: t("edit"), icon: "edit", action: () => openPromptForm(prompt.peek()) },
    { label: t("delete"), icon: "trash", isDangerous: true, action: remove },
  ];
  return settingsItem({
    title: el("strong", { dir: "auto" }, () => prompt().title),
    badges: () => {
      const { is_shared: isShared, workspace_id: workspace, is_active: isActive } = prompt();
      return [
        isShared ? badge(t("settings.shared_badge")) : null,
        workspace ? badge(workspaceLabel(workspace)) : null,
        workspace && !isActive ? badge(t("settings.off")) : null,
      ];
    },
    lines: [el("p.settings-excerpt", { dir: "auto" }, () => prompt().content.slice(0, 300))],
    actions: when(
      () => prompt().workspace_id || mayChange(prompt()),
      () => actsButton(prompt.peek().title, acts),
    ),
  });
}

export function promptSection() {
  reloadWorkspaces();
  const found = resource(loadPrompts);
  return settingsPart(
    null,
    { intro: t("settings.prompts.intro"), actions: el("button.primary", { type: "button", onclick: () => openPromptForm() }, t("settings.prompts.new")) },
    shown(found, () => settingsList(prompts, promptItem, t("settings.prompts.empty"))),
  );
}
