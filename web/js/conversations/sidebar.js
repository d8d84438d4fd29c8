// The sidebar: where one can go, and the conversations.

import { el, each, when, freshId } from "../dom.js";
import { computed, effect, onCleanup } from "../reactive.js";
import { icon } from "../icons.js";
import { isSignedOut } from "../api.js";
import { afterFirstPaint } from "../first_paint.js";
import { iconButton, openMenu } from "../overlay.js";
import { link, match, navigate, path } from "../router.js";
import { toggleSidebar } from "../shell.js";
import { keysText } from "../keys.js";
import { chooseTheme, theme } from "../theme.js";
import { isLocal, signOut, user } from "../session.js";
import { conversations, currentWorkspace, chooseWorkspace, hasNoConversations, isWrittenElsewhere, showArchive } from "./list.js";
import { createWorkspace, loadWorkspaces, shownWorkspace, workspaces } from "./workspaces.js";
import { groupsOf } from "./groups.js";
import { conversationRow, followActive } from "./row.js";
import { t } from "../language.js";

const PIECE_ROWS = 40;
/** Milliseconds after which answers that are written elsewhere are looked for again. */
const WATCH = 5000;

/** The content of the sidebar. */
export function sidebar() {
  afterFirstPaint(() => {
    if (!conversations.isLoaded.peek()) conversations.reset();
    loadWorkspaces().catch(() => {});
  });
  const lookAgain = () => document.visibilityState === "visible" && conversations.refresh();
  addEventListener("focus", lookAgain);
  document.addEventListener("visibilitychange", lookAgain);
  effect(() => {
    if (!isWrittenElsewhere()) return;
    const timer = setInterval(lookAgain, WATCH);
    onCleanup(() => clearInterval(timer));
  });
  // After a session ended and began again, too.
  effect(() => isSignedOut() || lookAgain());
  onCleanup(() => {
    removeEventListener("focus", lookAgain);
    document.removeEventListener("visibilitychange", lookAgain);
  });
  return [
    el(
      "div.sidebar-head",
      {},
      link("/", { class: "sidebar-brand" }, "aiMate"),
      iconButton("sidebar", t("sidebar.hide"), toggleSidebar, { "aria-expanded": "true" }),
    ),
    el(
      "ul.sidebar-links",
      {},
      sidebarLink("/new", "edit", t("conversations.new"), keysText("shift+o")),
      sidebarLink("/search", "search", t("search.title"), null),
      sidebarLink("/knowledge", "book", t("conversations.knowledge"), null),
    ),
    listChooser(),
    conversationList(),
    sidebarFoot(),
  ];
}

function sidebarLink(to, picture, label, keys) {
  const isHere = () => path() === to || path().startsWith(`${to}/`);
  const props = { class: "sidebar-link", "aria-current": () => (isHere() ? "page" : null), title: keys ? `${label} (${keys})` : null };
  return el("li", {}, link(to, props, icon(picture), el("span.truncate", {}, label)));
}

/** What the list shows: which workspace's conversations, and whether those put away. */
function listChooser() {
  const chosen = () => shownWorkspace()?.name ?? t("conversations.all");
  const name = () => (conversations.isArchive() ? t("conversations.archive_of", { name: chosen() }) : chosen());
  const choose = (event) =>
    openMenu(
      event.currentTarget,
      [
        { label: t("conversations.all"), icon: "user", isChecked: !currentWorkspace.peek(), action: () => chooseWorkspace(null) },
        ...workspaces.peek().map((one) => ({
          label: el("span", { dir: "auto" }, one.name),
          icon: "people",
          isChecked: one.id === currentWorkspace.peek(),
          action: () => chooseWorkspace(one.id),
        })),
        { label: t("conversations.workspace_new"), icon: "add", action: () => createWorkspace().then((made) => made && chooseWorkspace(made.id)) },
        workspaces.peek().length > 0 && { label: t("conversations.workspaces_manage"), icon: "settings", action: () => navigate("/settings/workspaces") },
        null,
        {
          label: t(conversations.isArchive.peek() ? "conversations.archive_hide" : "conversations.archive_show"),
          icon: "archive",
          action: () => showArchive(!conversations.isArchive.peek()),
        },
      ],
      { label: t("conversations.choose") },
    );
  return el(
    "button.conversation-chooser",
    { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", onclick: choose },
    el("span.truncate", { dir: "auto" }, name),
    icon("down"),
  );
}

function conversationList() {
  const activeId = computed(() => match("/c/:id", path())?.id ?? null);
  const groups = computed(() => groupsOf(conversations.pinned(), conversations.recent()));
  const end = el("div.conversation-end", {});
  const scroller = el(
    "div.conversation-list",
    { onkeydown: moveInList },
    each(groups, (group) => group.key, (group) => conversationGroup(group, activeId)),
    when(hasNoConversations, () => el("p.conversation-none", {}, t(conversations.isArchive.peek() ? "conversations.none_archived" : "conversations.none"))),
    () =>
      conversations.error() &&
      el(
        "p.conversation-none",
        { role: "alert" },
        conversations.error().message,
        el("button.text-button", { type: "button", onclick: conversations.more }, t("retry")),
      ),
    when(conversations.isLoading, () =>
      el("p.conversation-none.conversation-loading", {}, el("span.spinner", {}), el("span.visually-hidden", {}, t("loading"))),
    ),
    end,
  );
  const isActiveListed = computed(() => [...conversations.pinned(), ...conversations.recent()].some((one) => one.id === activeId()));
  followActive(scroller, activeId, isActiveListed);
  // Reads on before the end comes into view; looked at again after each page, which may have been a short one.
  const isNear = (entries) => entries.at(-1).isIntersecting && !conversations.error.peek() && conversations.more();
  const observer = new IntersectionObserver(isNear, { root: scroller, rootMargin: "0px 0px 800px 0px" });
  effect(() => {
    if (conversations.isLoading()) return;
    observer.unobserve(end);
    observer.observe(end);
  });
  onCleanup(() => observer.disconnect());
  return scroller;
}

function conversationGroup(group, activeId) {
  const heading = freshId("group");
  return el(
    "section.conversation-group",
    { "aria-labelledby": heading },
    el("h2.conversation-day", { id: heading, textContent: () => group().name }),
    // In pieces, of which the browser lays out those in view alone.
    each(() => piecesOf(group().items), (piece) => piece.at, (piece) =>
      el(
        "ul.conversation-piece",
        { style: () => ({ containIntrinsicBlockSize: pieceHeight(piece().items.length) }) },
        each(() => piece().items, (one) => one.id, (one) => conversationRow(one, activeId)),
      ),
    ),
  );
}

const pieceHeight = (count) => `auto calc(${count} * var(--conversation-row))`;

function piecesOf(items) {
  const count = Math.ceil(items.length / PIECE_ROWS);
  return Array.from({ length: count }, (_, at) => ({ at, items: items.slice(at * PIECE_ROWS, (at + 1) * PIECE_ROWS) }));
}

/** The arrow keys go from one conversation to the next. */
function moveInList(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest(".conversation-row");
  if (!step || !row || event.target.matches("input")) return;
  const all = [...event.currentTarget.querySelectorAll(".conversation-row")];
  const next = all[all.indexOf(row) + step]?.querySelector(".conversation-link");
  event.preventDefault();
  next?.focus();
}

function sidebarFoot() {
  const themes = [["system", "settings"], ["light", "sun"], ["dark", "moon"]];
  const chooseLook = (event) =>
    openMenu(
      event.currentTarget,
      themes.map(([name, picture]) => ({
        label: t(`conversations.theme_${name}`),
        icon: picture,
        isChecked: theme.peek() === name,
        action: () => chooseTheme(name),
      })),
      { label: t("conversations.theme"), placement: "above" },
    );
  const openAccount = (event) =>
    openMenu(event.currentTarget, [{ label: t("account.sign_out"), icon: "lock", action: signOut }], { label: t("account.title"), placement: "above" });
  const menuButton = { type: "button", "aria-haspopup": "menu", "aria-expanded": "false" };
  return el(
    "div.sidebar-foot",
    {},
    when(() => !isLocal() && user(), () =>
      el(
        "button.sidebar-user",
        { ...menuButton, onclick: openAccount },
        el("span.sidebar-initial", { "aria-hidden": "true", textContent: () => ([...(user()?.name ?? "")][0] ?? "?").toUpperCase() }),
        el(
          "span.sidebar-name",
          {},
          el("span.truncate", { dir: "auto", textContent: () => user()?.name ?? "" }),
          el("small.truncate.muted", { dir: "ltr", textContent: () => user()?.email ?? "" }),
        ),
      ),
    ),
    el(
      "div.sidebar-foot-row",
      {},
      link(
        "/settings",
        { class: "sidebar-link", "aria-current": () => (path().startsWith("/settings") ? "page" : null) },
        icon("settings"),
        el("span.truncate", {}, t("conversations.settings")),
      ),
      el(
        "button.icon-button",
        { ...menuButton, "aria-label": t("conversations.theme"), title: t("conversations.theme"), onclick: chooseLook },
        () => icon(theme() === "dark" ? "moon" : "sun"),
      ),
    ),
  );
}
