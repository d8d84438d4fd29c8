// The frame of the page: the sidebar, and beside it what the address says.

import { el, when } from "./dom.js";
import { computed, effect, signal } from "./reactive.js";
import { iconButton } from "./overlay.js";
import { keep, recall } from "./storage.js";
import { isReachable, isSignedOut } from "./api.js";
import { match, path } from "./router.js";
import { t } from "./language.js";

const isNarrow = matchMedia("(max-width: 48rem)");
const isOver = signal(isNarrow.matches);
isNarrow.addEventListener("change", () => isOver.set(isNarrow.matches));
/** Whether the sidebar is shown; on a narrow screen it comes over the page and goes with the next step. */
export const isSidebarOpen = signal(!isNarrow.matches && recall("sidebar", true));

export function toggleSidebar() {
  isSidebarOpen.update((open) => !open);
  if (!isNarrow.matches) keep("sidebar", isSidebarOpen.peek());
}

/** The title of what is shown, which the browser's tab has too. */
export const title = signal("");

/** The button that shows the sidebar, for the head of a screen: there only while it is hidden. */
export function sidebarButton() {
  return when(() => !isSidebarOpen(), () => iconButton("sidebar", t("sidebar.show"), toggleSidebar, { "aria-expanded": "false" }));
}

/** The head of a screen: the button of the sidebar, a title, and what can be done at its end. */
export function screenHead(heading, ...actions) {
  return el("header.screen-head", {}, sidebarButton(), el("h1", {}, heading), el("div.screen-actions", {}, ...actions));
}

/**
 * Draws the page into `document.body`. `routes`: `[pattern, draw(params), hasNoSidebar]`; screens whose `pattern` and parts stay
 * the same are kept.
 */
export function drawShell(routes, sidebar, notFound, signInAgain) {
  const screen = computed(() => {
    for (const [pattern, draw, isAlone] of routes) {
      const params = match(pattern, path());
      if (params) return { draw, isAlone, key: pattern + JSON.stringify(params), params };
    }
    return { draw: notFound, key: "", params: {} };
  });
  const key = computed(() => screen().key);
  const isAlone = computed(() => Boolean(screen().isAlone));
  effect(() => {
    path();
    if (isNarrow.matches) isSidebarOpen.set(false);
  });
  effect(() => (document.title = title() ? `${title()} · aiMate` : "aiMate"));
  // What lies beneath the sidebar cannot be reached.
  const isBeneath = () => isOver() && isSidebarOpen() && !isAlone();
  const main = el("main", { id: "main", tabindex: "-1", inert: isBeneath }, () => {
    key();
    return screen.peek().draw(screen.peek().params);
  });
  // After the first look, whoever goes elsewhere begins at the new screen's start.
  let isFirst = true;
  effect(() => {
    key();
    if (!isFirst && !document.activeElement?.matches("textarea, input")) main.focus({ preventScroll: true });
    isFirst = false;
  });
  const frame = el(
    "div.frame",
    { class: () => (isAlone() ? "alone" : isSidebarOpen() ? "with-sidebar" : "") },
    el("a.skip", { href: "#main", onclick: (event) => (event.preventDefault(), main.focus()) }, t("skip")),
    when(() => !isAlone(), () => [
      drawSidebar(sidebar),
      el("div.shade", { onclick: toggleSidebar }),
    ]),
    main,
    when(() => !isReachable(), () => el("p.banner", { role: "status" }, t("error.offline_banner"))),
    when(isSignedOut, signInAgain),
  );
  document.body.replaceChildren(frame);
}

function drawSidebar(sidebar) {
  const leave = (event) => {
    if (event.key !== "Escape" || !isOver.peek()) return;
    toggleSidebar();
    document.querySelector("main button")?.focus();
  };
  // Also where the link leads to what is shown already.
  const follow = (event) => event.target.closest("a") && isOver.peek() && isSidebarOpen.set(false);
  const nav = el("nav.sidebar", { "aria-label": t("sidebar.label"), inert: () => !isSidebarOpen(), onkeydown: leave, onclick: follow }, sidebar());
  // It can have the focus as soon as it has begun to come into view.
  effect(() => isSidebarOpen() && isOver.peek() && setTimeout(() => nav.querySelector("button, a")?.focus(), 60));
  return nav;
}
