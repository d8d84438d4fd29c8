// What a person likes, kept in this browser.

import { signal } from "../reactive.js";
import { keep, recall } from "../storage.js";

/** What sends a message: `enter`, or `ctrl` for Ctrl (Command) and Enter, while Enter begins a line. */
export const sendKey = signal(recall("send_key", "enter"));

export function chooseSendKey(choice) {
  sendKey.set(choice);
  keep("send_key", choice === "enter" ? null : choice);
}

/** What new chats begin with: `{ model, system_prompt, temperature, max_tokens }`, each absent for the usual. */
export const chatDefaults = signal(recall("chat_defaults", {}));

export function chooseChatDefaults(values) {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== ""));
  chatDefaults.set(given);
  keep("chat_defaults", Object.keys(given).length ? given : null);
}
