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

/** The events of a response, without those up to `after`. Throws where it is none of our streams, or breaks off before the last event. */
export async function* runEvents(response, after = 0) {
  if (!response.headers.get("content-type")?.includes("event-stream")) throw Object.assign(new Error("no stream"), { code: "not_ours" });
  let last = after;
  for await (const event of eventsOf(response)) {
    const id = Number(event.id ?? 0);
    if (id && id <= last) continue;
    last = id || last;
    yield event;
    if (event.event === "finished" || event.event === "error") return;
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
