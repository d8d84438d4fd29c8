// Starts the page: who is here, which screens there are.

import { el } from "./dom.js";
import { applyTheme } from "./theme.js";
import { drawShell, title } from "./shell.js";
import { link, navigate, path, query } from "./router.js";
import { loadSession, user } from "./session.js";
import { t } from "./language.js";
import { shortcut } from "./keys.js";
import { chatScreen } from "./chat/screen.js";
import { sidebar } from "./conversations/sidebar.js";
import { searchScreen } from "./conversations/search_screen.js";
import { openPalette } from "./conversations/palette.js";
import { knowledgeScreen } from "./knowledge/screen.js";
import { collectionScreen } from "./knowledge/collection_screen.js";
import { documentScreen } from "./knowledge/document_screen.js";
import { knowledgeSearchScreen } from "./knowledge/search_screen.js";
import { settingsScreen } from "./settings/screen.js";
import { signInScreen, signInAgain } from "./account/sign_in.js";
import { followOtherTabs } from "./account/other_tabs.js";
import { sharedScreen } from "./chat/shared_screen.js";

function notFound() {
  title.set(t("error.not_found"));
  return el("div.empty", {}, el("h1", {}, t("error.not_found")), link("/", { class: "button primary" }, t("error.go_home")));
}

const ROUTES = [
  ["/", chatScreen],
  ["/new", chatScreen],
  ["/c/:id", chatScreen],
  ["/search", searchScreen],
  ["/knowledge", knowledgeScreen],
  ["/knowledge/search", knowledgeSearchScreen],
  ["/knowledge/collections/:id", collectionScreen],
  ["/knowledge/documents/:id", documentScreen],
  ["/settings", settingsScreen],
  ["/settings/:section", settingsScreen],
  ["/settings/:section/:id", settingsScreen],
  ["/sign-in", signInScreen, true],
  ["/shared/:token", sharedScreen, true],
];

async function start() {
  applyTheme();
  try {
    await loadSession();
  } catch (error) {
    document.body.replaceChildren(
      el("main.empty", {}, el("p", { role: "alert" }, error.message), el("button.primary", { type: "button", onclick: () => location.reload() }, t("retry"))),
    );
    return;
  }
  const here = path.peek();
  if (!user() && here !== "/sign-in" && !here.startsWith("/shared/")) {
    const back = query.peek().size ? `${here}?${query.peek()}` : here;
    navigate(back === "/" ? "/sign-in" : `/sign-in?to=${encodeURIComponent(back)}`, { replace: true });
  }
  followOtherTabs();
  shortcut("k", t("palette.open"), openPalette);
  shortcut("shift+o", t("conversations.new"), () => navigate("/new"));
  drawShell(ROUTES, sidebar, notFound, signInAgain);
}

start();
