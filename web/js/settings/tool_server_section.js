// One tool server: whether it answers, who signs in, its tools and what each may do.

import { each, el, when } from "../dom.js";
import { api } from "../api.js";
import { failed, notice } from "../overlay.js";
import { formatTime } from "../format.js";
import { icon } from "../icons.js";
import { computed, signal } from "../reactive.js";
import { isAdmin } from "../session.js";
import { navigate, prefix, query, setQuery } from "../router.js";
import { openToolServerForm, toolServerBadges } from "./tool_section.js";
import { askAndDelete, badge, busyButton, resource, searchField, settingsPart, shown, switchButton } from "./parts.js";
import { mayChange } from "./connection_section.js";
import { t } from "../language.js";

const POLICIES = ["allow", "ask", "deny"];
const HINTS = ["read_only", "destructive", "idempotent", "open_world"];

function mayChangeServer(server) {
  return server.is_configured ? isAdmin.peek() : mayChange(server);
}

/** What a tool said when it was approved, where it says something else now. */
function approvedView(tool) {
  if (tool.state === "approved") return null;
  const before = tool.approved;
  return el(
    "div.callout",
    {},
    icon("warning"),
    el(
      "div.grow",
      {},
      el("p", {}, t(tool.state === "new" ? "settings.tools.is_new" : "settings.tools.is_changed")),
      before ? el("p.small", { dir: "auto" }, el("strong", {}, t("settings.tools.before")), " ", before.description ?? "") : null,
      before
        ? el(
            "details",
            {},
            el("summary.small", {}, t("settings.tools.schema_before")),
            el("pre.settings-code", {}, JSON.stringify(before.input_schema, null, 2)),
          )
        : null,
    ),
  );
}

function toolItem(server, tool, setPolicy) {
  const { name, offered_as: offered } = tool.peek();
  const choice = el(
    "select",
    {
      "aria-label": t("settings.tools.policy_of", { name }),
      value: () => tool().policy,
      ref: (node) => queueMicrotask(() => (node.value = tool.peek().policy)),
      onchange: (event) => setPolicy(name, event.target.value),
    },
    POLICIES.map((policy) => el("option", { value: policy, selected: policy === tool.peek().policy }, t(`settings.tools.policy.${policy}`))),
  );
  const approve = () => setPolicy(name, tool.peek().policy);
  return el(
    "li.settings-item",
    {},
    el(
      "div.settings-item-head",
      {},
      el(
        "div.grow",
        {},
        el(
          "div.row.settings-item-title",
          {},
          el("strong", { dir: "auto" }, () => tool().title || name),
          () => HINTS.filter((hint) => tool().hints?.[hint]).map((hint) => badge(t(`settings.tools.hint.${hint}`), hint === "destructive" ? "warn" : "")),
        ),
        el("div.small.muted.settings-line", { dir: "auto" }, () => tool().description ?? ""),
      ),
      el(
        "div.row.tight",
        {},
        when(
          () => tool().state !== "approved" && mayChangeServer(server()),
          () => busyButton(t("settings.tools.approve"), approve),
        ),
        when(
          () => mayChangeServer(server()),
          () => choice,
          () => badge(t(`settings.tools.policy_state.${tool.peek().policy}`)),
        ),
      ),
    ),
    () => approvedView(tool()),
    el(
      "details.settings-more",
      {},
      el("summary.small", {}, t("settings.tools.schema")),
      el("p.small.muted", {}, t("settings.tools.offered_as"), " ", el("code", {}, offered)),
      el("pre.settings-code", {}, () => JSON.stringify(tool().input_schema, null, 2)),
    ),
  );
}

function loginPart(server, reload) {
  const { id } = server.peek();
  const begin = async () => {
    const { location } = await api.post(`/tools/servers/${id}/login`, { return_to: `${prefix}/settings/tools/${id}` });
    window.location.assign(location);
  };
  const end = async () => {
    await api.delete(`/tools/servers/${id}/login`);
    notice(t("settings.tools.signed_out"));
    reload();
  };
  return el(
    "div.callout.info",
    {},
    icon("key"),
    el(
      "div.grow.stack",
      {},
      el("p", {}, t("settings.tools.login_text")),
      el("div.row", {}, busyButton(t("settings.tools.login"), begin), busyButton(t("settings.tools.logout"), end)),
    ),
  );
}

/** A list that a server may not have, read when somebody wants to see it. */
function lazyList(label, path, line, empty) {
  const found = signal(null);
  const open = (event) => {
    if (event.target.open && !found.peek()) found.set(resource(async () => (await api.get(path)).data));
  };
  return el(
    "details.settings-more",
    { ontoggle: open },
    el("summary", {}, label),
    () => found() && shown(found(), (data) => (data.peek().length ? el("ul.settings-list", {}, data.peek().map(line)) : el("p.muted.small", {}, empty))),
  );
}

function resourceLine({ name, uri, description }) {
  return el(
    "li.settings-item.small",
    {},
    el("strong", { dir: "auto" }, name),
    " ",
    el("code.settings-address", { dir: "ltr" }, uri),
    description ? el("div.muted", { dir: "auto" }, description) : null,
  );
}

function serverPromptLine({ name, description, arguments: wanted }) {
  const names = wanted.map(([argument, isNeeded]) => (isNeeded ? argument : `${argument}?`)).join(", ");
  return el(
    "li.settings-item.small",
    {},
    el("strong", { dir: "auto" }, name),
    names ? el("code", {}, ` ${names}`) : null,
    description ? el("div.muted", { dir: "auto" }, description) : null,
  );
}

function serverHead(found, test, result) {
  const server = found.data;
  const { id, name } = server.peek();
  const set = (detail) => server.set(detail);
  const change = async () => {
    const saved = await openToolServerForm(server.peek());
    if (saved) set(saved);
  };
  const remove = () =>
    askAndDelete({
      title: t("settings.connections.delete_title", { name }),
      text: t("settings.tools.delete_text"),
      remove: () => api.delete(`/tools/servers/${id}`),
      then: () => navigate("/settings/tools"),
    });
  const facts = () => {
    const { url, server: info, tools_fetched_at: read, stale_since: stale } = server();
    return [
      el("p.settings-address", { dir: "ltr" }, url ?? t("settings.tools.process")),
      info ? el("p.small.muted", { dir: "auto" }, `${info.name} ${info.version} · MCP ${info.protocol}`) : null,
      read ? el("p.small.muted", {}, t("settings.tools.read_at", { time: formatTime(read) })) : null,
      stale ? el("p.small.muted", {}, t("settings.connections.stale", { time: formatTime(stale) })) : null,
    ];
  };
  return settingsPart(
    () => server().name,
    {
      actions: when(
        () => mayChangeServer(server()),
        () => [
          switchButton(
            t("settings.tools.offer"),
            () => server().is_enabled,
            async (isOn) => set(await api.patch(`/tools/servers/${id}`, { is_enabled: isOn })),
          ),
        ],
      ),
    },
    el("div.row", {}, () => toolServerBadges(server())),
    facts,
    () => (server().error ? el("div.callout.error", { role: "alert" }, icon("warning"), el("p", {}, server().error)) : null),
    when(
      () => server().auth_type === "oauth",
      () => loginPart(server, found.load),
    ),
    el(
      "div.row",
      {},
      busyButton(t("settings.test"), test),
      when(
        () => mayChangeServer(server()) && !server().is_configured,
        () => [
          el("button.quiet", { type: "button", onclick: change }, t("edit")),
          el("button.quiet.danger-text", { type: "button", onclick: remove }, t("delete")),
        ],
      ),
    ),
    () =>
      result() &&
      (result().ok
        ? el("p", { role: "status" }, t("settings.tools.answered", { ms: result().latency_ms, count: result().tools.length }))
        : el("p.error-text", { role: "alert" }, result().error)),
    () =>
      server().problems.length
        ? el(
            "details.settings-more",
            {},
            el("summary", {}, t("settings.tools.problems", { count: server().problems.length })),
            el(
              "ul.small",
              {},
              server().problems.map((text) => el("li", { dir: "auto" }, text)),
            ),
          )
        : null,
  );
}

export function toolServerSection(id) {
  const found = resource(() => api.get(`/tools/servers/${id}`));
  const result = signal(null);
  const test = async () => {
    result.set(null);
    result.set(await api.post(`/tools/servers/${id}/test`));
    await found.load();
  };
  // Who just added it wants to know at once whether it answers.
  if (query.peek().get("test")) {
    setQuery("test", null);
    test().catch(failed);
  }
  return shown(found, (server) => {
    const wanted = signal("");
    const tools = computed(() =>
      server().tools.filter(({ name, title, description }) => `${name} ${title ?? ""} ${description ?? ""}`.toLowerCase().includes(wanted().toLowerCase())),
    );
    const waiting = () => server().tools.filter(({ state }) => state !== "approved");
    const setPolicy = async (name, policy) => {
      try {
        server.set(await api.put(`/tools/servers/${id}/policy`, { [name]: policy }));
      } catch (error) {
        failed(error);
        server.set({ ...server.peek() });
      }
    };
    const setAll = async (policy) => {
      // To set a policy approves a tool: what is new or changed is looked at one by one.
      const named = tools
        .peek()
        .filter(({ state }) => state === "approved")
        .map(({ name }) => [name, policy]);
      if (named.length) server.set(await api.put(`/tools/servers/${id}/policy`, Object.fromEntries(named)));
    };
    return [
      serverHead(found, test, result),
      settingsPart(
        t("settings.tools.tools"),
        { intro: t("settings.tools.tools_intro") },
        () => (waiting().length ? el("p", {}, badge(t("settings.tools.waiting", { count: waiting().length }), "warn")) : null),
        el(
          "div.row",
          {},
          searchField(t("settings.search"), wanted),
          when(
            () => mayChangeServer(server()),
            () => [
              el("span.small.muted", {}, t("settings.tools.set_all")),
              POLICIES.map((policy) => busyButton(t(`settings.tools.policy.${policy}`), () => setAll(policy))),
            ],
          ),
        ),
        el(
          "ul.settings-list",
          {},
          each(
            tools,
            (tool) => tool.name,
            (tool) => toolItem(server, tool, setPolicy),
          ),
        ),
        () => (tools().length ? null : el("p.muted", {}, t("settings.tools.none"))),
      ),
      settingsPart(
        t("settings.tools.more"),
        {},
        lazyList(t("settings.tools.resources"), `/tools/servers/${id}/resources`, resourceLine, t("settings.tools.resources_none")),
        lazyList(t("settings.tools.prompts"), `/tools/servers/${id}/prompts`, serverPromptLine, t("settings.tools.prompts_none")),
      ),
    ];
  });
}
