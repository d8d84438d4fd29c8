// How the server does, what is connected to it, and where its documentation is.

import { el } from "../dom.js";
import { api } from "../api.js";
import { formatTime } from "../format.js";
import { server } from "../session.js";
import { link, prefix } from "../router.js";
import { badge, busyButton, resource, settingsPart, shown } from "./parts.js";
import { t } from "../language.js";

/** The answer of a check, also where it says that something is wrong. */
async function checkOf(path) {
  try {
    return await api.get(path);
  } catch (error) {
    if (error.problem?.status && typeof error.problem.status === "string") return error.problem;
    throw error;
  }
}

function healthFact(label, value) {
  return [el("dt", {}, label), el("dd", {}, value)];
}

const DATABASES = { sqlite: "SQLite", postgres: "PostgreSQL" };

function healthFacts(data) {
  // Told to administrators alone.
  const { database, started_at: started } = server.peek();
  const { health, ready, connections, servers } = data;
  const isWell = health.status === "healthy";
  const answering = (list) => list.filter(({ status }) => status === "ok").length;
  const count = (list) => (list.length ? t("settings.health.answering", { ok: answering(list), count: list.length }) : t("settings.health.none"));
  return el(
    "dl.settings-facts",
    {},
    healthFact(t("settings.status"), [
      badge(t(isWell ? "settings.health.healthy" : "settings.health.unhealthy"), isWell ? "good" : "bad"),
      health.reason ? el("p.error-text", {}, health.reason) : null,
    ]),
    healthFact(t("settings.health.takes_work"), [
      badge(t(`settings.health.ready_${ready.status}`), ready.status === "ready" ? "good" : "warn"),
      ready.reason && ready.reason !== health.reason ? el("p.error-text", {}, ready.reason) : null,
    ]),
    healthFact(t("settings.health.database"), [
      t(health.database === "ok" ? "settings.health.database_ok" : "settings.health.database_away"),
      DATABASES[database] ? ` (${DATABASES[database]})` : "",
    ]),
    healthFact(t("settings.health.version"), health.version),
    started ? healthFact(t("settings.health.started"), formatTime(started)) : null,
    healthFact(t("settings.health.sign_in"), t(`settings.health.sign_in_${server.peek().sign_in}`)),
    healthFact(t("settings.section.connections"), link("/settings/connections", {}, count(connections))),
    healthFact(t("settings.tools.servers"), link("/settings/tools", {}, count(servers))),
  );
}

export function healthSection() {
  const enabled = async (path) => (await api.get(path, { limit: 200 })).data.filter((one) => one.is_enabled);
  const found = resource(async () => {
    const [health, ready, connections, servers] = await Promise.all([
      checkOf("/health"),
      checkOf("/ready"),
      enabled("/connections"),
      enabled("/tools/servers"),
    ]);
    return { health, ready, connections, servers };
  });
  const page = (path, label) => el("li", {}, el("a", { href: prefix + path }, label));
  return [
    settingsPart(
      null,
      {},
      shown(found, (data) => () => healthFacts(data())),
      el("div.row", {}, busyButton(t("settings.health.check"), found.load)),
    ),
    settingsPart(
      t("settings.health.for_programs"),
      { intro: t("settings.health.for_programs_intro") },
      el("ul.settings-plain", {}, page("/docs/", t("settings.health.docs")), page("/openapi.json", "OpenAPI"), page("/metrics", t("settings.health.metrics"))),
      el("p.small.muted", {}, t("settings.health.openai"), " ", el("code.settings-address", { dir: "ltr" }, `${location.origin}${prefix}/v1`)),
    ),
  ];
}
