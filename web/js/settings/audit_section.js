// What happened that matters for security; for administrators.

import { each, el } from "../dom.js";
import { paged } from "../api.js";
import { formatTime } from "../format.js";
import { navigate, query } from "../router.js";
import { loadPeople, people, peopleChoices, personIdOf, personName } from "./people.js";
import { makeForm } from "./form.js";
import { pagedFoot, settingsPart } from "./parts.js";
import { t } from "../language.js";

const ACTIONS = (
  "user.login user.login_failed user.locked user.unlocked session.ended session.refresh_reused user.identity_linked user.created user.password_changed user.role_changed " +
  "user.disabled user.enabled user.deleted user.adopted token.created token.revoked invite.created invite.deleted connection.key_set connection.key_removed connection.created " +
  "connection.deleted tool_server.created tool_server.changed tool_server.deleted tool_server.login tool.policy_changed tool.approved keys.rotated workspace.member_set " +
  "workspace.member_removed workspace.deleted group.changed share.created share.revoked budget.set budget.deleted price.set price.deleted"
).split(" ");

/** What an action is called; one of an application's own keeps its name. */
function actionText(action) {
  const text = t(`settings.audit.action.${action.replaceAll(".", "_")}`);
  return text.startsWith("settings.") ? action : text;
}

function auditItem(record) {
  const { sequence, action, actor_id: actor, target, detail, hash, created_at: time } = record.peek();
  const { request_id: request, ...known } = detail ?? {};
  const facts = Object.entries(known)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const line = () =>
    [
      formatTime(time),
      actor ? personName(actor) : t("settings.audit.operator"),
      target ? `${target.kind.replaceAll("_", " ")} ${target.kind === "user" ? personName(target.id) : ""}` : null,
    ]
      .filter(Boolean)
      .join(" · ");
  return el(
    "li.settings-item",
    {},
    el("div.row.settings-item-title", {}, el("strong", {}, actionText(action)), el("code.small.muted", {}, action)),
    el("div.small.muted", { dir: "auto" }, line),
    facts.length ? el("div.small.settings-line", { dir: "auto" }, facts.join(" · ")) : null,
    el(
      "details.small",
      {},
      el("summary.muted", {}, t("settings.audit.number", { number: sequence })),
      el(
        "dl.settings-facts",
        {},
        target ? [el("dt", {}, t("settings.audit.target")), el("dd", {}, el("code", {}, `${target.kind} ${target.id}`))] : null,
        request ? [el("dt", {}, t("settings.audit.request")), el("dd", {}, el("code", {}, request))] : null,
        el("dt", {}, t("settings.audit.hash")),
        el("dd", {}, el("code", {}, hash)),
      ),
    ),
  );
}

function auditFilters(parameters) {
  const choices = peopleChoices();
  const actor = parameters.get("actor");
  const known = people.peek().find(({ id }) => id === actor)?.email ?? actor ?? "";
  const form = makeForm(
    [
      {
        name: "action",
        label: t("settings.audit.what"),
        kind: "select",
        value: parameters.get("action") ?? "",
        options: [["", t("settings.all_of_them")], ...ACTIONS.map((action) => [action, actionText(action)])],
      },
      { name: "actor", label: t("settings.audit.who"), value: known, list: choices.id },
      { name: "from", label: t("settings.usage.from"), kind: "day", value: parameters.get("from") ?? "" },
      { name: "to", label: t("settings.usage.to"), kind: "day", value: parameters.get("to") ?? "" },
    ],
    {
      send: async (values) => {
        const wanted = { ...values, actor: values.actor ? personIdOf(values.actor, "actor") : "" };
        const next = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
        navigate(`/settings/audit${next.size ? `?${next}` : ""}`);
      },
    },
  );
  form.node.classList.add("settings-filters");
  const [first] = form.node.querySelectorAll("input");
  first.after(choices.node);
  form.node.append(form.button(t("settings.audit.filter")));
  return form.node;
}

/** The moment of a day of the reader's, `days` later. */
function momentOf(day, days) {
  if (!/^\d{4}-\d\d-\d\d$/.test(day ?? "")) return null;
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + days);
  return date.toISOString();
}

export function auditSection() {
  loadPeople();
  return settingsPart(null, { intro: t("settings.audit.intro") }, () => {
    const parameters = query();
    const list = paged("/audit", () => ({
      action: parameters.get("action"),
      actor_id: parameters.get("actor"),
      from: momentOf(parameters.get("from"), 0),
      to: momentOf(parameters.get("to"), 1),
    }));
    list.more();
    return [
      auditFilters(parameters),
      el(
        "ul.settings-list",
        {},
        each(list.items, (record) => record.sequence, auditItem),
      ),
      () => (list.isComplete() && !list.items().length ? el("p.muted.settings-empty", {}, t("settings.audit.empty")) : null),
      pagedFoot(list),
    ];
  });
}
