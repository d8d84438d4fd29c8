// Workspaces: what they are for, and who is in them with which role.

import { el, when } from "../dom.js";
import { api, paged } from "../api.js";
import { failed } from "../overlay.js";
import { isLocal, user } from "../session.js";
import { link, navigate } from "../router.js";
import { makeForm, openForm } from "./form.js";
import { groups, loadPeople, peopleChoices, people, personIdOf } from "./people.js";
import { askAndDelete, badge, busyButton, pagedList, putItem, resource, settingsItem, settingsPart, shown, takeItem } from "./parts.js";
import { reloadWorkspaces } from "./workspaces.js";
import { t } from "../language.js";

const ROLES = ["viewer", "editor", "owner"];
const roleOptions = () => ROLES.map((role) => [role, t(`settings.workspaces.role.${role}`)]);

/** The fields of what has a name and says what it is for. */
export function nameFields(isFirst = false) {
  return [
    { name: "name", label: t("settings.name"), isRequired: true, max: 200, isFirst },
    { name: "description", label: t("settings.description"), kind: "area", rows: 3, max: 10_000 },
  ];
}

async function addMember(id, members) {
  const choices = peopleChoices();
  const member = await openForm({
    title: t("settings.workspaces.add_member"),
    intro: choices.node,
    fields: [
      groups.peek().length > 0 && {
        name: "kind",
        label: t("settings.workspaces.who"),
        kind: "select",
        options: [
          ["user", t("settings.people.person")],
          ["group", t("settings.people.group")],
        ],
      },
      {
        name: "person",
        label: people.peek().length ? t("settings.people.email_or_id") : t("settings.people.id"),
        isRequired: true,
        list: choices.id,
        isFirst: true,
        hint: people.peek().length ? null : t("settings.people.id_hint"),
        when: (valueOf) => valueOf("kind") !== "group",
      },
      {
        name: "group",
        label: t("settings.people.group"),
        kind: "select",
        options: groups.peek().map(({ id: group, name }) => [group, name]),
        when: (valueOf) => valueOf("kind") === "group",
      },
      { name: "role", label: t("settings.role"), kind: "select", value: "editor", options: roleOptions() },
    ],
    action: t("add"),
    send: ({ kind = "user", person, group, role }) =>
      api.put(`/workspaces/${id}/members`, { id: kind === "group" ? group : personIdOf(person, "person"), kind, role }),
  });
  if (member) putItem(members.items, member);
}

/** Goes back to the list from a workspace that is there no more. */
function leaveWorkspace() {
  reloadWorkspaces();
  navigate("/settings/workspaces");
}

function memberItem(workspace, members, member) {
  const { id, name, kind } = member.peek();
  const path = `/workspaces/${workspace.peek().id}/members`;
  const isMe = id === user.peek()?.id;
  const isOwner = workspace.peek().role === "owner";
  const setRole = async (event) => {
    try {
      putItem(members.items, await api.put(path, { id, kind, role: event.target.value }));
    } catch (error) {
      event.target.value = member.peek().role;
      failed(error);
    }
  };
  const remove = () =>
    askAndDelete({
      title: isMe ? t("settings.workspaces.leave_title") : t("settings.workspaces.remove_title", { name }),
      text: isMe ? t("settings.workspaces.leave_text") : t("settings.workspaces.remove_text"),
      action: isMe ? t("settings.workspaces.leave") : t("settings.remove"),
      remove: () => api.delete(`${path}/${id}`),
      then: () => (isMe ? leaveWorkspace() : takeItem(members.items, id)),
    });
  const choice = () =>
    el(
      "select",
      { "aria-label": t("settings.workspaces.role_of", { name }), onchange: setRole },
      roleOptions().map(([key, label]) => el("option", { value: key, selected: key === member.peek().role }, label)),
    );
  return settingsItem({
    title: el("span", { dir: "auto" }, name || id),
    badges: [kind === "group" ? badge(t("settings.people.group")) : null, isMe ? badge(t("settings.people.you")) : null],
    actions: [
      isOwner ? choice() : badge(t(`settings.workspaces.role.${member.peek().role}`)),
      isOwner || isMe ? el("button.quiet", { type: "button", onclick: remove }, isMe ? t("settings.workspaces.leave") : t("settings.remove")) : null,
    ],
  });
}

function workspaceDetail(id) {
  loadPeople();
  const found = resource(() => api.get(`/workspaces/${id}`));
  return shown(found, (workspace) => {
    const isOwner = workspace.peek().role === "owner";
    const members = paged(`/workspaces/${id}/members`);
    const { name } = workspace.peek();
    const change = async (fields) => {
      workspace.set(await api.patch(`/workspaces/${id}`, fields));
      reloadWorkspaces();
    };
    const form = makeForm(nameFields(), { values: workspace.peek(), send: (values) => change(values) });
    const archive = () => change({ is_archived: !workspace.peek().is_archived });
    const remove = () =>
      askAndDelete({
        title: t("settings.connections.delete_title", { name }),
        text: t("settings.workspaces.delete_text"),
        remove: () => api.delete(`/workspaces/${id}`),
        then: leaveWorkspace,
      });
    return [
      settingsPart(
        () => workspace().name,
        {},
        isOwner
          ? [
              form.node,
              el(
                "div.row",
                {},
                form.button(t("save")),
                when(
                  () => workspace().is_archived,
                  () => busyButton(t("settings.workspaces.unarchive"), archive),
                  () => busyButton(t("settings.workspaces.archive"), archive),
                ),
                el("button.quiet.danger-text", { type: "button", onclick: remove }, t("delete")),
              ),
            ]
          : el("p", { dir: "auto" }, workspace.peek().description),
      ),
      isLocal.peek()
        ? null
        : settingsPart(
            t("settings.workspaces.members"),
            {
              intro: t("settings.workspaces.members_intro"),
              actions: isOwner ? el("button.quiet", { type: "button", onclick: () => addMember(id, members) }, t("settings.workspaces.add_member")) : null,
            },
            pagedList(members, (member) => memberItem(workspace, members, member), ""),
          ),
    ];
  });
}

function workspaceItem(workspace) {
  const { id } = workspace.peek();
  return settingsItem({
    title: link(`/settings/workspaces/${id}`, { dir: "auto", class: "settings-item-link" }, () => workspace().name),
    badges: () => [
      isLocal.peek() ? null : badge(t(`settings.workspaces.role.${workspace().role}`)),
      workspace().is_archived ? badge(t("settings.workspaces.archived")) : null,
    ],
    lines: [
      () => (workspace().description ? el("span", { dir: "auto" }, workspace().description.slice(0, 200)) : null),
      () => t("settings.workspaces.conversations", { count: workspace().conversation_count }),
    ],
  });
}

export function workspaceSection(id) {
  if (id) return workspaceDetail(id);
  const list = paged("/workspaces");
  const add = async () => {
    const made = await openForm({
      title: t("settings.workspaces.new"),
      fields: nameFields(true),
      action: t("add"),
      send: (values) => api.post("/workspaces", values),
    });
    if (!made) return;
    reloadWorkspaces();
    navigate(`/settings/workspaces/${made.id}`);
  };
  return settingsPart(
    null,
    {
      intro: isLocal.peek() ? t("settings.workspaces.intro_local") : t("settings.workspaces.intro"),
      actions: el("button.primary", { type: "button", onclick: add }, t("settings.workspaces.new")),
    },
    pagedList(list, workspaceItem, t("settings.workspaces.empty")),
  );
}
