// The messages of a thread in the document: pages that are far from what is seen leave only their height.

import { each, el } from "../dom.js";
import { onCleanup, scoped } from "../reactive.js";
import { messageView } from "./message_view.js";

/** Draws the pages of `thread` within `scroller`. */
export function threadPages(thread, actions, scroller) {
  // Far enough that a fast scroll meets drawn messages.
  const observer = new IntersectionObserver((changes) => changes.forEach(({ target, isIntersecting }) => target.seen?.(isIntersecting)), { root: scroller, rootMargin: "250% 0px" });
  onCleanup(() => observer.disconnect());
  return each(thread.pages, (page) => page.key, (page) => pageView(page.peek(), thread, actions, observer));
}

function pageView(page, thread, actions, observer) {
  const section = el("section.thread-page");
  let dispose = null;
  const draw = () => {
    const [content, end] = scoped(() => each(page.entries, (entry) => entry.key, (entry) => messageView(entry.peek(), actions)));
    section.append(content);
    dispose = end;
  };
  section.seen = (isNear) => {
    const isLast = thread.pages.peek().at(-1) === page;
    if (isNear && !dispose) {
      section.style.height = "";
      draw();
    } else if (!isNear && dispose && !isLast && !section.contains(document.activeElement)) {
      section.style.height = `${section.offsetHeight}px`;
      dispose();
      dispose = null;
      section.replaceChildren();
    }
  };
  draw();
  observer.observe(section);
  onCleanup(() => {
    observer.unobserve(section);
    dispose?.();
  });
  return section;
}
