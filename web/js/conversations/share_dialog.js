// Sharing a conversation by links that anybody can read, and taking them back.

import { el, each, when } from "../dom.js";
import { signal } from "../reactive.js";
import { api, paged } from "../api.js";
import { failed, notice, openDialog } from "../overlay.js";
import { prefix } from "../router.js";
import { formatAgo, formatDay } from "../format.js";
import { t } from "../language.js";

const SHARED_DAY = 24 * 60 * 60 * 1000;
/** Days that a link may be good. */
const LASTS = [1, 7, 30, 365];

async function copyLink(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice(t("copied"));
  } catch {
    // The field beside it is marked, so that it can be copied by hand.
  }
}

function createdLink(token) {
  const address = `${location.origin}${prefix}/shared/${token}`;
  const label = t("conversations.share_link");
  const input = el("input.grow", { type: "text", readonly: true, value: address, dir: "ltr", "aria-label": label, onfocus: () => input.select() });
  queueMicrotask(() => input.focus());
  return el(
    "div.stack",
    {},
    el("div.row", {}, input, el("button.primary", { type: "button", onclick: () => (input.select(), copyLink(address)) }, t("copy"))),
    el("p.small.muted", {}, t("conversations.share_once")),
  );
}

function shareRow(share, onrevoked) {
  const isOver = Date.parse(share.expires_at) < Date.now();
  const until = () => t("conversations.share_until", { day: formatDay(share.expires_at), count: share.message_count });
  const revoke = async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      await api.delete(`/shares/${share.id}`);
      onrevoked(share.id);
    } catch (error) {
      button.disabled = false;
      failed(error);
    }
  };
  return el(
    "li.share-row",
    {},
    el(
      "span.grow",
      {},
      t("conversations.share_made", { when: formatAgo(share.created_at) }),
      el("small.muted", {}, isOver ? t("conversations.share_over") : until()),
    ),
    el("button.text-button.danger-text", { type: "button", onclick: revoke }, t(isOver ? "delete" : "conversations.share_revoke")),
  );
}

/** Shares the branch that ends with message `leaf` (or the open one), and lists the links there are. */
export function openShareDialog(conversation, leaf = null) {
  const links = paged(`/conversations/${conversation.id}/shares`, () => ({ limit: 100 }));
  const token = signal(null);
  const error = signal(null);
  const isBusy = signal(false);
  const forget = (id) => links.items.update((all) => all.filter((one) => one.id !== id));
  let days, withSystem;
  const create = async (event) => {
    event.preventDefault();
    isBusy.set(true);
    error.set(null);
    try {
      const share = await api.post(`/conversations/${conversation.id}/shares`, {
        message_id: leaf,
        expires_at: new Date(Date.now() + Number(days.value) * SHARED_DAY).toISOString(),
        include_system_prompt: Boolean(withSystem?.checked),
      });
      links.items.update((known) => [share, ...known]);
      token.set(share.token);
    } catch (failure) {
      error.set(failure);
    } finally {
      isBusy.set(false);
    }
  };
  links.more();
  return openDialog({
    title: t("conversations.share"),
    body: () =>
      el(
        "div.stack",
        {},
        el("p", {}, t("conversations.share_hint")),
        when(
          token,
          () => createdLink(token.peek()),
          () =>
            el(
              "form.stack",
              { onsubmit: create },
              el(
                "label.field",
                {},
                el("span", {}, t("conversations.share_lasts")),
                el(
                  "select",
                  { ref: (node) => (days = node) },
                  LASTS.map((count) => el("option", { value: count, selected: count === 30 }, t("conversations.share_days", { count }))),
                ),
              ),
              conversation.system_prompt
                ? el("label.check", {}, el("input", { type: "checkbox", ref: (node) => (withSystem = node) }), el("span", {}, t("conversations.share_system")))
                : null,
              () => error() && el("p.error-text", { role: "alert" }, error().message),
              el("div.row", {}, el("button.primary", { type: "submit", disabled: isBusy }, t("conversations.share_create"))),
            ),
        ),
        () => links.error() && el("p.error-text", { role: "alert" }, links.error().message),
        when(() => links.items().length, () =>
          el(
            "section.stack",
            {},
            el("h3", {}, t("conversations.share_links")),
            el("ul.share-list", {}, each(links.items, (share) => share.id, (share) => shareRow(share(), forget))),
          ),
        ),
      ),
  });
}
