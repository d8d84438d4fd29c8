// Searching in titles and messages.

import { el, each, when } from "../dom.js";
import { batch, effect, onCleanup, signal, untracked } from "../reactive.js";
import { icon } from "../icons.js";
import { api } from "../api.js";
import { link, path, query, setQuery } from "../router.js";
import { screenHead, title } from "../shell.js";
import { formatAgo, formatTime } from "../format.js";
import { conversations, isShown } from "./list.js";
import { loadWorkspaces, workspaces } from "./workspaces.js";
import { TYPING_REST, hitPath, markedNodes } from "./snippet.js";
import { t } from "../language.js";

const FILTERS = ["workspace", "tag", "archived"];

/** What was found last, so that going back shows it as it was left. */
let lastFound = { key: "", hits: [], cursor: null, top: 0 };

function searchKey() {
  return ["q", ...FILTERS].map((name) => query().get(name) ?? "").join("\n");
}

/** What a search gives, page by page, after what the address says. */
function conversationSearch() {
  const isKept = untracked(searchKey) === lastFound.key;
  const before = isKept ? lastFound : { key: "", hits: [], cursor: null };
  const found = { hits: signal(before.hits), cursor: signal(before.cursor), isBusy: signal(false), error: signal(null), doneFor: signal(before.key) };
  let abort = null;
  const read = async (key, cursor) => {
    abort?.abort();
    abort = new AbortController();
    const { signal: aborted } = abort;
    const [q, workspace_id, tag, archived] = key.split("\n");
    batch(() => {
      found.error.set(null);
      found.isBusy.set(Boolean(q.trim()));
    });
    if (!q.trim()) return batch(() => (found.hits.set([]), found.cursor.set(null), found.doneFor.set("")));
    try {
      const page = await api.get("/conversations/search", { q, workspace_id, tag, archived, limit: 30, cursor }, { signal: aborted });
      if (aborted.aborted) return;
      batch(() => {
        const known = new Set(cursor ? found.hits.peek().map((hit) => hit.id) : []);
        found.hits.update((hits) => [...(cursor ? hits : []), ...page.data.filter((hit) => !known.has(hit.id) && isShown(hit))]);
        found.cursor.set(page.next_cursor);
        found.doneFor.set(key);
      });
    } catch (error) {
      if (error.name !== "AbortError") found.error.set(error);
    } finally {
      if (!aborted.aborted) found.isBusy.set(false);
    }
  };
  effect(() => {
    if (path() !== "/search") return;
    const key = searchKey();
    untracked(() => key !== found.doneFor.peek() && read(key, null));
  });
  onCleanup(() => abort?.abort());
  found.more = () => read(untracked(searchKey), found.cursor.peek());
  return found;
}

/** The screen of `/search?q=`. */
export function searchScreen() {
  title.set(t("search.title"));
  loadWorkspaces().catch(() => {});
  const found = conversationSearch();
  let timer;
  let scroller;
  const typed = (event) => {
    clearTimeout(timer);
    const { value } = event.target;
    timer = setTimeout(() => setQuery("q", value.trim() ? value : null), TYPING_REST);
  };
  const input = el("input.search-input", {
    type: "search",
    value: query.peek().get("q") ?? "",
    maxlength: 500,
    placeholder: t("search.field"),
    "aria-label": t("search.field"),
    dir: "auto",
    autocomplete: "off",
    spellcheck: "false",
    enterkeyhint: "search",
    oninput: typed,
  });
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(timer);
    setQuery("q", input.value.trim() ? input.value : null);
  };
  // The address may change by other ways: back, a link.
  effect(() => {
    const q = query().get("q") ?? "";
    if (path() === "/search" && document.activeElement !== input) input.value = q;
  });
  const { top } = lastFound;
  const isBack = found.hits.peek().length > 0;
  queueMicrotask(() => {
    scroller = input.closest("main");
    if (isBack) scroller.scrollTop = top;
    else input.focus();
  });
  onCleanup(() => {
    clearTimeout(timer);
    lastFound = { key: found.doneFor.peek(), hits: found.hits.peek(), cursor: found.cursor.peek(), top: scroller?.scrollTop ?? 0 };
  });
  return el(
    "div.search-screen",
    {},
    screenHead(t("search.title")),
    el(
      "div.screen-body.search-body",
      {},
      el("form.search-form", { role: "search", onsubmit: submit }, el("div.search-field", {}, icon("search"), input), searchFilters(found)),
      el("p.small.muted.search-count", { role: "status" }, () => countText(found)),
      () => found.error() && el("p.error-text", { role: "alert" }, found.error().message),
      el("ol.search-hits", {}, each(found.hits, (hit) => hit.id, searchHit)),
      when(found.cursor, () => el("button.quiet", { type: "button", disabled: found.isBusy, onclick: found.more }, t("search.more"))),
    ),
  );
}

function countText(found) {
  if (!found.doneFor()) return t("search.hint");
  const count = found.hits().length;
  if (!count) return `${t("search.none")} ${t("search.none_hint")}`;
  return t(found.cursor() ? "search.found_more" : "search.found", { count });
}

/** What narrows a search down; the tags are those that were seen. */
function searchFilters(found) {
  const choice = (name, label, options) =>
    el(
      "label.search-filter",
      {},
      el("span.visually-hidden", {}, label),
      el("select", { onchange: (event) => setQuery(name, event.target.value || null) }, () => {
        const chosen = query().get(name) ?? "";
        return options().map(([value, text]) => el("option", { value, selected: value === chosen }, text));
      }),
    );
  const tags = () => {
    const all = [...conversations.pinned(), ...conversations.recent(), ...found.hits()].flatMap((one) => one.tags ?? []);
    return [...new Set([...all, query().get("tag") ?? ""])].filter(Boolean).sort((left, right) => left.localeCompare(right)).slice(0, 200);
  };
  return el(
    "div.row.search-filters",
    {},
    choice("archived", t("search.state"), () => [["", t("search.state_any")], ["false", t("search.state_active")], ["true", t("search.state_archived")]]),
    when(() => tags().length, () => choice("tag", t("search.tag"), () => [["", t("search.tag_any")], ...tags().map((tag) => [tag, tag])])),
    when(() => workspaces().length, () =>
      choice("workspace", t("search.workspace"), () => [["", t("conversations.all")], ...workspaces().map((one) => [one.id, one.name])]),
    ),
  );
}

function searchHit(hit) {
  const inTitle = !hit.peek().message_id;
  const time = () => hit().message_created_at ?? hit().updated_at;
  return el(
    "li",
    {},
    link(
      () => hitPath(hit()),
      { class: "search-hit" },
      el(
        "span.search-hit-head",
        {},
        el("span.search-hit-title", { dir: "auto" }, () => (inTitle ? markedNodes(hit().snippet, hit().matches) : hit().title)),
        el("time.small.muted", { datetime: time, title: () => formatTime(time()) }, () => formatAgo(time())),
      ),
      inTitle
        ? null
        : el(
            "span.search-hit-text",
            { dir: "auto" },
            el("span.search-hit-role", {}, () => t(hit().role === "user" ? "search.by_user" : "search.by_assistant")),
            " ",
            () => markedNodes(hit().snippet, hit().matches),
          ),
      () =>
        (hit().is_archived || hit().tags.length > 0) &&
        el(
          "span.row.tight",
          {},
          hit().is_archived ? el("span.badge", {}, icon("archive"), t("search.archived")) : null,
          hit().tags.map((tag) => el("span.badge", { dir: "auto" }, tag)),
        ),
    ),
  );
}
