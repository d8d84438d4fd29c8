// The account itself: name, password, sessions and API tokens.

import { el } from "../dom.js";
import { api, paged } from "../api.js";
import { isAdmin, server, signOut, user } from "../session.js";
import { formatAgo, formatDay, formatTime } from "../format.js";
import { makeForm, openForm } from "./form.js";
import { askAndDelete, badge, busyButton, copyTextButton, pagedList, putItem, settingsItem, settingsPart, showOnce, takeItem } from "./parts.js";
import { notice } from "../overlay.js";
import { t } from "../language.js";

const BROWSERS = [
  ["Edg/", "Edge"],
  ["OPR/", "Opera"],
  ["Firefox/", "Firefox"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
  ["curl/", "curl"],
  ["python", "Python"],
];
const SYSTEMS = [
  ["Android", "Android"],
  ["iPhone", "iPhone"],
  ["iPad", "iPad"],
  ["Windows", "Windows"],
  ["Mac OS", "macOS"],
  ["CrOS", "ChromeOS"],
  ["Linux", "Linux"],
];

/** What a client calls itself, in words: `Firefox, Linux`. */
function deviceName(agent) {
  if (!agent) return t("settings.account.unknown_device");
  const named = [BROWSERS, SYSTEMS].map((list) => list.find(([mark]) => agent.includes(mark))?.[1]).filter(Boolean);
  return named.join(", ") || agent.slice(0, 80);
}

function profileForm() {
  const form = makeForm([{ name: "name", label: t("settings.name"), isRequired: true, max: 200, autocomplete: "name" }], {
    values: { name: user.peek().name },
    send: async ({ name }) => server.set({ ...server.peek(), user: await api.patch("/auth/me", { name }) }),
  });
  const { email, id } = user.peek();
  return [
    form.node,
    el(
      "dl.settings-facts",
      {},
      el("dt", {}, t("settings.account.email")),
      el("dd", { dir: "auto" }, email),
      el("dt", {}, t("settings.account.id")),
      el("dd", {}, el("code", {}, id)),
    ),
    el("div.row", {}, form.button(t("save")), copyTextButton(id, t("settings.account.copy_id")), busyButton(t("settings.account.sign_out"), signOut)),
  ];
}

function passwordForm(sessions) {
  const form = makeForm(
    [
      { name: "current_password", label: t("settings.account.current_password"), kind: "password", autocomplete: "current-password", isRequired: true },
      {
        name: "new_password",
        label: t("settings.account.new_password"),
        kind: "password",
        autocomplete: "new-password",
        isRequired: true,
        hint: t("settings.account.password_hint"),
      },
    ],
    {
      send: async (values) => {
        await api.post("/auth/password", values);
        form.node.reset();
        notice(t("settings.account.password_changed"));
        sessions.reset();
      },
    },
  );
  return [form.node, el("div.row", {}, form.button(t("settings.account.change_password")))];
}

function sessionItem(sessions, session) {
  const { id, ip, user_agent: agent, is_current: isCurrent, created_at: created } = session.peek();
  return settingsItem({
    title: el("span", { dir: "auto" }, deviceName(agent)),
    badges: isCurrent ? badge(t("settings.account.this_session"), "good") : null,
    lines: [
      el("span", {}, [ip, t("settings.account.active", { time: formatAgo(session.peek().last_activity_at) })].filter(Boolean).join(" · ")),
      el("span", {}, t("settings.account.since", { time: formatTime(created) })),
    ],
    actions: isCurrent
      ? null
      : busyButton(t("settings.account.end_session"), async () => (await api.delete(`/auth/sessions/${id}`), takeItem(sessions.items, id))),
  });
}

function tokenItem(tokens, token) {
  const { id, name, prefix, scopes, expires_at: ends, last_used_at: used } = token.peek();
  const isOver = ends && new Date(ends) < Date.now();
  const remove = () =>
    askAndDelete({
      title: t("settings.account.token_delete_title", { name }),
      text: t("settings.account.token_delete_text"),
      remove: () => api.delete(`/auth/tokens/${id}`),
      then: () => takeItem(tokens.items, id),
    });
  return settingsItem({
    title: el("span", { dir: "auto" }, name),
    badges: [scopes.map((scope) => badge(t(`settings.account.scope.${scope}`))), isOver ? badge(t("settings.account.token_over"), "bad") : null],
    lines: [
      el("code", {}, `aim_${prefix}…`),
      el(
        "span",
        {},
        [
          ends ? t("settings.account.ends", { time: formatDay(ends) }) : t("settings.account.ends_never"),
          used ? t("settings.account.used", { time: formatAgo(used) }) : t("settings.account.used_never"),
        ].join(" · "),
      ),
    ],
    actions: el("button.quiet", { type: "button", onclick: remove }, t("delete")),
  });
}

async function addToken(tokens) {
  const days = (count) => new Date(Date.now() + count * 86_400_000).toISOString();
  const scopes = ["read", "write", ...(isAdmin.peek() ? ["admin"] : [])];
  const made = await openForm({
    title: t("settings.account.token_new"),
    intro: t("settings.account.token_intro"),
    fields: [
      { name: "name", label: t("settings.account.token_for"), isRequired: true, max: 200, isFirst: true },
      {
        name: "scopes",
        label: t("settings.account.scopes"),
        kind: "checks",
        value: ["read", "write"],
        options: scopes.map((scope) => [scope, t(`settings.account.scope_text.${scope}`)]),
      },
      {
        name: "ends",
        label: t("settings.account.expiry"),
        kind: "select",
        value: "90",
        options: [
          ["30", t("settings.account.days", { count: 30 })],
          ["90", t("settings.account.days", { count: 90 })],
          ["365", t("settings.account.days", { count: 365 })],
          ["at", t("settings.account.expiry_at")],
          ["", t("settings.never")],
        ],
      },
      { name: "expires_at", label: t("settings.account.expiry_moment"), kind: "time", isRequired: true, when: (valueOf) => valueOf("ends") === "at" },
    ],
    action: t("settings.account.token_make"),
    send: ({ name, scopes: chosen, ends, expires_at: moment }) =>
      api.post("/auth/tokens", { name, scopes: chosen, expires_at: ends === "at" ? moment : ends ? days(Number(ends)) : null }),
  });
  if (!made) return;
  const { token, ...listed } = made;
  putItem(tokens.items, listed);
  showOnce({ title: t("settings.account.token_made"), text: t("settings.account.token_made_text"), value: token });
}

export function accountSection() {
  const [sessions, tokens] = [paged("/auth/sessions"), paged("/auth/tokens")];
  const endOthers = async () => {
    await api.delete("/auth/sessions");
    await sessions.reset();
  };
  return [
    settingsPart(t("settings.account.profile"), {}, profileForm()),
    settingsPart(t("settings.account.password"), { intro: t("settings.account.password_intro") }, passwordForm(sessions)),
    settingsPart(
      t("settings.account.sessions"),
      { actions: () => (sessions.items().length > 1 ? busyButton(t("settings.account.end_others"), endOthers) : null) },
      pagedList(sessions, (session) => sessionItem(sessions, session), ""),
    ),
    settingsPart(
      t("settings.account.tokens"),
      {
        intro: t("settings.account.tokens_intro"),
        actions: el("button.quiet", { type: "button", onclick: () => addToken(tokens) }, t("settings.account.token_new")),
      },
      pagedList(tokens, (token) => tokenItem(tokens, token), t("settings.account.tokens_empty")),
    ),
  ];
}
