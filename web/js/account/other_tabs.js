// What happens to the session in other tabs of this browser, whose cookies are those of this one.

import { isSignedOut } from "../api.js";
import { loadSession, user } from "../session.js";
import { prefix } from "../router.js";

/** Follows who signs in and out in other tabs, as `loadSession` and `signOut` keep it. */
export function followOtherTabs() {
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== "aimate.signed_in") return;
    const now = newValue === null ? null : JSON.parse(newValue);
    const known = user.peek();
    if (!now) {
      if (known) isSignedOut.set(true);
    } else if (!known) location.reload();
    // What this tab shows is of somebody else.
    else if (now !== known.id) location.assign(`${prefix}/`);
    else if (isSignedOut.peek()) loadSession().catch(() => {});
  });
}
