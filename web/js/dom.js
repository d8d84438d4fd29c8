// Elements out of functions. Text is always a text node; nothing here reads HTML.

import { effect, computed, keepOwner, onCleanup, scoped, signal, untracked } from "./reactive.js";

/** What is set as a property, since the attribute of the name is something else or less. */
const PROPERTIES = new Set(["checked", "disabled", "hidden", "indeterminate", "inert", "open", "selected", "textContent", "value"]);
const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: `el("button.quiet", { onclick: send, disabled: () => !text() }, "Send")`.
 * Values that are functions follow what they read; `on…` are listeners; `ref` gets the element.
 */
export function el(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name || "div");
  if (classes.length) node.className = classes.join(" ");
  setProps(node, props);
  append(node, children);
  return node;
}

/** An element of a drawing. */
export function svg(name, props, ...children) {
  const node = document.createElementNS(SVG, name);
  setProps(node, props);
  append(node, children);
  return node;
}

function setProps(node, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "ref") value(node);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "function") effect(() => setProp(node, name, value()));
    else setProp(node, name, value);
  }
}

function setProp(node, name, value) {
  if (name === "class") {
    // The classes that came with the tag stay.
    const fixed = (node.fixedClass ??= node.getAttribute("class") ?? "");
    node.setAttribute("class", [fixed, value].filter(Boolean).join(" "));
  } else if (name === "style") Object.assign(node.style, value);
  // An option's property is its text until there is the attribute, so an empty one would not be set.
  else if (name === "value" && node.localName === "option") node.setAttribute("value", value ?? "");
  else if (PROPERTIES.has(name)) {
    if (node[name] !== value) node[name] = value ?? "";
  } else if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

/** Appends children: nodes, texts, lists of them, and functions, which are drawn again when what they read changes. */
export function append(parent, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === true) continue;
    if (typeof child === "function") parent.append(region(child));
    else parent.append(child);
  }
}

/** A part of the document between two empty texts, which is drawn again when what `draw` reads changes. */
function region(draw) {
  const fragment = document.createDocumentFragment();
  const [start, end] = [document.createTextNode(""), document.createTextNode("")];
  fragment.append(start, end);
  effect(() => {
    const content = draw();
    // What is there already stays where it is, with what is marked in it.
    if (content && content === start.nextSibling && content.nextSibling === end) return;
    // What is drawn may read signals for its own first look; only `draw` itself follows them.
    untracked(() => {
      const fresh = document.createDocumentFragment();
      append(fresh, content);
      while (start.nextSibling !== end) start.nextSibling.remove();
      end.before(fresh);
    });
  });
  return fragment;
}

/** Draws `then()` while `condition()` holds, else `otherwise()`; not again while it stays as it is. */
export function when(condition, then, otherwise = () => null) {
  return () => {
    const holds = computed(() => Boolean(condition()));
    return () => (holds() ? then() : otherwise());
  };
}

/**
 * Draws a list. Rows are kept by `key(item)` and get the item as a signal: `each(list, (item) => item.id, (item) => el("li", {}, () => item().title))`.
 */
export function each(list, key, draw) {
  const fragment = document.createDocumentFragment();
  const end = document.createTextNode("");
  fragment.append(end);
  let rows = new Map();
  // Rows live on when the list changes.
  const asOwner = keepOwner();
  onCleanup(() => rows.forEach((row) => row.dispose()));
  effect(() => {
    const items = list() ?? [];
    untracked(() => {
      const next = new Map();
      for (const item of items) {
        const id = key(item);
        let row = rows.get(id);
        if (row) row.item.set(item);
        else {
          const value = signal(item);
          const drawRow = () => {
            const piece = document.createDocumentFragment();
            append(piece, draw(value));
            return [piece.firstChild, piece.lastChild];
          };
          const [[first, last], dispose] = asOwner(() => scoped(drawRow));
          row = { item: value, first, last, dispose };
        }
        next.set(id, row);
      }
      for (const [id, row] of rows) {
        if (next.has(id)) continue;
        row.dispose();
        rowNodes(row).forEach((node) => node.remove());
      }
      // From the end, so that rows that stay are not moved.
      let after = end;
      for (const row of [...next.values()].reverse()) {
        for (const node of rowNodes(row).reverse()) {
          if (node.nextSibling !== after || node.parentNode !== end.parentNode) after.before(node);
          after = node;
        }
      }
      rows = next;
    });
  });
  return fragment;
}

/** The nodes of a row as they are now: what is drawn again within it stays between its ends. */
function rowNodes({ first, last }) {
  const nodes = first ? [first] : [];
  while (first && nodes.at(-1) !== last) nodes.push(nodes.at(-1).nextSibling);
  return nodes;
}

let lastId = 0;
/** An id for `for`, `aria-labelledby` and the like. */
export function freshId(prefix = "id") {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** Calls `then` once nothing within `node` is marked by the person: now, or later. */
export function whenUnmarked(node, then) {
  const selection = document.getSelection();
  const isMarked = () => !selection.isCollapsed && selection.containsNode(node, true);
  if (!isMarked()) return then();
  const look = () => {
    if (isMarked()) return;
    document.removeEventListener("selectionchange", look);
    then();
  };
  document.addEventListener("selectionchange", look);
}
