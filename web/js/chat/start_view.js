// What a new chat begins with: a greeting, and what there is to ask.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { link } from "../router.js";
import { isAdmin, isLocal, user } from "../session.js";
import { areModelsLoaded, isOnlyBuiltin, models } from "../models.js";
import { t } from "../language.js";
import { addModelServer } from "./model_picker.js";

function greeting() {
  const hour = new Date().getHours();
  const time = hour < 5 ? "night" : hour < 12 ? "morning" : hour < 18 ? "day" : "evening";
  const name = isLocal() ? null : user()?.name;
  return name ? t(`chat.start.${time}_name`, { name }) : t(`chat.start.${time}`);
}

/** The words above the composer of a new chat. */
export function startHeading() {
  return el("h1.start-greeting", { dir: "auto" }, greeting());
}

/** What was found, under the composer of a new chat. */
export function startNote() {
  return when(
    () => areModelsLoaded() && isOnlyBuiltin(),
    () =>
      el(
        "div.start-note",
        { role: "note" },
        el("p", {}, t(models.peek().length ? "chat.start.no_server" : "chat.start.no_model")),
        el("p.muted.small", {}, t(isAdmin() || isLocal() ? "chat.start.no_server_hint" : "chat.start.ask_admin")),
        el(
          "div.row",
          {},
          el("button.primary", { type: "button", onclick: addModelServer }, icon("plug"), t("chat.start.add")),
          link("/knowledge", { class: "button quiet" }, icon("book"), t("chat.start.documents")),
        ),
      ),
  );
}
