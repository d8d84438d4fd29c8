// Who uses the page, and what this server is.

import { api, isSignedOut, send } from "./api.js";
import { signal, computed } from "./reactive.js";
import { prefix } from "./router.js";
import { forgetPersonal, keep, recall } from "./storage.js";

/** What `GET /api/v1/server` says: `version`, `sign_in`, `registration`, `needs_first_user`, `oidc_providers`, `user`. */
export const server = signal(null);
/** Who is signed in, or null. */
export const user = computed(() => server()?.user ?? null);
/** Whether this is a server of one person without a login. */
export const isLocal = computed(() => server()?.sign_in === "none");
/** Whether the server's operator is here: what others may not do is not shown to them. */
export const isAdmin = computed(() => isLocal() || user()?.role === "admin");

/** Asks the server who it is and who asks; renews a session that is over. */
export async function loadSession() {
  let found = await api.get("/server");
  if (!found.user && found.sign_in === "accounts" && recall("signed_in")) {
    const renewed = await send("POST", "/auth/refresh", { body: {} }).then(() => true, (error) => error.status === 409);
    if (renewed) found = await api.get("/server");
  }
  if (found.user && recall("user", found.user.id) !== found.user.id) forgetPersonal();
  server.set(found);
  if (found.user) {
    // Other tabs see by it who it is now: js/account/other_tabs.js.
    keep("signed_in", found.user.id);
    keep("user", found.user.id);
    isSignedOut.set(false);
  }
}

const lastWorks = [];
/** Has `work` done before the session ends, while it is still allowed. */
export function beforeSignOut(work) {
  lastWorks.push(work);
}

/** Ends the session here. */
export async function signOut() {
  await Promise.allSettled(lastWorks.map((work) => work()));
  await send("POST", "/auth/logout").catch(() => {});
  keep("signed_in", null);
  forgetPersonal();
  location.assign(`${prefix}/`);
}
