// What comes over the page: dialogs, menus, popovers and short notices.

import { el, append, freshId } from "./dom.js";
import { icon } from "./icons.js";
import { scoped } from "./reactive.js";
import { t } from "./language.js";

/** A button that shows a drawing alone: `label` is what it says to those who do not see it. */
export function iconButton(name, label, onclick, props) {
  return el("button.icon-button", { type: "button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

/**
 * Opens a dialog; resolves with what `close(value)` was called with, `undefined` where it was dismissed.
 * `body(close)` gives its content, `actions(close)` the buttons at its end.
 */
export function openDialog({ title, body, actions, wide = false }) {
  return new Promise((resolve) => {
    const heading = freshId("dialog");
    let answer;
    const [dialog, dispose] = scoped(() => {
      const close = (value) => {
        answer = value;
        node.close();
      };
      const node = el(
        wide ? "dialog.wide" : "dialog",
        { "aria-labelledby": heading },
        el("header.dialog-head", {}, el("h2", { id: heading }, title), iconButton("close", t("close"), () => close())),
        el("div.dialog-body", {}, body(close)),
        actions ? el("footer.dialog-actions", {}, actions(close)) : null,
      );
      return node;
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      dispose();
      resolve(answer);
    });
    // A click beside the dialog dismisses it; one that began inside (marking text) does not.
    dialog.addEventListener("mousedown", (event) => event.target === dialog && isOutside(dialog, event) && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  });
}

function isOutside(node, event) {
  const box = node.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

/** Asks whether to go on. */
export async function confirmDialog({ title, text, action, isDangerous = false }) {
  const answer = await openDialog({
    title,
    body: () => el("p", {}, text),
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close(false) }, t("cancel")),
      el(isDangerous ? "button.danger" : "button.primary", { type: "button", autofocus: true, onclick: () => close(true) }, action),
    ],
  });
  return answer === true;
}

/** Asks for one line of text; `undefined` where it was dismissed. */
export function askText({ title, label, value = "", action = t("save") }) {
  const input = el("input", { type: "text", value, autofocus: true, maxlength: 300 });
  return openDialog({
    title,
    body: (close) =>
      el("form.stack", { id: "ask-text", onsubmit: (event) => (event.preventDefault(), close(input.value.trim())) }, el("label.field", {}, el("span", {}, label), input)),
    actions: (close) => [
      el("button.quiet", { type: "button", onclick: () => close() }, t("cancel")),
      el("button.primary", { type: "submit", form: "ask-text" }, action),
    ],
  });
}

let openPopup = null;

/** Shows `content` beside `anchor` until Escape, a click elsewhere or `closePopup()`. Gives the popup's element. */
export function openPopover(anchor, content, { role = "dialog", label = null, placement = "below", className = "" } = {}) {
  closePopup();
  const [popup, dispose] = scoped(() => el("div.popup", { class: className, role, "aria-label": label, tabindex: "-1" }, content));
  // Within the dialog that is open, since what is outside of it cannot be reached; else within a landmark, as all content is.
  (anchor.closest("dialog, nav, main") ?? document.body).append(popup);
  place(popup, anchor, placement);
  const outside = (event) => !popup.contains(event.target) && !anchor.contains(event.target) && closePopup();
  const escape = (event) => event.key === "Escape" && (event.stopPropagation(), event.preventDefault(), closePopup(true));
  const moved = () => place(popup, anchor, placement);
  addEventListener("pointerdown", outside, true);
  addEventListener("keydown", escape, true);
  addEventListener("resize", moved);
  // What it shows may come a moment later.
  const observer = new ResizeObserver(moved);
  observer.observe(popup);
  anchor.setAttribute("aria-expanded", "true");
  openPopup = {
    popup,
    close(withFocus) {
      removeEventListener("pointerdown", outside, true);
      removeEventListener("keydown", escape, true);
      removeEventListener("resize", moved);
      observer.disconnect();
      anchor.setAttribute("aria-expanded", "false");
      popup.remove();
      dispose();
      if (withFocus) anchor.focus();
    },
  };
  return popup;
}

export function closePopup(withFocus = false) {
  const open = openPopup;
  openPopup = null;
  open?.close(withFocus);
}

/** Whether a menu or popover is open, which Escape closes first. */
export function isPopupOpen() {
  return openPopup !== null;
}

function place(popup, anchor, placement) {
  const [box, own, edge] = [anchor.getBoundingClientRect(), popup.getBoundingClientRect(), 8];
  const isRtl = getComputedStyle(anchor).direction === "rtl";
  const left = isRtl ? box.right - own.width : box.left;
  const fitsBelow = box.bottom + own.height + edge < innerHeight;
  const isAbove = placement === "above" ? box.top - own.height - edge > 0 : !fitsBelow && box.top > innerHeight - box.bottom;
  popup.style.left = `${Math.max(edge, Math.min(left, innerWidth - own.width - edge))}px`;
  popup.style.top = `${Math.max(edge, isAbove ? box.top - own.height - 6 : box.bottom + 6)}px`;
  popup.style.maxHeight = `${(isAbove ? box.top : innerHeight - box.bottom) - 2 * edge - 6}px`;
}

/**
 * Opens a menu at `anchor`. Items: `{ label, icon, action, isDangerous, isChecked, hint }`, or null for a line between.
 */
export function openMenu(anchor, items, { label = null, placement } = {}) {
  const entries = items.filter((item, at) => item !== false && item !== undefined && !(item === null && at === 0)).map((item) => {
    if (item === null) return el("hr", { role: "separator" });
    const isChoice = item.isChecked !== undefined;
    const choose = () => {
      closePopup(true);
      item.action();
    };
    return el(
      item.isDangerous ? "button.menu-item.danger-text" : "button.menu-item",
      { type: "button", role: isChoice ? "menuitemradio" : "menuitem", "aria-checked": isChoice ? String(item.isChecked) : null, tabindex: "-1", onclick: choose },
      item.icon ? icon(item.icon) : null,
      el("span.menu-label", {}, item.label, item.hint ? el("small", {}, item.hint) : null),
      item.isChecked ? icon("check") : null,
    );
  });
  const popup = openPopover(anchor, entries, { role: "menu", label, placement });
  popup.classList.add("menu");
  const buttons = () => [...popup.querySelectorAll("[role^=menuitem]")];
  popup.addEventListener("keydown", (event) => {
    const all = buttons();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Tab") closePopup(true);
    if (to === undefined) return;
    event.preventDefault();
    all[(to + all.length) % all.length].focus();
  });
  (popup.querySelector("[aria-checked=true]") ?? buttons()[0])?.focus();
}

const notices = el("div.notices", { role: "status", "aria-live": "polite" });

/**
 * Shows a short notice; `action` (such as undo) is a button on it, `onclose` is called when it goes without that.
 * It stays longer where there is something to do. Gives a function that takes it away.
 */
export function notice(text, { action = null, onaction = null, onclose = null, isError = false, seconds = action || isError ? 8 : 4 } = {}) {
  if (!notices.isConnected) document.body.append(notices);
  let isThere = true;
  const remove = (isActed) => {
    clearTimeout(timer);
    node.remove();
    if (isThere && isActed !== true) onclose?.();
    isThere = false;
  };
  const node = el(
    isError ? "div.notice.error" : "div.notice",
    {},
    el("span", {}, text),
    action ? el("button.text-button", { type: "button", onclick: () => (remove(true), onaction()) }, action) : null,
    iconButton("close", t("close"), remove),
  );
  // What a reader is at stays.
  let timer = setTimeout(remove, seconds * 1000);
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  node.addEventListener("pointerleave", () => (timer = setTimeout(remove, 2000)));
  append(notices, [node]);
  return remove;
}

/** Tells of a failure in the server's own words. */
export function failed(error) {
  if (error?.name === "AbortError") return;
  notice(error?.message || String(error), { isError: true });
}
