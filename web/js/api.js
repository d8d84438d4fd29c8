// The server's API, the same that every application has: /openapi.json describes it.

import { signal } from "./reactive.js";
import { prefix } from "./router.js";
import { t } from "./language.js";

/** A refusal, with the sentence and code of the server, or `offline` where it was not reached. */
export class ApiError extends Error {
  constructor(problem, status) {
    super(asSentence(problem.detail || problem.title || t("error.unknown")));
    this.status = status;
    this.code = problem.code ?? "unknown";
    /** Faults of single fields: `[{ path, message }]`. */
    this.fields = problem.errors ?? [];
    /** Seconds after which another try makes sense. */
    this.retryAfter = problem.retry_after ?? null;
    this.problem = problem;
  }
}

/** The API's sentences begin small and have no full stop, since programs put them into others. */
function asSentence(text) {
  const sentence = /^\p{Ll}[\p{L}-]*(?=[\s,;:])/u.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[\p{L}\p{N})"\u0060”]$/u.test(sentence) ? `${sentence}.` : sentence;
}

/** Whether the last request reached the server. */
export const isReachable = signal(true);
/** Becomes true when a session that was there has ended: the page asks to sign in and loses nothing. */
export const isSignedOut = signal(false);

let refreshing = null;
/** Renews the session by its cookie; several requests that need it share one try. */
function refreshSession() {
  refreshing ??= fetch(`${prefix}/api/v1/auth/refresh`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })
    // 409: another tab is doing it at this moment, and its cookies are those of this tab.
    .then((response) => response.ok || (response.status === 409 && new Promise((done) => setTimeout(() => done(true), 500))), () => false)
    .finally(() => (refreshing = null));
  return refreshing;
}

function urlOf(path, query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) if (one !== null && one !== undefined && one !== "") parameters.append(name, one);
  }
  const root = path.startsWith("/v1/") || path.startsWith("/health") || path.startsWith("/ready") ? "" : "/api/v1";
  return prefix + root + path + (parameters.size ? `?${parameters}` : "");
}

async function failureOf(response) {
  const type = response.headers.get("content-type") ?? "";
  const problem = type.includes("json") ? await response.json().catch(() => ({})) : {};
  if (!problem.detail) problem.detail = t("error.status", { status: response.status });
  return new ApiError(problem, response.status);
}

/** The length of a request, and requests at once, that outlive the page: browsers refuse more than 64 KiB and about 20 of them. */
const MAX_KEPT_LENGTH = 2048;
const MAX_KEPT_REQUESTS = 8;
let keptRequests = 0;

/** `fetch`; what changes or deletes something reaches the server although the page is reloaded or left in the same moment. */
async function fetchKept(url, options) {
  const keepalive =
    ["PATCH", "PUT", "DELETE"].includes(options.method) && keptRequests < MAX_KEPT_REQUESTS && (options.body?.length ?? 0) <= MAX_KEPT_LENGTH;
  if (!keepalive) return fetch(url, options);
  keptRequests += 1;
  try {
    return await fetch(url, { ...options, keepalive });
  } finally {
    keptRequests -= 1;
  }
}

/**
 * Makes a request and gives the `Response`; refusals are thrown as `ApiError`.
 * `path` is below `/api/v1`. Options: `query`, `body` (JSON), `headers`, `signal`.
 */
export async function send(method, path, { query, body, headers, signal: abort } = {}) {
  const options = { method, headers: { ...headers }, signal: abort };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  for (let attempt = 0; ; attempt += 1) {
    let response;
    try {
      response = await fetchKept(urlOf(path, query), options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      isReachable.set(false);
      throw new ApiError({ code: "offline", detail: t("error.offline") }, 0);
    }
    isReachable.set(true);
    if (response.ok) return response;
    if (response.status === 401 && !/^\/auth\/(log|re)/.test(path)) {
      if (attempt === 0 && (await refreshSession())) continue;
      isSignedOut.set(true);
    }
    throw await failureOf(response);
  }
}

async function json(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

/** Requests that give JSON. */
export const api = {
  get: (path, query, options) => json("GET", path, { query, ...options }),
  post: (path, body, options) => json("POST", path, { body, ...options }),
  put: (path, body, options) => json("PUT", path, { body, ...options }),
  patch: (path, body, options) => json("PATCH", path, { body, ...options }),
  delete: (path, options) => json("DELETE", path, options),
};

/** Sends a form (a file) and tells `onProgress` from 0 to 1; gives the answer's JSON. */
export async function upload(path, form, options = {}) {
  try {
    return await uploadOnce(path, form, options);
  } catch (error) {
    if (error.status !== 401) throw error;
    if (await refreshSession()) return uploadOnce(path, form, options);
    isSignedOut.set(true);
    throw error;
  }
}

function uploadOnce(path, form, { onProgress, signal: abort, query }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", urlOf(path, query));
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onerror = () => reject(new ApiError({ code: "offline", detail: t("error.offline") }, 0));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // Not ours: a proxy's page, for instance.
      }
      if (request.status < 300) return resolve(answer);
      if (!answer.detail) answer.detail = t("error.status", { status: request.status });
      reject(new ApiError(answer, request.status));
    };
    abort?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** A list that is read page by page: `items`, `isLoading`, `isComplete`, `error` are signals; `more()` reads the next page, `reset()` begins anew. */
export function paged(path, query = () => ({})) {
  const list = { items: signal([]), isLoading: signal(false), isComplete: signal(false), error: signal(null) };
  let cursor = null;
  let epoch = 0;
  list.more = async () => {
    if (list.isLoading.peek() || list.isComplete.peek()) return;
    const mine = epoch;
    list.isLoading.set(true);
    list.error.set(null);
    try {
      const page = await api.get(path, { ...query(), cursor });
      if (mine !== epoch) return;
      cursor = page.next_cursor;
      // What came into the list by another way meanwhile is not listed twice.
      const ids = new Set(list.items.peek().map((item) => item.id));
      list.items.update((known) => [...known, ...page.data.filter((item) => item.id === undefined || !ids.has(item.id))]);
      list.isComplete.set(!cursor);
    } catch (error) {
      if (mine === epoch) list.error.set(error);
    } finally {
      if (mine === epoch) list.isLoading.set(false);
    }
  };
  list.reset = () => {
    epoch += 1;
    cursor = null;
    list.items.set([]);
    list.isComplete.set(false);
    list.isLoading.set(false);
    return list.more();
  };
  return list;
}
