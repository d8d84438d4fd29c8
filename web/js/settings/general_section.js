// Language, look and what new chats begin with.

import { el, freshId } from "../dom.js";
import { chooseLanguage, language, languages, t } from "../language.js";
import { chooseTheme, theme } from "../theme.js";
import { isApple } from "../keys.js";
import { models } from "../models.js";
import { chatDefaults, chooseChatDefaults, chooseSendKey, sendKey } from "./preferences.js";
import { makeForm } from "./form.js";
import { modelsChanged, settingsPart } from "./parts.js";

function preferenceRow(label, options, chosen, choose) {
  const id = freshId("preference");
  return el(
    "div.settings-row",
    {},
    el("label", { for: id }, label),
    el(
      "select",
      { id, onchange: (event) => choose(event.target.value) },
      options.map(([key, text]) => el("option", { value: key, selected: key === chosen }, text)),
    ),
  );
}

function chatDefaultsForm() {
  const known = chatDefaults.peek();
  // A model that is not there now may be there again tomorrow.
  const options = () => {
    const there = models().map(({ id, name }) => [id, name === id ? id : `${name} (${id})`]);
    const lost = known.model && !there.some(([id]) => id === known.model) ? [[known.model, known.model]] : [];
    return [["", t("settings.general.model_last")], ...there, ...lost];
  };
  const form = makeForm(
    [
      { name: "model", label: t("settings.general.model"), kind: "select", options, value: known.model ?? "" },
      { name: "system_prompt", label: t("settings.general.system_prompt"), kind: "area", rows: 4, max: 100000, hint: t("settings.general.system_prompt_hint") },
      {
        name: "temperature",
        label: t("settings.general.temperature"),
        kind: "number",
        min: 0,
        max: 2,
        step: 0.1,
        hint: t("settings.general.temperature_hint"),
      },
      { name: "max_tokens", label: t("settings.general.max_tokens"), kind: "number", min: 1, max: 10_000_000 },
    ],
    { values: known, send: async (values) => chooseChatDefaults(values) },
  );
  return [form.node, el("div.row", {}, form.button(t("save")))];
}

export function generalSection() {
  modelsChanged();
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const control = isApple ? "⌘" : "Ctrl";
  return [
    settingsPart(
      t("settings.general.look"),
      {},
      preferenceRow(
        t("settings.general.language"),
        Object.entries(languages).map(([code, texts]) => [code, texts.name]),
        language,
        chooseLanguage,
      ),
      preferenceRow(
        t("settings.general.theme"),
        ["system", "light", "dark"].map((name) => [name, t(`settings.general.theme_${name}`)]),
        theme.peek(),
        chooseTheme,
      ),
      isTouch
        ? null
        : preferenceRow(
            t("settings.general.send_key"),
            [
              ["enter", t("settings.general.send_enter")],
              ["ctrl", t("settings.general.send_ctrl", { key: control })],
            ],
            sendKey.peek(),
            chooseSendKey,
          ),
    ),
    settingsPart(t("settings.general.new_chats"), { intro: t("settings.general.new_chats_intro") }, chatDefaultsForm()),
  ];
}
