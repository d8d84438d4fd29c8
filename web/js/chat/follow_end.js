// Scrolling of a thread: it follows its end while the reader is there, and stays where they are otherwise.

import { onCleanup, signal } from "../reactive.js";

/** How near the end counts as at the end, in pixels. */
const NEAR_END = 60;

/** Makes `scroller` follow the end of `content`. Gives `{ isAtEnd, toEnd(), keepPlace(change) }`. */
export function followEnd(scroller, content) {
  const isAtEnd = signal(true);
  let lastTop = 0;
  const distance = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  const toEnd = () => {
    isAtEnd.set(true);
    scroller.scrollTop = scroller.scrollHeight;
    lastTop = scroller.scrollTop;
  };
  const scrolled = () => {
    const top = scroller.scrollTop;
    if (distance() < NEAR_END) isAtEnd.set(true);
    // Only a reader scrolls up; what grows below moves nobody.
    else if (top < lastTop - 1) isAtEnd.set(false);
    lastTop = top;
  };
  // A reader who turns the wheel up while it grows means it at once.
  const wheeled = (event) => event.deltaY < 0 && scroller.scrollHeight > scroller.clientHeight && isAtEnd.set(false);
  scroller.addEventListener("scroll", scrolled, { passive: true });
  scroller.addEventListener("wheel", wheeled, { passive: true });
  const observer = new ResizeObserver(() => isAtEnd.peek() && toEnd());
  observer.observe(content);
  observer.observe(scroller);
  onCleanup(() => observer.disconnect());
  return {
    isAtEnd,
    toEnd,
    /** Does `change` so that what is seen stays where it is. */
    keepPlace(change) {
      const [height, top] = [scroller.scrollHeight, scroller.scrollTop];
      change();
      scroller.scrollTop = top + scroller.scrollHeight - height;
      lastTop = scroller.scrollTop;
    },
    /** Shows a message in the middle. */
    show(node) {
      isAtEnd.set(false);
      const [own, frame] = [node.getBoundingClientRect(), scroller.getBoundingClientRect()];
      scroller.scrollTop += own.top - frame.top - Math.max(16, (frame.height - own.height) / 2);
      lastTop = scroller.scrollTop;
    },
  };
}
