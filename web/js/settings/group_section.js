// Groups: accounts under one name, which workspaces and budgets can be of.

import { el } from "../dom.js";
import { api, paged } from "../api.js";
import { formatDay } from "../format.js";
import { isAdmin } from "../session.js";
import { link, navigate } from "../router.js";
import { makeForm, openForm } from "./form.js";
import { loadPeople, peopleChoices, personIdOf } from "./people.js";
import { askAndDelete, pagedList, resource, settingsItem, settingsPart, shown, takeItem } from "./parts.js";
import { nameFields } from "./workspace_section.js";
import { t } from "../language.js";

async function addToGroup(id, members) {
  const choices = peopleChoices();
  const added = await openForm({
    title: t("settings.groups.add_member"),
    intro: choices.node,
    fields: [{ name: "person", label: t("settings.people.email_or_id"), isRequired: true, list: choices.id, isFirst: true }],
    action: t("add"),
    send: ({ person }) => api.put(`/groups/${id}/members/${personIdOf(person, "person")}`),
  });
  if (added) members.reset();
}

function groupMemberItem(id, members, member) {
  const { user_id: person, name, created_at: since } = member.peek();
  const remove = () =>
    askAndDelete({
      title: t("settings.groups.remove_title", { name }),
      text: t("settings.groups.remove_text"),
      action: t("settings.remove"),
      remove: () => api.delete(`/groups/${id}/members/${person}`),
      then: () => takeItem(members.items, person, "user_id"),
    });
  return settingsItem({
    title: el("span", { dir: "auto" }, name || person),
    lines: [t("settings.groups.since", { time: formatDay(since) })],
    actions: isAdmin.peek() ? el("button.quiet", { type: "button", onclick: remove }, t("settings.remove")) : null,
  });
}

function groupDetail(id) {
  loadPeople();
  const found = resource(() => api.get(`/groups/${id}`));
  return shown(found, (group) => {
    const members = paged(`/groups/${id}/members`);
    const form = makeForm(nameFields(), { values: group.peek(), send: async (values) => group.set(await api.patch(`/groups/${id}`, values)) });
    const remove = () =>
      askAndDelete({
        title: t("settings.connections.delete_title", { name: group.peek().name }),
        text: t("settings.groups.delete_text"),
        remove: () => api.delete(`/groups/${id}`),
        then: () => navigate("/settings/groups"),
      });
    return [
      settingsPart(
        () => group().name,
        {},
        isAdmin.peek()
          ? [form.node, el("div.row", {}, form.button(t("save")), el("button.quiet.danger-text", { type: "button", onclick: remove }, t("delete")))]
          : el("p", { dir: "auto" }, group.peek().description),
      ),
      settingsPart(
        t("settings.groups.members"),
        { actions: isAdmin.peek() ? el("button.quiet", { type: "button", onclick: () => addToGroup(id, members) }, t("settings.groups.add_member")) : null },
        pagedList(
          members,
          (member) => groupMemberItem(id, members, member),
          t("settings.groups.no_members"),
          (member) => member.user_id,
        ),
      ),
    ];
  });
}

export function groupSection(id) {
  if (id) return groupDetail(id);
  const list = paged("/groups");
  const add = async () => {
    const made = await openForm({ title: t("settings.groups.new"), fields: nameFields(true), action: t("add"), send: (values) => api.post("/groups", values) });
    if (made) navigate(`/settings/groups/${made.id}`);
  };
  const item = (group) =>
    settingsItem({
      title: link(`/settings/groups/${group.peek().id}`, { dir: "auto", class: "settings-item-link" }, () => group().name),
      lines: [
        () => (group().description ? el("span", { dir: "auto" }, group().description.slice(0, 200)) : null),
        () => t("settings.groups.count", { count: group().member_count }),
      ],
    });
  return settingsPart(
    null,
    { intro: t("settings.groups.intro"), actions: isAdmin.peek() ? el("button.primary", { type: "button", onclick: add }, t("settings.groups.new")) : null },
    pagedList(list, item, isAdmin.peek() ? t("settings.groups.empty") : t("settings.groups.empty_own")),
  );
}
