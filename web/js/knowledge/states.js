// What several screens of the knowledge show alike: states, waiting, failures, the end of a list.

import { el, when } from "../dom.js";
import { icon } from "../icons.js";
import { effect, onCleanup } from "../reactive.js";
import { formatNumber } from "../format.js";
import { isAdmin } from "../session.js";
import { t } from "../language.js";
import { collectionWorkspaces } from "./collections.js";

/** The state of a document, with its progress while it is read. */
export function documentBadge(document) {
  const { status, progress } = document;
  if (status === "ready") return el("span.badge.good", {}, t("knowledge.status.ready"));
  if (status === "failed") return el("span.badge.bad", {}, t(document.error?.code === "cancelled" ? "knowledge.status.cancelled" : "knowledge.status.failed"));
  const share = status === "processing" && progress > 0 ? ` ${formatNumber(progress, { style: "percent" })}` : "";
  return el("span.badge.warn", {}, t(`knowledge.status.${status}`) + share);
}

const KNOWN_FAILURES = ["empty", "encrypted", "damaged", "no_text", "cancelled", "too_large", "unsupported", "timeout", "unavailable", "upstream", "rate_limited", "unauthenticated"];

/** What a person can do about a document that failed, in their language. */
export function failureAdvice(document) {
  const { code } = document.error ?? {};
  return t(`knowledge.failure.${KNOWN_FAILURES.includes(code) ? code : "unread"}`);
}

/** Why a document failed: what can be done about it, and the server's own sentence. */
export function documentFailure(document) {
  const { detail } = document.error ?? {};
  return [failureAdvice(document), detail ? el("span.failure-detail", { dir: "auto" }, detail) : null];
}

/** A quiet wait, which is shown only when it lasts. */
export function waiting() {
  return el("p.waiting", {}, el("span.spinner", { "aria-hidden": "true" }), el("span", {}, t("loading")));
}

/** A failure where it matters, with another try. */
export function failureNote(error, retry) {
  return el(
    "div.callout.error",
    { role: "alert" },
    icon("warning"),
    el("div.grow", {}, el("p", { dir: "auto" }, error.message), retry ? el("button.text-button", { type: "button", onclick: retry }, t("retry")) : null),
  );
}

/** The end of a paged list: reads on when it comes into view. */
export function listEnd(list) {
  const node = el(
    "div.list-end",
    {},
    when(() => list.isLoading(), waiting),
    () => (list.error() ? failureNote(list.error(), () => list.more()) : null),
  );
  let isSeen = false;
  const observer = new IntersectionObserver(
    ([entry]) => {
      isSeen = entry.isIntersecting;
      if (isSeen && !list.error.peek()) list.more();
    },
    { rootMargin: "600px" },
  );
  observer.observe(node);
  // A page that does not fill the screen leaves the end in view, which the observer does not tell again.
  effect(() => {
    list.items();
    if (list.isLoading() || list.isComplete() || list.error()) return;
    const timer = setTimeout(() => isSeen && list.more(), 60);
    onCleanup(() => clearTimeout(timer));
  });
  onCleanup(() => observer.disconnect());
  return node;
}

/** Whether the user may change a collection and what is in it. */
export function mayChangeCollection(collection) {
  if (!collection) return false;
  if (collection.is_shared) return isAdmin();
  if (!collection.workspace_id) return true;
  return collectionWorkspaces().find(({ id }) => id === collection.workspace_id)?.role !== "viewer";
}
