// Signing in: as a screen, and over the page when a session has ended.

import { el, when } from "../dom.js";
import { onCleanup, signal } from "../reactive.js";
import { isSignedOut } from "../api.js";
import { loadSession, server, user } from "../session.js";
import { keep } from "../storage.js";
import { navigate, path, prefix, query } from "../router.js";
import { title } from "../shell.js";
import { credentialsForm } from "./credentials_form.js";
import { t } from "../language.js";

/** `to` where it is a path of this page, else its start: nobody is sent elsewhere by a link to the sign-in. */
export function ownPath(to) {
  const isOwn = typeof to === "string" && /^\/(?![/\\])[^\\\p{Cc}]*$/u.test(to) && !to.startsWith("/sign-in");
  return isOwn && new URL(prefix + to, location.origin).origin === location.origin ? to : "/";
}

/** The screen of `/sign-in?to=`, also with `invite=`. */
export function signInScreen() {
  const to = ownPath(query.peek().get("to"));
  const goOn = () => navigate(to, { replace: true });
  if (user.peek()) {
    queueMicrotask(goOn);
    return el("div", {});
  }
  title.set(t("account.sign_in"));
  const { sign_in: kind, registration, needs_first_user: isFirst } = server.peek();
  if (kind !== "accounts") {
    return accountFrame("aiMate", ...reloadHint());
  }
  const invite = query.peek().get("invite");
  const mayRegister = registration === "open" || (registration !== "closed" && (Boolean(invite) || isFirst));
  if (isFirst && !mayRegister) {
    return accountFrame(t("account.first_title"), el("p", {}, t("account.first_closed")), el("code", {}, "aimate user add EMAIL --admin"));
  }
  const isNew = signal(mayRegister && Boolean(isFirst || invite));
  const onSignedIn = async () => {
    await loadSession();
    if (!user.peek()) throw new Error(t("account.no_cookies"));
    goOn();
  };
  const change = (label, text, value) =>
    el("p.account-other", {}, label, " ", el("button.text-button", { type: "button", onclick: () => isNew.set(value) }, text));
  return accountFrame(
    () => (isFirst ? t("account.first_title") : t(isNew() ? "account.register" : "account.sign_in")),
    () => isNew() && (isFirst || invite) && el("p", {}, t(isFirst ? "account.first_text" : "account.invite_text")),
    credentialsForm({ isNew, invite, onSignedIn, returnTo: to }),
    isFirst
      ? null
      : mayRegister
        ? when(isNew, () => change(t("account.invite_used"), t("account.sign_in"), false), () => change(t("account.to_register"), t("account.register"), true))
        : el("p.account-other.small.muted", {}, t(registration === "invite" ? "account.by_invite" : "account.closed")),
  );
}

/** Where the application around us signs people in. */
function reloadHint() {
  return [el("p", {}, t("account.application")), el("button.primary", { type: "button", onclick: () => location.reload() }, t("account.reload"))];
}

function accountFrame(heading, ...content) {
  return el("div.account-screen", {}, el("div.account-card", {}, el("p.account-brand", {}, "aiMate"), el("h1", {}, heading), ...content));
}

/** Over the page when a session ends: who signs in again goes on where they were. */
export function signInAgain() {
  const known = user.peek();
  const returnTo = query.peek().size ? `${path.peek()}?${query.peek()}` : path.peek();
  if (!known) {
    if (!/^\/(sign-in|shared\/)/.test(path.peek())) queueMicrotask(() => navigate(`/sign-in?to=${encodeURIComponent(returnTo)}`, { replace: true }));
    return null;
  }
  const onSignedIn = async (who) => {
    // What is shown is of somebody else: it goes.
    if (who.id !== known.id) return startAnew(who.id);
    await loadSession();
    if (!user.peek()) throw new Error(t("account.no_cookies"));
  };
  const content =
    server.peek().sign_in === "accounts"
      ? [
          el("p", {}, t("account.again_text")),
          credentialsForm({ email: known.email ?? "", isFixed: Boolean(known.email), onSignedIn, returnTo }),
          el("p.account-other", {}, el("button.text-button", { type: "button", onclick: () => startAnew(null) }, t("account.another"))),
        ]
      : reloadHint();
  const node = el(
    "dialog.account-again",
    {
      "aria-label": t("account.again_title"),
      oncancel: (event) => event.preventDefault(),
      // Browsers close it at the second Escape.
      onclose: () => isSignedOut.peek() && node.isConnected && node.showModal(),
    },
    el("header.dialog-head", {}, el("h2", {}, t("account.again_title"))),
    el("div.dialog-body.stack", {}, content),
  );
  queueMicrotask(() => {
    if (!node.isConnected) return;
    node.showModal();
    node.querySelector("[autofocus]")?.focus();
  });
  onCleanup(() => node.open && node.close());
  return node;
}

/** Begins at the start of the page, as `id` or as nobody. */
function startAnew(id) {
  keep("signed_in", id);
  location.assign(`${prefix}/`);
  // Nothing goes on until the page is another.
  return new Promise(() => {});
}
