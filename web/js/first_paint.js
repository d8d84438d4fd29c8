// What the first look does not need waits for it: a browser asks a host for six things at once.

/** Milliseconds after which nobody waits for a paint any more: a tab in the background has none. */
const LONGEST_WAIT = 1000;
let firstPaint = null;

/** Runs `work` once the page has been painted the first time. */
export function afterFirstPaint(work) {
  firstPaint ??= new Promise((resolve) => {
    const isPainted = () => performance.getEntriesByName("first-contentful-paint").length > 0;
    if (isPainted() || !window.PerformanceObserver) return resolve();
    const observer = new PerformanceObserver(() => isPainted() && resolve());
    observer.observe({ type: "paint", buffered: true });
    setTimeout(resolve, LONGEST_WAIT);
  });
  firstPaint.then(work);
}
