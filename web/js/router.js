// The address says what is shown: every conversation, document and setting is a link.

import { computed, signal, onCleanup } from "./reactive.js";
import { el } from "./dom.js";

/** What the server is mounted under, without a slash at its end; empty at the root. */
export const prefix = new URL(import.meta.url).pathname.replace(/\/assets\/.*$/, "");
const address = signal(readAddress());
const guards = new Set();

function readAddress() {
  const path = location.pathname.slice(prefix.length) || "/";
  return { path, query: new URLSearchParams(location.search), key: path + location.search };
}

addEventListener("popstate", () => address.set(readAddress()));

/** The path below the prefix, such as `/c/0199…`. */
export const path = computed(() => address().path);
/** The query, as `URLSearchParams`. */
export const query = computed(() => address().query);

/** Goes to a path of the page, such as `/c/0199…?leaf=0199…`. */
export async function navigate(to, { replace = false } = {}) {
  for (const guard of guards) if (!(await guard(to))) return;
  if (to === address.peek().key) return;
  history[replace ? "replaceState" : "pushState"](null, "", prefix + to);
  address.set(readAddress());
}

/** Sets one part of the query of this address, `null` removes it. */
export function setQuery(name, value, options = { replace: true }) {
  const { path: here, query: known } = address.peek();
  const next = new URLSearchParams(known);
  if (value === null || value === "") next.delete(name);
  else next.set(name, value);
  return navigate(next.size ? `${here}?${next}` : here, options);
}

/** Asks `guard(to)` before the page goes elsewhere, while what calls it is shown. */
export function guardLeaving(guard) {
  guards.add(guard);
  onCleanup(() => guards.delete(guard));
}

/** A link to a path of the page, which may be a function. */
export function link(to, props, ...children) {
  const target = typeof to === "function" ? to : () => to;
  const go = (event) => {
    const isPlain = !event.defaultPrevented && !event.button && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!isPlain) return;
    event.preventDefault();
    navigate(target());
  };
  return el("a", { href: () => prefix + target(), onclick: go, ...props }, ...children);
}

/** Whether `pattern` (`/c/:id`) fits `candidate`: its named parts, else null. */
export function match(pattern, candidate) {
  const [wanted, given] = [pattern.split("/"), candidate.split("/")];
  if (wanted.length !== given.length) return null;
  const found = {};
  for (const [at, part] of wanted.entries()) {
    if (part.startsWith(":") && given[at]) found[part.slice(1)] = decodeURIComponent(given[at]);
    else if (part !== given[at]) return null;
  }
  return found;
}
