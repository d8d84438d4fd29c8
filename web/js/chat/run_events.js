// The events of a run, over however many connections it takes: each event once, in order, until the last one.

import { isSignedOut, send } from "../api.js";
import { eventsOf } from "../event_stream.js";
import { effect, scoped } from "../reactive.js";

/** Failures after which the same request may succeed. */
export function isPassing(error) {
  if (error.name === "AbortError") return false;
  return !error.status || error.status === 429 || error.status >= 500 || error.code === "not_ours";
}

/** Waits before attempt `attempt` (from 1); the browser's coming back online ends the wait. */
export function backoff(attempt, error = null, abort = null) {
  const seconds = error?.retryAfter ?? Math.min(15, 0.4 * 2 ** (attempt - 1));
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      abort?.removeEventListener("abort", done);
      resolve();
    };
    // Not all clients that lost a server come back in the same moment.
    const timer = setTimeout(done, seconds * 1000 * (0.8 + Math.random() * 0.4));
    addEventListener("online", done);
    abort?.addEventListener("abort", done);
  });
}

/** Resolves when somebody is signed in (again). */
export function signedIn() {
  return new Promise((resolve) => {
    const [, dispose] = scoped(() =>
      effect(() => {
        if (!isSignedOut()) resolve();
      }),
    );
    if (!isSignedOut.peek()) dispose();
  });
}

/** Milliseconds that a hidden tab goes on listening. */
const LISTENS_HIDDEN = 5000;

/** Resolves once the tab is seen. */
function tabSeen() {
  if (document.visibilityState === "visible") return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true })).then(tabSeen);
}

/** Calls `work` once the tab has been hidden for a while: a browser gives all tabs of a host six connections together. */
function whenLongHidden(work) {
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") timer = setTimeout(work, LISTENS_HIDDEN);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

/** The events of a response, without those up to `after`. Throws where it is none of our streams, or breaks off before the last event. */
export async function* runEvents(response, after = 0) {
  if (!response.headers.get("content-type")?.includes("event-stream")) throw Object.assign(new Error("no stream"), { code: "not_ours" });
  let last = after;
  const events = eventsOf(response);
  let stopLooking;
  const hidden = new Promise((_, reject) => (stopLooking = whenLongHidden(() => reject(new Error("the tab is hidden")))));
  // Nobody may be waiting for it when it comes.
  hidden.catch(() => {});
  try {
    for (;;) {
      const { done, value: event } = await Promise.race([events.next(), hidden]);
      if (done) break;
      const id = Number(event.id ?? 0);
      if (id && id <= last) continue;
      last = id || last;
      yield event;
      if (event.event === "finished" || event.event === "error") return;
    }
  } finally {
    stopLooking();
    events.return();
  }
  throw new Error("the stream broke off");
}

/**
 * Follows a run until its last event, from after event `after`. `onevent(event)` gets each event once. Resolves with true, with
 * false if the run has no events any more; rejects if it cannot be followed at all.
 */
export async function followRun(runId, { after = 0, onevent, abort }) {
  let last = after;
  for (let attempt = 0; ; ) {
    try {
      await tabSeen();
      const response = await send("GET", `/runs/${runId}/events`, { headers: { "last-event-id": String(last), accept: "text/event-stream" }, signal: abort });
      if (response.status === 204) return false;
      for await (const event of runEvents(response, last)) {
        last = Number(event.id) || last;
        attempt = 0;
        onevent(event);
        if (event.event === "finished" || event.event === "error") return true;
      }
    } catch (error) {
      if (abort?.aborted) throw error;
      if (error.status === 401) await signedIn();
      else if (!isPassing(error)) throw error;
      attempt += 1;
      await backoff(attempt, error, abort);
    }
  }
}
