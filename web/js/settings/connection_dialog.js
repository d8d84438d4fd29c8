// Adding and changing a model server: kind, name, address and key, and whether it answers.

import { el } from "../dom.js";
import { api } from "../api.js";
import { icon } from "../icons.js";
import { isAdmin, isLocal } from "../session.js";
import { openDialog } from "../overlay.js";
import { workspaces } from "../conversations/workspaces.js";
import { effect, signal } from "../reactive.js";
import { makeForm } from "./form.js";
import { modelsChanged } from "./parts.js";
import { t } from "../language.js";

const CONNECTION_URLS = { openai: "https://api.openai.com/v1", ollama: "http://127.0.0.1:11434", openrouter: "https://openrouter.ai/api/v1" };
const CONNECTION_NUMBERS = [
  ["context_window", 1, 100_000_000],
  ["retries", 0, 10],
  ["connect_timeout_ms", 1, 86_400_000],
  ["first_byte_timeout_ms", 1, 86_400_000],
  ["idle_timeout_ms", 1, 86_400_000],
];
const CONNECTION_TEXTS = ["organization", "proxy", "keep_alive", "tools_by_prompt"];

/** What a kind of model server is called. */
export function providerLabel(provider) {
  const label = t(`settings.connections.provider.${provider}`);
  return label.startsWith("settings.") ? provider : label;
}

function connectionFields(connection, owned) {
  const isNew = !connection;
  return [
    isNew && {
      name: "provider",
      label: t("settings.connections.kind"),
      kind: "select",
      isFirst: true,
      options: Object.keys(CONNECTION_URLS).map((provider) => [provider, providerLabel(provider)]),
    },
    { name: "name", label: t("settings.name"), hint: t("settings.connections.name_hint"), isRequired: true, max: 200, isFirst: !isNew },
    {
      name: "url",
      label: t("settings.address"),
      kind: "url",
      placeholder: isNew ? "https://" : CONNECTION_URLS[connection.provider],
      hint: t("settings.connections.url_hint"),
      isRequired: !isNew && Boolean(connection.url),
    },
    {
      name: "api_key",
      label: t("settings.connections.key"),
      kind: "password",
      autocomplete: "new-password",
      placeholder: connection?.has_key ? t("settings.connections.key_kept", { hint: connection.key_hint ?? "" }) : "",
      hint: t("settings.connections.key_hint"),
      when: (valueOf) => !valueOf("remove_key"),
    },
    connection?.has_key && { name: "remove_key", label: t("settings.connections.remove_key"), kind: "check" },
    isNew && !isLocal.peek() && isAdmin.peek() && { name: "shared", label: t("settings.shared"), kind: "check", hint: t("settings.shared_hint") },
    isNew &&
      !isLocal.peek() &&
      owned.length > 0 && {
        name: "workspace_id",
        label: t("settings.for_workspace"),
        kind: "select",
        when: (valueOf) => !valueOf("shared"),
        options: [["", t("settings.only_me")], ...owned.map(({ id, name }) => [id, name])],
      },
    ...CONNECTION_NUMBERS.map(([name, min, max]) => ({
      name: `settings.${name}`,
      label: t(`settings.connections.${name}`),
      kind: "number",
      min,
      max,
      isMore: true,
    })),
    ...CONNECTION_TEXTS.map((name) => ({ name: `settings.${name}`, label: t(`settings.connections.${name}`), isMore: true })),
  ];
}

function connectionValues(connection) {
  if (!connection) return { name: "openai", url: "" };
  const fine = Object.entries(connection.settings).map(([name, value]) => [`settings.${name}`, Array.isArray(value) ? value.join(", ") : value]);
  return { name: connection.name, url: connection.url ?? "", ...Object.fromEntries(fine) };
}

/** The body of the request: what was left empty is not sent, so that it stays as it is or takes its default. */
function connectionBody(values, known) {
  const settings = { ...known?.settings };
  for (const [path, value] of Object.entries(values)) {
    if (!path.startsWith("settings.")) continue;
    const name = path.slice(9);
    const given =
      name === "tools_by_prompt"
        ? value
            .split(",")
            .map((model) => model.trim())
            .filter(Boolean)
        : value;
    if (given === null || given === "" || given.length === 0) delete settings[name];
    else settings[name] = given;
  }
  const body = { name: values.name, settings };
  if (values.provider && !known) body.provider = values.provider;
  if (values.url && values.url !== known?.url) body.url = values.url;
  if (values.remove_key) body.api_key = "";
  else if (values.api_key) body.api_key = values.api_key;
  if (values.shared) body.shared = true;
  else if (values.workspace_id) body.workspace_id = values.workspace_id;
  return body;
}

/** What a test of a model server found. */
export function connectionTestView(result) {
  if (!result.ok)
    return el(
      "div.callout.error",
      { role: "alert" },
      icon("warning"),
      el("div", {}, el("p", {}, result.error), el("p.small.muted", {}, t("settings.connections.test_failed_hint"))),
    );
  const shown = result.models.slice(0, 12);
  return el(
    "div.callout.info",
    { role: "status" },
    icon("check"),
    el(
      "div.grow",
      {},
      el("p", {}, t("settings.connections.answered", { ms: result.latency_ms, count: result.models.length })),
      el("p.small.muted", { dir: "auto" }, shown.join(", "), result.models.length > shown.length ? "…" : ""),
      result.models.length ? null : el("p.small.muted", {}, t("settings.connections.no_models")),
    ),
  );
}

/** Asks for a model server, or for changes of one, and tests it. Resolves with what was saved, `undefined` where nothing was. */
export async function openConnectionDialog(connection = null) {
  let saved;
  let form;
  let place;
  const result = signal(null);
  const known = () => saved ?? connection;
  const owned = connection ? [] : workspaces.peek().filter(({ role }) => role === "owner");
  const send = async (values) => {
    result.set(null);
    let before = known();
    // Another kind is another connection.
    if (saved && values.provider && values.provider !== saved.provider) {
      await api.delete(`/connections/${saved.id}`);
      before = saved = null;
    }
    saved = before
      ? await api.patch(`/connections/${before.id}`, connectionBody(values, before))
      : await api.post("/connections", connectionBody(values, null));
    result.set(await api.post(`/connections/${saved.id}/test`));
    modelsChanged();
  };
  await openDialog({
    title: connection ? t("settings.connections.change", { name: connection.name }) : t("settings.connections.add"),
    body: () => {
      form = makeForm(connectionFields(connection, owned), { values: connectionValues(connection), send, saysSaved: false });
      if (!connection) followKind(form);
      return el(
        "div.stack",
        {},
        form.node,
        el("div", { ref: (node) => (place = node) }, () => result() && connectionTestView(result())),
      );
    },
    actions: (close) => {
      const leave = (kind, label, isHidden) => el(`button.${kind}`, { type: "button", hidden: isHidden, onclick: () => close() }, label);
      const done = leave("primary", t("settings.done"), () => !result()?.ok);
      const save = form.button(() => (known() ? t("settings.connections.save_and_test") : t("settings.connections.add_and_test")));
      effect(() => {
        save.hidden = Boolean(result()?.ok);
        if (result()) queueMicrotask(() => place.scrollIntoView({ block: "nearest" }));
        if (result()?.ok) queueMicrotask(() => done.focus());
      });
      // What is changed after a test is to be saved and tested again.
      form.node.addEventListener("input", () => result.set(null));
      return [leave("quiet", t("cancel"), () => Boolean(result())), leave("quiet", t("settings.connections.keep"), () => !result() || result().ok), done, save];
    },
  });
  if (saved) saved = await api.get(`/connections/${saved.id}`).catch(() => saved);
  return saved;
}

/** The name and the address that a kind of server usually has, as long as nobody typed others. */
function followKind(form) {
  const field = (name) => form.node.elements[name];
  field("provider").addEventListener("change", () => {
    const provider = field("provider").value;
    if (!field("name").value || CONNECTION_URLS[field("name").value]) field("name").value = provider;
    field("url").placeholder = CONNECTION_URLS[provider];
    field("name").dispatchEvent(new Event("input"));
  });
  field("url").placeholder = CONNECTION_URLS.openai;
}
