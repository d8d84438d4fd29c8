// What a browser keeps for this page. Where it refuses or is full, what was kept lasts as long as the tab.

const memory = new Map();

/** What was kept under `name`, or `fallback`. */
export function recall(name, fallback = null) {
  const key = `aimate.${name}`;
  try {
    const text = memory.get(key) ?? localStorage.getItem(key);
    return text === null ? fallback : JSON.parse(text) ?? fallback;
  } catch {
    return fallback;
  }
}

/** Forgets all but how the page looks: drafts and the like are not for who comes next. */
export function forgetPersonal() {
  const isKept = (key) => !key.startsWith("aimate.") || /^aimate\.(theme|language|sidebar|signed_in)$/.test(key);
  for (const key of [...memory.keys()].filter((one) => !isKept(one))) memory.delete(key);
  try {
    for (const key of Object.keys(localStorage).filter((one) => !isKept(one))) localStorage.removeItem(key);
  } catch {
    // What cannot be reached has nothing.
  }
}

/** Keeps `value`; `null` forgets it. */
export function keep(name, value) {
  const key = `aimate.${name}`;
  const text = JSON.stringify(value);
  try {
    memory.delete(key);
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    memory.set(key, text);
  }
}
