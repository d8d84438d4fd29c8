// The tools that models may call: those built in, and those of tool servers (MCP).

import { el } from "../dom.js";
import { api, paged } from "../api.js";
import { isAdmin, isLocal } from "../session.js";
import { link, navigate } from "../router.js";
import { openForm } from "./form.js";
import { toolServerSection } from "./tool_server_section.js";
import { badge, pagedList, resource, settingsItem, settingsList, settingsPart, shown } from "./parts.js";
import { workspaces } from "../conversations/workspaces.js";
import { reloadWorkspaces, workspaceLabel } from "./workspaces.js";
import { t } from "../language.js";

const TOOL_SERVER_BADGES = { ok: "good", unreachable: "bad", needs_auth: "warn", unknown: "" };
const AUTH_TYPES = ["none", "bearer", "headers", "oauth"];

/** How a tool server does. */
export function toolServerBadges({ status, is_enabled: isEnabled, is_shared: isShared, is_configured: isConfigured, workspace_id: workspace }) {
  return [
    isEnabled ? badge(t(`settings.tools.state.${status}`), TOOL_SERVER_BADGES[status]) : badge(t("settings.off")),
    isConfigured ? badge(t("settings.tools.configured")) : isShared && !isLocal.peek() ? badge(t("settings.shared_badge")) : null,
    workspace ? badge(workspaceLabel(workspace)) : null,
  ];
}

/** The lines `Name: value` of a field as an object. */
function headersOf(text) {
  const lines = text.split("\n").filter((line) => line.trim());
  return Object.fromEntries(lines.map((line) => [line.slice(0, Math.max(0, line.indexOf(":"))).trim(), line.slice(line.indexOf(":") + 1).trim()]));
}

/** What a request says of the authorization that a form gave; nothing where nothing was typed. */
function authConfigOf(values) {
  if (values.auth_type === "bearer") return values["auth_config.token"] ? { token: values["auth_config.token"] } : undefined;
  if (values.auth_type === "headers") return values["auth_config.headers"]?.trim() ? { headers: headersOf(values["auth_config.headers"]) } : undefined;
  if (values.auth_type !== "oauth" || !values["auth_config.client_id"]) return undefined;
  const secret = values["auth_config.client_secret"];
  return { client_id: values["auth_config.client_id"], ...(secret ? { client_secret: secret } : {}) };
}

/** Asks for a tool server, or for changes of one; resolves with what was saved. */
export function openToolServerForm(known = null) {
  const of = (type) => (valueOf) => valueOf("auth_type") === type;
  const kept = known?.has_auth ? t("settings.tools.auth_kept") : null;
  const usable = workspaces.peek().filter(({ role }) => role === "owner");
  return openForm({
    title: known ? t("settings.connections.change", { name: known.name }) : t("settings.tools.add"),
    intro: known ? null : t("settings.tools.add_intro"),
    values: known ? { name: known.name, url: known.url, auth_type: known.auth_type } : {},
    fields: [
      { name: "name", label: t("settings.name"), hint: t("settings.tools.name_hint"), isRequired: true, max: 200, isFirst: true },
      { name: "url", label: t("settings.address"), kind: "url", isRequired: true, placeholder: "https://example.org/mcp", hint: t("settings.tools.url_hint") },
      { name: "auth_type", label: t("settings.tools.auth"), kind: "select", options: AUTH_TYPES.map((type) => [type, t(`settings.tools.auth_${type}`)]) },
      {
        name: "auth_config.token",
        label: t("settings.tools.token"),
        kind: "password",
        autocomplete: "new-password",
        when: of("bearer"),
        hint: kept,
        isRequired: !known?.has_auth,
      },
      {
        name: "auth_config.headers",
        label: t("settings.tools.headers"),
        kind: "area",
        rows: 3,
        placeholder: "X-Api-Key: …",
        when: of("headers"),
        hint: kept ?? t("settings.tools.headers_hint"),
        isRequired: !known?.has_auth,
      },
      { name: "auth_config.client_id", label: t("settings.tools.client_id"), when: of("oauth"), hint: t("settings.tools.client_hint") },
      { name: "auth_config.client_secret", label: t("settings.tools.client_secret"), kind: "password", autocomplete: "new-password", when: of("oauth") },
      !known && isAdmin.peek() && !isLocal.peek() && { name: "shared", label: t("settings.shared"), kind: "check", hint: t("settings.shared_hint") },
      !known &&
        !isLocal.peek() &&
        usable.length > 0 && {
          name: "workspace_id",
          label: t("settings.for_workspace"),
          kind: "select",
          when: (valueOf) => !valueOf("shared"),
          options: [["", t("settings.only_me")], ...usable.map(({ id, name }) => [id, name])],
        },
    ],
    action: known ? t("save") : t("add"),
    send: (values) => {
      const body = { name: values.name, url: values.url, auth_type: values.auth_type, auth_config: authConfigOf(values) };
      if (known) return api.patch(`/tools/servers/${known.id}`, body);
      if (values.shared) body.shared = true;
      else if (values.workspace_id) body.workspace_id = values.workspace_id;
      return api.post("/tools/servers", body);
    },
  });
}

function toolServerItem(server) {
  const { id, name } = server.peek();
  return settingsItem({
    title: link(`/settings/tools/${id}`, { dir: "auto", class: "settings-item-link" }, name),
    badges: () => toolServerBadges(server()),
    lines: [
      () => (server().url ? el("span.settings-address", { dir: "ltr" }, server().url) : t("settings.tools.process")),
      () => (server().tools_fetched_at ? t("settings.tools.count", { count: server().tool_count }) : null),
      () => (server().error ? el("span.error-text", {}, server().error) : null),
    ],
  });
}

function builtInTools() {
  const found = resource(async () => (await api.get("/tools")).data.filter((tool) => !tool.server_id));
  const item = (tool) => {
    const { title, name, description, policy } = tool.peek();
    return settingsItem({
      title: el("span", { dir: "auto" }, title || name),
      badges: badge(t(`settings.tools.policy_state.${policy}`)),
      lines: [el("span", { dir: "auto" }, description ?? "")],
    });
  };
  return shown(found, () => settingsList(found.data, item, t("settings.tools.built_in_empty"), (tool) => tool.name));
}

export function toolSection(id) {
  reloadWorkspaces();
  if (id) return toolServerSection(id);
  const servers = paged("/tools/servers");
  const add = async () => {
    const made = await openToolServerForm();
    if (made) navigate(`/settings/tools/${made.id}?test=1`);
  };
  return [
    settingsPart(
      t("settings.tools.servers"),
      { intro: t("settings.tools.servers_intro"), actions: el("button.primary", { type: "button", onclick: add }, t("settings.tools.add")) },
      pagedList(servers, toolServerItem, t("settings.tools.servers_empty")),
    ),
    settingsPart(t("settings.tools.built_in"), { intro: t("settings.tools.built_in_intro") }, builtInTools()),
  ];
}
