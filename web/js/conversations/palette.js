// Going anywhere and doing anything by a few letters.

import { el, each, freshId } from "../dom.js";
import { batch, computed, scoped, signal } from "../reactive.js";
import { icon } from "../icons.js";
import { api, isSignedOut } from "../api.js";
import { openDialog } from "../overlay.js";
import { navigate } from "../router.js";
import { toggleSidebar } from "../shell.js";
import { shortcutList } from "../keys.js";
import { chooseTheme, theme } from "../theme.js";
import { chooseLanguage, language, languages, t } from "../language.js";
import { server, signOut } from "../session.js";
import { settingsParts } from "../settings/screen.js";
import { activeAt, conversations, isShown } from "./list.js";
import { TYPING_REST, hitPath, markedNodes } from "./snippet.js";

const MAX_CONVERSATIONS = 8;

let openedPalette = null;

/** Opens the palette, or closes the one that is open. */
export function openPalette() {
  if (openedPalette) return openedPalette.close();
  // Over a dialog, one would go elsewhere beneath it.
  if (isSignedOut.peek() || document.querySelector("dialog[open]")) return undefined;
  const [node, dispose] = scoped(drawPalette);
  openedPalette = node;
  const before = document.activeElement;
  node.addEventListener("close", () => {
    openedPalette = null;
    node.remove();
    dispose();
    if (before?.isConnected && (document.activeElement === document.body || !document.activeElement)) before.focus();
  });
  node.addEventListener("mousedown", (event) => event.target === node && node.close());
  document.body.append(node);
  node.showModal();
  return undefined;
}

/** Text as it is compared: without case and accents. */
function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** The actions there are: `{ id, label, icon, keys, run }`. */
function paletteActions() {
  const go = (to) => () => navigate(to);
  const hasAccounts = server.peek()?.sign_in === "accounts";
  const sections = settingsParts().flatMap(([, found]) => found);
  const keys = Object.fromEntries(shortcutList().map((one) => [one.label, one.keys]));
  const actions = [
    { label: t("conversations.new"), icon: "edit", keys: keys[t("conversations.new")], run: go("/new") },
    { label: t("search.title"), icon: "search", run: go("/search") },
    { label: t("conversations.knowledge"), icon: "book", run: go("/knowledge") },
    { label: t("conversations.settings"), icon: "settings", run: go("/settings") },
    ...sections.map(([name, picture]) => ({
      label: t("palette.settings", { name: t(`settings.section.${name}`) }),
      icon: picture,
      run: go(`/settings/${name}`),
      isFurther: true,
    })),
    ...["system", "light", "dark"]
      .filter((name) => name !== theme.peek())
      .map((name) => ({
        label: t("palette.theme", { name: t(`conversations.theme_${name}`) }),
        icon: name === "dark" ? "moon" : "sun",
        run: () => chooseTheme(name),
      })),
    ...Object.keys(languages)
      .filter((code) => code !== language)
      .map((code) => ({ label: t("palette.language", { name: languages[code].name }), icon: "globe", run: () => chooseLanguage(code) })),
    { label: `${t("sidebar.show")} / ${t("sidebar.hide")}`, icon: "sidebar", run: toggleSidebar },
    { label: t("palette.keys"), icon: "info", run: openKeyList },
    ...(hasAccounts ? [{ label: t("account.sign_out"), icon: "lock", run: signOut }] : []),
  ];
  return actions.map((action, at) => ({ ...action, id: `action-${at}` }));
}

/** Shows which keys there are. */
function openKeyList() {
  openDialog({
    title: t("palette.keys"),
    body: () =>
      el(
        "div.stack",
        {},
        el("dl.key-list", {}, shortcutList().map(({ keys, label }) => [el("dt", {}, label), el("dd", {}, el("kbd", {}, keys))])),
        el("p.small.muted", {}, t("palette.keys_palette")),
      ),
  });
}

function conversationEntry(one, matches = null) {
  const isMessage = Boolean(matches && one.message_id);
  return {
    id: `conversation-${one.id}`,
    label: one.title,
    marked: matches && !isMessage ? () => markedNodes(one.snippet, matches) : null,
    text: isMessage ? () => markedNodes(one.snippet, matches) : null,
    icon: one.is_pinned ? "pin" : one.is_archived ? "archive" : "chat",
    run: () => navigate(matches ? hitPath(one) : `/c/${one.id}`),
  };
}

function drawPalette() {
  const actions = paletteActions();
  const typed = signal("");
  const hits = signal([]);
  const chosen = signal(0);
  const [listId, id] = [freshId("palette"), (entry) => `${listId}-${entry.id}`];
  const groups = computed(() => {
    const words = folded(typed()).split(/\s+/).filter(Boolean);
    const fits = (label) => words.every((word) => folded(label).includes(word));
    if (!words.length) {
      const recent = [...conversations.recent(), ...conversations.pinned()].sort((left, right) => (activeAt(left) < activeAt(right) ? 1 : -1));
      return [
        { name: t("palette.actions"), entries: actions.slice(0, 4) },
        { name: t("palette.recent"), entries: recent.slice(0, MAX_CONVERSATIONS).map((one) => conversationEntry(one)) },
        { name: t("palette.further"), entries: actions.slice(4).filter((action) => !action.isFurther) },
      ].filter((group) => group.entries.length);
    }
    // What is at hand is there at once, what the server finds comes after it.
    const known = [...conversations.pinned(), ...conversations.recent()].filter((one) => fits(one.title)).slice(0, MAX_CONVERSATIONS);
    const ids = new Set(known.map((one) => one.id));
    const others = hits().filter((hit) => !ids.has(hit.id));
    const found = [...known.map((one) => conversationEntry(one)), ...others.map((hit) => conversationEntry(hit, hit.matches))];
    const searchAll = () => navigate(`/search?q=${encodeURIComponent(typed.peek())}`);
    const all = { id: "search-all", label: t("palette.search_all", { q: typed().trim() }), icon: "search", run: searchAll };
    return [
      { name: t("palette.actions"), entries: actions.filter((action) => fits(action.label)).slice(0, 6) },
      { name: t("palette.found"), entries: [...found.slice(0, MAX_CONVERSATIONS + 4), all] },
    ].filter((group) => group.entries.length);
  });
  const entries = computed(() => groups().flatMap((group) => group.entries));
  const active = computed(() => entries()[Math.min(chosen(), entries().length - 1)] ?? null);
  let timer;
  let abort;
  const search = async (q) => {
    abort?.abort();
    abort = new AbortController();
    const { signal: aborted } = abort;
    const found = q.trim() ? await api.get("/conversations/search", { q, limit: MAX_CONVERSATIONS }, { signal: aborted }).catch(() => null) : { data: [] };
    if (found && !aborted.aborted) hits.set(found.data.filter(isShown));
  };
  const input = (event) => {
    batch(() => {
      typed.set(event.target.value);
      chosen.set(0);
    });
    clearTimeout(timer);
    timer = setTimeout(() => search(typed.peek()), TYPING_REST);
  };
  const run = (entry) => {
    node.close();
    entry.run();
  };
  const move = (step) => {
    const count = entries.peek().length;
    if (!count) return;
    chosen.set((Math.min(chosen.peek(), count - 1) + step + count) % count);
    document.getElementById(id(active.peek()))?.scrollIntoView({ block: "nearest" });
  };
  const keys = (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter") active.peek() && run(active.peek());
    else return;
    event.preventDefault();
  };
  const option = (entry) =>
    el(
      "div.palette-option",
      {
        id: id(entry.peek()),
        role: "option",
        "aria-selected": () => String(active()?.id === entry().id),
        onclick: () => run(entry.peek()),
        onpointermove: () => chosen.set(entries.peek().findIndex((one) => one.id === entry.peek().id)),
      },
      icon(entry.peek().icon),
      el(
        "span.palette-label",
        {},
        el("span.truncate", { dir: "auto" }, () => entry().marked?.() ?? entry().label),
        () => entry().text && el("small.truncate.muted", { dir: "auto" }, entry().text()),
      ),
      entry.peek().keys ? el("kbd", {}, entry.peek().keys) : null,
    );
  const group = (one) => {
    const heading = freshId("palette");
    return el(
      "div",
      { role: "group", "aria-labelledby": heading },
      el("div.palette-heading", { id: heading, role: "presentation" }, () => one().name),
      each(() => one().entries, (entry) => entry.id, option),
    );
  };
  const node = el(
    "dialog.palette",
    { "aria-label": t("palette.open") },
    el("div.search-field", {}, icon("search"), el("input", {
      type: "text",
      role: "combobox",
      autofocus: true,
      autocomplete: "off",
      spellcheck: "false",
      maxlength: 500,
      dir: "auto",
      placeholder: t("palette.field"),
      "aria-label": t("palette.field"),
      "aria-autocomplete": "list",
      "aria-expanded": "true",
      "aria-controls": listId,
      "aria-activedescendant": () => (active() ? id(active()) : null),
      oninput: input,
      onkeydown: keys,
    })),
    el("div.palette-list", { id: listId, role: "listbox", "aria-label": t("palette.results") }, each(groups, (one) => one.name, group)),
    el("p.visually-hidden", { role: "status" }, () => t("palette.count", { count: entries().length })),
  );
  return node;
}
