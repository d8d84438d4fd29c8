// The form by which somebody signs in or makes an account.

import { el, freshId, when } from "../dom.js";
import { effect, onCleanup, signal } from "../reactive.js";
import { api } from "../api.js";
import { server } from "../session.js";
import { prefix } from "../router.js";
import { formatDuration } from "../format.js";
import { t } from "../language.js";

/** A signal of the seconds that are left until a time, in milliseconds since 1970; zero afterwards. */
function secondsUntil(until) {
  const left = signal(0);
  effect(() => {
    const tick = () => left.set(Math.max(0, Math.ceil((until() - Date.now()) / 1000)));
    tick();
    if (!left.peek()) return;
    const timer = setInterval(() => (tick(), left.peek() || clearInterval(timer)), 500);
    onCleanup(() => clearInterval(timer));
  });
  return left;
}

/**
 * The form, with the providers beside it. `isNew` (a signal) says whether an account is made; `email` is filled in, and stays where
 * `isFixed`; `invite` lets somebody in; `onSignedIn(user)` is called with who it is now; `returnTo` is where providers lead back to.
 */
export function credentialsForm({ isNew = signal(false), email = "", isFixed = false, invite = null, onSignedIn, returnTo }) {
  const error = signal(null);
  const isBusy = signal(false);
  const isShown = signal(false);
  const waitUntil = signal(0);
  const wait = secondsUntil(waitUntil);
  const errorId = freshId("error");
  const fields = {};
  const submit = async (event) => {
    event.preventDefault();
    if (isBusy.peek() || wait.peek()) return;
    isBusy.set(true);
    error.set(null);
    const body = { email: fields.email.value.trim(), password: fields.password.value, cookie: true };
    const name = fields.name?.value.trim();
    try {
      const answer = isNew.peek()
        ? await api.post("/auth/register", { ...body, ...(name ? { name } : {}), ...(invite ? { invite } : {}) })
        : await api.post("/auth/login", body);
      await onSignedIn(answer.user);
    } catch (failure) {
      if (failure.status === 429 && failure.retryAfter) waitUntil.set(Date.now() + failure.retryAfter * 1000);
      else error.set(failure);
      if (failure.status === 401) fields.password.select();
    } finally {
      isBusy.set(false);
    }
  };
  const refusal = (failure) => {
    if (failure?.status === 401) return t("account.wrong");
    const isOfInvite = invite && (failure?.status === 403 || failure?.fields?.some((one) => one.path === "invite"));
    return isOfInvite ? t("account.invite_bad") : failure?.message;
  };
  const field = (name, label, props, hint = null) =>
    el(
      "label.field",
      {},
      el("span", {}, label),
      el("input", { name, dir: "auto", ref: (node) => (fields[name] = node), ...props }),
      hint && el("small", {}, hint),
    );
  const says = () => (wait() ? t("account.wait", { time: formatDuration(wait() * 1000) }) : refusal(error()));
  return el(
    "div.stack",
    {},
    el(
      "form.stack",
      { method: "post", onsubmit: submit },
      field("email", t("account.email"), {
        type: "email",
        value: email,
        readonly: isFixed,
        required: true,
        autocomplete: "username",
        inputmode: "email",
        autocapitalize: "off",
        spellcheck: "false",
        autofocus: !isFixed,
      }),
      when(isNew, () => field("name", t("account.name"), { type: "text", autocomplete: "name", maxlength: 200 }, t("account.name_hint"))),
      // A field of its own for each: password managers look at what it is for when it appears.
      when(
        isNew,
        () => field("password", t("account.password"), passwordProps("new-password", { minlength: 8 }), t("account.password_hint")),
        () => field("password", t("account.password"), passwordProps("current-password", { autofocus: isFixed })),
      ),
      el(
        "label.check",
        {},
        el("input", { type: "checkbox", checked: isShown, onchange: (event) => isShown.set(event.target.checked) }),
        el("span", {}, t("account.show_password")),
      ),
      () => says() && el("p.error-text", { id: errorId, role: wait.peek() ? null : "alert" }, says()),
      el("button.primary", { type: "submit", disabled: () => isBusy() || wait() > 0 }, () => t(isNew() ? "account.register" : "account.sign_in")),
    ),
    providerLinks(returnTo),
  );

  function passwordProps(autocomplete, more) {
    return { type: () => (isShown() ? "text" : "password"), autocomplete, required: true, dir: "ltr", "aria-describedby": errorId, ...more };
  }
}

/** Links to the OpenID providers there are. They lead back to `returnTo`, a path of the page. */
function providerLinks(returnTo) {
  const names = server.peek()?.oidc_providers ?? [];
  if (!names.length) return null;
  const start = (name) => `${prefix}/api/v1/auth/oidc/${encodeURIComponent(name)}/start?return_to=${encodeURIComponent(prefix + returnTo)}`;
  return [
    el("p.account-or", {}, el("span", {}, t("account.or"))),
    names.map((name) => el("a.button.quiet", { href: start(name) }, t("account.with", { name }))),
  ];
}
