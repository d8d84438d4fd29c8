// The accounts of this server, and invites to it; for administrators.

import { el } from "../dom.js";
import { api, paged } from "../api.js";
import { failed, notice, openDialog } from "../overlay.js";
import { formatBytes, formatDay, formatNumber, formatTime } from "../format.js";
import { server, user } from "../session.js";
import { prefix } from "../router.js";
import { openForm } from "./form.js";
import { actsButton, askAndDelete, badge, pagedList, putItem, settingsItem, settingsPart, showOnce, takeItem } from "./parts.js";
import { t } from "../language.js";

const ACCOUNT_ROLES = ["user", "admin"];
const accountRoles = () => ACCOUNT_ROLES.map((role) => [role, t(`settings.users.role.${role}`)]);

/** What is gone with an account, in numbers. */
function showReceipt(name, { counts, finished_at: finished }) {
  const gone = Object.entries(counts).filter(([, count]) => count > 0);
  const label = (noun) => {
    const text = t(`settings.users.noun.${noun}`);
    return text.startsWith("settings.") ? noun.replaceAll("_", " ") : text;
  };
  return openDialog({
    title: t("settings.users.deleted", { name }),
    body: () =>
      el(
        "div.stack",
        {},
        el("p.muted", {}, t("settings.users.receipt", { time: formatTime(finished) })),
        el(
          "table.list",
          {},
          el(
            "tbody",
            {},
            gone.map(([noun, count]) =>
              el("tr", {}, el("th", { scope: "row" }, label(noun)), el("td.number", {}, noun === "bytes" ? formatBytes(count) : formatNumber(count))),
            ),
          ),
        ),
      ),
    actions: (close) => el("button.primary", { type: "button", onclick: () => close() }, t("settings.done")),
  });
}

async function deleteUser(users, account) {
  const { id, name, email } = account.peek();
  const wanted = email ?? name;
  const receipt = await openForm({
    title: t("settings.connections.delete_title", { name }),
    intro: t("settings.users.delete_text"),
    fields: [{ name: "typed", label: t("settings.users.delete_type", { text: wanted }), isRequired: true, isFirst: true }],
    action: t("settings.users.delete"),
    send: async ({ typed }) => {
      const message = t("settings.users.delete_differs");
      if (typed.toLowerCase() !== wanted.toLowerCase()) throw Object.assign(new Error(message), { fields: [{ path: "typed", message }] });
      return api.delete(`/users/${id}`);
    },
  });
  if (!receipt) return;
  takeItem(users.items, id);
  showReceipt(name, receipt);
}

/** Whether failed sign-ins keep an account out; a server that does not say so can be asked to forgive them anyhow. */
function isLocked({ locked_until: until }) {
  return until === undefined || (until !== null && new Date(until) > Date.now());
}

function userActs(users, account) {
  const { id, name, role, is_active: isActive } = account.peek();
  const isMe = id === user.peek()?.id;
  const change = async (fields) => {
    try {
      putItem(users.items, await api.patch(`/users/${id}`, fields));
    } catch (error) {
      failed(error);
    }
  };
  const rename = async () => {
    const saved = await openForm({
      title: t("settings.users.rename"),
      values: { name },
      fields: [{ name: "name", label: t("settings.name"), isRequired: true, max: 200, isFirst: true }],
      send: (values) => api.patch(`/users/${id}`, values),
    });
    if (saved) putItem(users.items, saved);
  };
  const unlock = async () => {
    try {
      await api.post(`/users/${id}/unlock`);
      if (account.peek().locked_until) putItem(users.items, { ...account.peek(), locked_until: null });
      notice(t("settings.users.unlocked"));
    } catch (error) {
      failed(error);
    }
  };
  const disable = () =>
    askAndDelete({
      title: t("settings.users.disable_title", { name }),
      text: t("settings.users.disable_text"),
      action: t("settings.users.disable"),
      remove: () => change({ is_active: false }),
    });
  return [
    { label: t("settings.users.rename"), icon: "edit", action: rename },
    !isMe && {
      label: role === "admin" ? t("settings.users.make_user") : t("settings.users.make_admin"),
      icon: "key",
      action: () => change({ role: role === "admin" ? "user" : "admin" }),
    },
    isLocked(account.peek()) && { label: t("settings.users.unlock"), icon: "lock", action: unlock },
    !isMe && {
      label: isActive ? t("settings.users.disable") : t("settings.users.enable"),
      icon: "user",
      action: () => (isActive ? disable() : change({ is_active: true })),
    },
    !isMe && null,
    !isMe && { label: t("settings.users.delete"), icon: "trash", isDangerous: true, action: () => deleteUser(users, account) },
  ];
}

function userItem(users, account) {
  const { id, email, created_at: created } = account.peek();
  return settingsItem({
    title: el("strong", { dir: "auto" }, () => account().name),
    badges: () => [
      account().role === "admin" ? badge(t("settings.users.role.admin"), "good") : null,
      account().locked_until && isLocked(account()) ? badge(t("settings.users.locked"), "warn") : null,
      account().is_active ? null : badge(t("settings.users.disabled"), "bad"),
      id === user.peek()?.id ? badge(t("settings.people.you")) : null,
    ],
    lines: [el("span", { dir: "auto" }, email ?? id), t("settings.users.since", { time: formatDay(created) })],
    actions: actsButton(account.peek().name, () => userActs(users, account)),
  });
}

async function inviteSomebody(invites) {
  const made = await openForm({
    title: t("settings.users.invite"),
    intro: t("settings.users.invite_intro"),
    fields: [
      { name: "email", label: t("settings.users.invite_email"), kind: "email", isFirst: true, hint: t("settings.users.invite_email_hint") },
      { name: "role", label: t("settings.role"), kind: "select", options: accountRoles() },
    ],
    action: t("settings.users.invite_make"),
    send: ({ email, role }) => api.post("/invites", { email: email || null, role }),
  });
  if (!made) return;
  const { token, ...listed } = made;
  putItem(invites.items, listed);
  showOnce({
    title: t("settings.users.invite_link"),
    text: t("settings.users.invite_link_text"),
    value: `${location.origin}${prefix}/sign-in?invite=${encodeURIComponent(token)}`,
  });
}

function inviteItem(invites, invite) {
  const { id, email, role, expires_at: ends } = invite.peek();
  const remove = () =>
    askAndDelete({
      title: t("settings.users.invite_delete_title"),
      text: t("settings.users.invite_delete_text"),
      remove: () => api.delete(`/invites/${id}`),
      then: () => takeItem(invites.items, id),
    });
  return settingsItem({
    title: el("span", { dir: "auto" }, email ?? t("settings.users.invite_anybody")),
    badges: badge(t(`settings.users.role.${role}`)),
    lines: [t("settings.account.ends", { time: formatDay(ends) })],
    actions: el("button.quiet", { type: "button", onclick: remove }, t("delete")),
  });
}

export function userSection() {
  const [users, invites] = [paged("/users"), paged("/invites")];
  return [
    settingsPart(
      t("settings.users.accounts"),
      { intro: t(`settings.users.registration.${server.peek().registration ?? "closed"}`) },
      pagedList(users, (account) => userItem(users, account), ""),
    ),
    settingsPart(
      t("settings.users.invites"),
      {
        intro: t("settings.users.invites_intro"),
        actions: el("button.quiet", { type: "button", onclick: () => inviteSomebody(invites) }, t("settings.users.invite")),
      },
      pagedList(invites, (invite) => inviteItem(invites, invite), t("settings.users.invites_empty")),
    ),
  ];
}
