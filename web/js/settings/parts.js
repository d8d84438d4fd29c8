// What the sections of the settings are made of.

import { el, each } from "../dom.js";
import { computed, signal } from "../reactive.js";
import { confirmDialog, failed, iconButton, openDialog, openMenu } from "../overlay.js";
import { loadModels } from "../models.js";
import { copyText } from "../chat/clipboard.js";
import { t } from "../language.js";

/** A wheel that is not seen while what it stands for comes at once. */
export function lateSpinner() {
  return el("p.settings-loading", { role: "status" }, el("span.spinner"), el("span.visually-hidden", {}, t("loading")));
}

function retryLine(error, again) {
  return el("p.row", { role: "alert" }, el("span.error-text", {}, error.message), el("button.quiet", { type: "button", onclick: again }, t("retry")));
}

/** What `read()` gives: `data` and `error` are signals; `load()` reads it, and again. */
export function resource(read) {
  const found = { data: signal(null), error: signal(null) };
  found.load = async () => {
    found.error.set(null);
    try {
      found.data.set(await read());
    } catch (error) {
      found.error.set(error);
    }
  };
  found.load();
  return found;
}

/** Draws what a resource has once it is there; `draw` gets its signal and is not called again when it changes. */
export function shown(found, draw) {
  const phase = computed(() => (found.data() !== null ? "there" : found.error() ? "failed" : "coming"));
  return () => (phase() === "there" ? draw(found.data) : phase() === "failed" ? retryLine(found.error.peek(), found.load) : lateSpinner());
}

/** A part of a section under a heading of its own; without one, what it is for stands in the heading's place. */
export function settingsPart(heading, { intro = null, actions = null } = {}, ...children) {
  const said = intro ? el("p.muted", {}, intro) : null;
  return el(
    "section.settings-part",
    { "aria-label": heading },
    heading || actions ? el("div.settings-part-head", {}, heading ? el("h2", {}, heading) : el("div.grow", {}, said), actions) : said,
    heading ? said : null,
    children,
  );
}

/** One thing of a list: its title, what there is to know, and what can be done. */
export function settingsItem({ title, badges = null, lines = [], actions = null, below = null }) {
  return el(
    "li.settings-item",
    {},
    el(
      "div.settings-item-head",
      {},
      el(
        "div.grow",
        {},
        el("div.row.settings-item-title", {}, title, badges),
        lines.filter(Boolean).map((line) => el("div.small.muted.settings-line", {}, line)),
      ),
      el("div.row.tight.settings-item-actions", {}, actions),
    ),
    below,
  );
}

/** A list of items out of a signal; `empty` is what is said when there are none. */
export function settingsList(items, draw, empty, key = (item) => item.id) {
  return [el("ul.settings-list", {}, each(items, key, draw)), () => (items()?.length === 0 ? el("p.muted.settings-empty", {}, empty) : null)];
}

/** A list that is read page by page (`paged`), with the button that reads on. */
export function pagedList(list, draw, empty, key) {
  if (!list.items.peek().length) list.more();
  const isEmpty = () => list.isComplete() && !list.items().length;
  return [
    el("ul.settings-list", {}, each(list.items, key ?? ((item) => item.id), draw)),
    () => (isEmpty() ? el("p.muted.settings-empty", {}, empty) : null),
    pagedFoot(list),
  ];
}

/** What stands below a paged list: that more comes, that it failed, or how to read on. */
export function pagedFoot(list) {
  return () => {
    if (list.error()) return retryLine(list.error(), list.more);
    if (list.isLoading()) return lateSpinner();
    return list.items().length && !list.isComplete() ? el("button.quiet", { type: "button", onclick: list.more }, t("settings.show_more")) : null;
  };
}

/** A button that waits for `work()` and tells of its failure. */
export function busyButton(label, work, { kind = "quiet", ...props } = {}) {
  const isBusy = signal(false);
  const run = async () => {
    if (isBusy.peek()) return;
    isBusy.set(true);
    await Promise.resolve(work()).catch(failed);
    isBusy.set(false);
  };
  return el(
    `button.${kind}`,
    { type: "button", onclick: run, "aria-busy": () => (isBusy() ? "true" : null), ...props },
    () => (isBusy() ? el("span.spinner") : null),
    label,
  );
}

/** A switch; `change(isOn)` may fail, then it stays as it was. */
export function switchButton(label, isOn, change) {
  const isBusy = signal(false);
  const flip = async () => {
    if (isBusy.peek()) return;
    isBusy.set(true);
    await Promise.resolve(change(!isOn())).catch(failed);
    isBusy.set(false);
  };
  return el(
    "button.settings-switch",
    { type: "button", role: "switch", "aria-label": label, title: label, "aria-checked": () => String(isOn()), onclick: flip },
    el("span"),
  );
}

/** The button that opens a menu of acts on a thing. */
export function actsButton(name, items) {
  return iconButton("more", t("settings.acts_on", { name }), (event) => openMenu(event.currentTarget, items()), {
    "aria-haspopup": "menu",
    "aria-expanded": "false",
  });
}

/** Asks, then deletes: `remove()` does it, and `then()` follows. */
export async function askAndDelete({ title, text, action = t("delete"), remove, then = () => {} }) {
  if (!(await confirmDialog({ title, text, action, isDangerous: true }))) return;
  try {
    then(await remove());
  } catch (error) {
    failed(error);
  }
}

/** A button that copies a text and says so. */
export function copyTextButton(text, label = t("copy"), kind = "quiet") {
  const isCopied = signal(false);
  const copy = async () => {
    await copyText(text);
    isCopied.set(true);
    setTimeout(() => isCopied.set(false), 2000);
  };
  return el(
    `button.${kind}`,
    { type: "button", onclick: copy },
    el("span", { "aria-live": "polite" }, () => (isCopied() ? t("copied") : label)),
  );
}

/** Shows a text that is shown once, to be copied. */
export function showOnce({ title, text, value }) {
  return openDialog({
    title,
    body: () =>
      el(
        "div.stack",
        {},
        el("p", {}, text),
        el("input.settings-secret", {
          type: "text",
          readonly: true,
          value,
          dir: "ltr",
          autofocus: true,
          "aria-label": title,
          onfocus: (event) => event.target.select(),
        }),
        el("p.small.muted", {}, t("settings.copy_now")),
      ),
    actions: (close) => [el("button.quiet", { type: "button", onclick: () => close() }, t("settings.done")), copyTextButton(value, t("copy"), "primary")],
  });
}

/** A labelled search field that keeps what is looked for in a signal. */
export function searchField(label, value) {
  return el("input.settings-search", {
    type: "search",
    "aria-label": label,
    placeholder: label,
    value: value.peek(),
    oninput: (event) => value.set(event.target.value),
    dir: "auto",
  });
}

/** Tells the rest of the page that models came, went or changed; where that fails, the list stays as it was. */
export function modelsChanged() {
  loadModels().catch(() => {});
}

/** A badge. */
export function badge(text, kind = "") {
  return el(kind ? `span.badge.${kind}` : "span.badge", {}, text);
}

/** Replaces the item of the same id in a signal of a list, or puts it in front. */
export function putItem(items, item, key = "id") {
  items.update((known) => (known.some((one) => one[key] === item[key]) ? known.map((one) => (one[key] === item[key] ? item : one)) : [item, ...known]));
}

/** Takes the item of an id out of a signal of a list. */
export function takeItem(items, id, key = "id") {
  items.update((known) => known.filter((one) => one[key] !== id));
}
