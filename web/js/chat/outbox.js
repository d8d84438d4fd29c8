// What is on its way to the server, kept so that a reload or a failure loses nothing.

import { user } from "../session.js";
import { keep, recall } from "../storage.js";

/** A random id, also where the page is not served over HTTPS. */
export function freshClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** This tab; a reload keeps it. */
function tabId() {
  try {
    sessionStorage["aimate.tab"] ??= freshClientId();
    return sessionStorage["aimate.tab"];
  } catch {
    return "one";
  }
}

const outboxUser = () => user.peek()?.id ?? null;

/** The turns of this account that the server has not confirmed: `{ clientId, conversationId, kind, messageId, body, tab }`. */
export function outboxItems() {
  return recall("outbox", []).filter((one) => one.user === outboxUser());
}

/** Keeps a turn until it is confirmed. */
export function keepInOutbox(item) {
  keep("outbox", [...recall("outbox", []).filter((one) => one.clientId !== item.clientId), { ...item, tab: tabId(), user: outboxUser() }]);
}

/** Forgets a turn that is confirmed or given up. */
export function removeFromOutbox(clientId) {
  const rest = recall("outbox", []).filter((one) => one.clientId !== clientId);
  keep("outbox", rest.length ? rest : null);
}

/**
 * Runs `work` unless another tab sends this turn. Without locks (plain HTTP in a network) only the tab that wrote it does.
 */
export async function asSender(item, work) {
  if (navigator.locks) return navigator.locks.request(`aimate.turn.${item.clientId}`, { ifAvailable: true }, (lock) => (lock ? work() : undefined));
  return item.tab === undefined || item.tab === tabId() ? work() : undefined;
}

/** Other tabs of this browser. */
const tabs = typeof BroadcastChannel === "function" ? new BroadcastChannel("aimate.chat") : null;

/** Tells other tabs that something was said in a conversation. */
export function tellTabs(conversationId) {
  tabs?.postMessage({ conversationId });
}

/** Calls `listener(conversationId)` when another tab says so; gives what ends it. */
export function onTabs(listener) {
  const heard = ({ data }) => listener(data.conversationId);
  tabs?.addEventListener("message", heard);
  return () => tabs?.removeEventListener("message", heard);
}
