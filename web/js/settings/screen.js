// The settings: a list of sections, and the one that the address names.

import { el } from "../dom.js";
import { icon } from "../icons.js";
import { isAdmin, isLocal, server } from "../session.js";
import { link } from "../router.js";
import { sidebarButton, title } from "../shell.js";
import { generalSection } from "./general_section.js";
import { accountSection } from "./account_section.js";
import { connectionSection } from "./connection_section.js";
import { modelSection } from "./model_section.js";
import { promptSection } from "./prompt_section.js";
import { toolSection } from "./tool_section.js";
import { workspaceSection } from "./workspace_section.js";
import { groupSection } from "./group_section.js";
import { userSection } from "./user_section.js";
import { budgetSection } from "./budget_section.js";
import { usageSection } from "./usage_section.js";
import { auditSection } from "./audit_section.js";
import { healthSection } from "./health_section.js";
import { t } from "../language.js";

/** The sections by what they are of, each `[name, drawing, draw]`; what an account may not do is not there. */
export function settingsParts() {
  const hasAccounts = server.peek()?.sign_in === "accounts";
  const [admin, local] = [isAdmin.peek(), isLocal.peek()];
  const parts = [
    ["you", [["general", "settings", generalSection], hasAccounts && ["account", "user", accountSection]]],
    [
      "models",
      [
        ["connections", "plug", connectionSection],
        ["models", "spark", modelSection],
        ["prompts", "edit", promptSection],
        ["tools", "tool", toolSection],
      ],
    ],
    [
      "people",
      [["workspaces", "folder", workspaceSection], !local && ["groups", "people", groupSection], admin && hasAccounts && ["users", "key", userSection]],
    ],
    [
      "server",
      [
        ["usage", "cost", usageSection],
        admin && ["budgets", "lock", budgetSection],
        admin && ["audit", "book", auditSection],
        ["health", "info", healthSection],
      ],
    ],
  ];
  return parts.map(([name, sections]) => [name, sections.filter(Boolean)]);
}

function sectionList(parts, current) {
  const entry = ([name, drawing]) =>
    el(
      "li",
      {},
      link(
        `/settings/${name}`,
        { class: "settings-link", "aria-current": name === current ? "page" : null },
        icon(drawing),
        el("span", {}, t(`settings.section.${name}`)),
      ),
    );
  return el(
    "nav.settings-nav",
    { "aria-label": t("settings.title") },
    parts.map(([name, sections]) => [el("h2.settings-nav-part", {}, t(`settings.part.${name}`)), el("ul", {}, sections.map(entry))]),
  );
}

/** The screen of `/settings`, `/settings/:section` and `/settings/:section/:id`. */
export function settingsScreen({ section, id = null }) {
  const parts = settingsParts();
  const all = parts.flatMap(([, sections]) => sections);
  const current = section ?? "general";
  const found = all.find(([name]) => name === current);
  const heading = found ? t(`settings.section.${current}`) : t("settings.none_here");
  title.set(section ? `${heading} · ${t("settings.title")}` : t("settings.title"));
  const up = id ? `/settings/${current}` : "/settings";
  return el(
    "div.settings",
    { class: section ? "in-section" : "at-start" },
    el(
      "header.screen-head",
      {},
      sidebarButton(),
      link(
        up,
        {
          class: id ? "button icon-button" : "button icon-button settings-up",
          "aria-label": id ? heading : t("settings.all"),
          title: id ? heading : t("settings.all"),
        },
        icon("back"),
      ),
      el("h1", {}, section ? heading : t("settings.title")),
    ),
    el("div.settings-columns", {}, sectionList(parts, current), el("div.settings-content", {}, found ? found[2](id) : el("p.muted", {}, heading))),
  );
}
