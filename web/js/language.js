// What the page says, in the reader's language.

import { en } from "./language/en.js";
import { de } from "./language/de.js";
import { keep, recall } from "./storage.js";

/** The languages there are, by their codes. */
export const languages = { en, de };

/** The code of the language in use: chosen, else the browser's, else English. */
export const language = recall("language") ?? navigator.languages.map((code) => code.slice(0, 2)).find((code) => languages[code]) ?? "en";
document.documentElement.lang = language;
let plurals = null;

/** Chooses another language; the page is loaded anew. */
export function chooseLanguage(code) {
  keep("language", code);
  location.reload();
}

/**
 * The text under `key` (`"chat.send"`) with `{name}`s filled in. A text with several
 * forms (`{ one: "…", other: "…" }`) takes that of `values.count`.
 */
export function t(key, values = {}) {
  let text = find(languages[language], key) ?? find(en, key) ?? key;
  if (typeof text === "object") {
    plurals ??= new Intl.PluralRules(language);
    text = text[plurals.select(values.count)] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? value.toLocaleString(language) : value;
  });
}

function find(texts, key) {
  return key.split(".").reduce((found, part) => found?.[part], texts);
}
