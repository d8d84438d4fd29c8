// The model servers: what there is, and whether it answers.

import { el, when } from "../dom.js";
import { api, paged } from "../api.js";
import { failed, notice } from "../overlay.js";
import { formatTime } from "../format.js";
import { isAdmin, isLocal } from "../session.js";
import { signal } from "../reactive.js";
import { connectionTestView, openConnectionDialog, providerLabel } from "./connection_dialog.js";
import { actsButton, askAndDelete, badge, busyButton, modelsChanged, pagedList, putItem, settingsItem, settingsPart, takeItem } from "./parts.js";
import { isOwnerOf, reloadWorkspaces, workspaceLabel } from "./workspaces.js";
import { t } from "../language.js";

const CONNECTION_BADGES = { ok: "good", unreachable: "bad", needs_key: "warn", unknown: "" };

/** Whether the user may change a thing that is their own, a workspace's or everybody's. */
export function mayChange({ is_shared: isShared, workspace_id: workspace }) {
  if (isLocal.peek()) return true;
  return isShared ? isAdmin.peek() : !workspace || isOwnerOf(workspace);
}

function connectionActs(list, connection) {
  const { id, name } = connection.peek();
  const refresh = async () => {
    const { data } = await api.post(`/connections/${id}/models/refresh`);
    notice(t("settings.connections.refreshed", { count: data.length }));
    putItem(list.items, await api.get(`/connections/${id}`));
    modelsChanged();
  };
  const change = async () => {
    const saved = await openConnectionDialog(connection.peek());
    if (saved) putItem(list.items, saved);
  };
  const turn = async () => {
    putItem(list.items, await api.patch(`/connections/${id}`, { is_enabled: !connection.peek().is_enabled }));
    modelsChanged();
  };
  const remove = () =>
    askAndDelete({
      title: t("settings.connections.delete_title", { name }),
      text: t("settings.connections.delete_text"),
      remove: () => api.delete(`/connections/${id}`),
      then: () => (takeItem(list.items, id), modelsChanged()),
    });
  return [
    connection.peek().provider !== "builtin" && { label: t("edit"), icon: "edit", action: change },
    { label: t("settings.connections.read_models"), icon: "refresh", action: () => refresh().catch(failed) },
    { label: connection.peek().is_enabled ? t("settings.disable") : t("settings.enable"), icon: "plug", action: () => turn().catch(failed) },
    null,
    { label: t("delete"), icon: "trash", isDangerous: true, action: remove },
  ];
}

function connectionItem(list, connection) {
  const result = signal(null);
  const test = async () => {
    result.set(null);
    const { id } = connection.peek();
    result.set(await api.post(`/connections/${id}/test`));
    putItem(list.items, await api.get(`/connections/${id}`));
  };
  return settingsItem({
    title: el("strong", { dir: "auto" }, () => connection().name),
    badges: () => {
      const { status, is_enabled: isEnabled, is_shared: isShared, workspace_id: workspace } = connection();
      return [
        isEnabled ? badge(t(`settings.connections.state.${status}`), CONNECTION_BADGES[status]) : badge(t("settings.off")),
        isShared && !isLocal.peek() ? badge(t("settings.shared_badge")) : null,
        workspace ? badge(workspaceLabel(workspace)) : null,
      ];
    },
    lines: [
      () => {
        const { provider, url, has_key: hasKey, key_hint: hint } = connection();
        const kept = hint ? t("settings.connections.key_ends", { hint }) : t(hasKey ? "settings.connections.has_key" : "settings.connections.no_key");
        const key = provider === "builtin" ? null : kept;
        return [el("span", {}, [providerLabel(provider), key].filter(Boolean).join(" · ")), url ? el("div.settings-address", { dir: "ltr" }, url) : null];
      },
      () => (connection().stale_since ? t("settings.connections.stale", { time: formatTime(connection().stale_since) }) : null),
    ],
    actions: [
      busyButton(t("settings.test"), test),
      when(
        () => mayChange(connection()),
        () => actsButton(connection.peek().name, () => connectionActs(list, connection)),
      ),
    ],
    below: () => result() && connectionTestView(result()),
  });
}

export function connectionSection() {
  const list = paged("/connections");
  reloadWorkspaces();
  const add = async () => {
    const saved = await openConnectionDialog();
    if (saved) putItem(list.items, saved);
  };
  return settingsPart(
    null,
    { intro: t("settings.connections.intro"), actions: el("button.primary", { type: "button", onclick: add }, t("settings.connections.add")) },
    pagedList(list, (connection) => connectionItem(list, connection), t("settings.connections.empty")),
  );
}
