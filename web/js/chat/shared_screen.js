// A conversation that somebody shared by a link: read-only, as it was, for anybody who has the link.

import { el } from "../dom.js";
import { signal } from "../reactive.js";
import { icon } from "../icons.js";
import { api } from "../api.js";
import { title } from "../shell.js";
import { formatDay, formatTime } from "../format.js";
import { markdownView } from "./markdown.js";
import { foreignLink } from "./foreign_link.js";
import { t } from "../language.js";

/** Media types that are shown as pictures. */
const SHARED_PICTURES = /^image\/(png|jpeg|gif|webp)$/;

/** The screen of `/shared/:token`. */
export function sharedScreen({ token }) {
  title.set(t("shared.title"));
  const shown = signal(null);
  const error = signal(null);
  const load = () => {
    error.set(null);
    api.get(`/shared/${encodeURIComponent(token)}`, { html: true }).then(
      (found) => {
        title.set(found.title);
        shown.set(found);
      },
      (failure) => error.set(failure),
    );
  };
  load();
  return el(
    "div.shared-screen",
    // Without a button on it, it is scrolled by the keys if it can have the focus.
    { role: "region", "aria-label": t("shared.title"), tabindex: "0", "aria-busy": () => String(!shown() && !error()) },
    () => {
      if (shown()) return sharedConversation(shown());
      if (error()) return sharedFailure(error(), load);
      return el("p.shared-loading", {}, el("span.spinner", {}), el("span.visually-hidden", {}, t("loading")));
    },
  );
}

function sharedFailure(error, retry) {
  const isGone = error.status === 404 || error.status === 400;
  return el(
    "div.empty",
    {},
    el("h1", {}, isGone ? t("shared.gone") : t("shared.title")),
    el("p", { role: "alert" }, isGone ? t("shared.gone_hint") : error.message),
    isGone ? null : el("button.primary", { type: "button", onclick: retry }, t("retry")),
  );
}

function sharedConversation(shared) {
  return el(
    "div.shared-column",
    {},
    el(
      "header.shared-head",
      {},
      el("h1", { dir: "auto" }, shared.title),
      el("p.callout.info", {}, icon("info"), el("span", {}, t("shared.snapshot", { when: formatTime(shared.shared_at), until: formatDay(shared.expires_at) }))),
    ),
    shared.system_prompt ? el("details.shared-system", {}, el("summary", {}, t("shared.system")), markdownView(shared.system_prompt)) : null,
    shared.messages.map(sharedMessage),
    el("footer.small.muted.shared-foot", {}, t("shared.foot")),
  );
}

function sharedMessage(message) {
  const citations = message.content
    .filter((part) => part.type === "citation")
    .map(({ n, title: name, page, quotes = [] }) => ({ n, title: name, page, text: quotes.join("\n\n"), quotes: [] }));
  const isAnswer = message.role === "assistant";
  const speaker = t(`shared.${message.role}`);
  return el(
    "article.shared-message",
    { class: message.role, "aria-label": speaker },
    el(
      "p.small.muted.shared-speaker",
      {},
      isAnswer && message.model ? message.model : speaker,
      " · ",
      el("time", { datetime: message.created_at }, formatTime(message.created_at)),
    ),
    el("div.shared-content", {}, message.content.map((part) => sharedPart(part, citations))),
    isAnswer && message.status !== "complete" ? el("p.small.muted", {}, t("shared.unfinished")) : null,
    citations.length ? sharedSources(citations) : null,
  );
}

function sharedPart(part, citations) {
  switch (part.type) {
    case "text":
      return markdownView(part.text, part.html, { citations });
    case "image":
      if (part.data && SHARED_PICTURES.test(part.media_type)) {
        return el("img.shared-image", { src: `data:${part.media_type};base64,${part.data}`, alt: t("shared.image") });
      }
      return el("p", {}, icon("image"), " ", part.url ? foreignLink(part.url, t("shared.image")) : t("shared.image"));
    case "file":
      return el("p", {}, el("span.badge", {}, icon("file"), el("span", { dir: "auto" }, part.name)));
    default:
      return null;
  }
}

function sharedSources(citations) {
  return el(
    // No landmark: there is one to each answer.
    "div.shared-sources",
    {},
    el("h2.small.muted", {}, t("shared.sources")),
    el(
      "ol",
      {},
      citations.map(({ n, title: name, page, text }) =>
        el(
          "li",
          { value: n },
          el("span", { dir: "auto" }, name),
          page ? el("span.muted", {}, ` · ${t("shared.page", { page })}`) : null,
          text ? el("blockquote.small.muted", { dir: "auto" }, text) : null,
        ),
      ),
    ),
  );
}
