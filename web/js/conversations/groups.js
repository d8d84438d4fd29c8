// Conversations grouped by when they last changed, as people speak of it.

import { signal } from "../reactive.js";
import { activeAt } from "./list.js";
import { language, t } from "../language.js";

/** The start of the day that it is here; changes at midnight. */
export const today = signal(startOfDay(new Date()));

function startOfDay(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

function checkDay() {
  today.set(startOfDay(new Date()));
}
addEventListener("focus", checkDay);
setInterval(checkDay, 60000);

/** Groups conversations that are sorted, newest first: `[{ key, name, items }]`. */
export function groupsOf(pinned, recent) {
  const start = new Date(today());
  const before = (days) => new Date(start.getFullYear(), start.getMonth(), start.getDate() - days).getTime();
  const steps = [[today(), "today"], [before(1), "yesterday"], [before(7), "week"], [new Date(start.getFullYear(), start.getMonth(), 1).getTime(), "month"]];
  const groups = pinned.length ? [{ key: "pinned", name: t("conversations.pinned"), items: pinned }] : [];
  for (const one of recent) {
    const time = Date.parse(activeAt(one));
    const [, step] = steps.find(([since]) => time >= since) ?? [];
    const month = new Date(time);
    const key = step ?? `${month.getFullYear()}-${month.getMonth()}`;
    let group = groups.at(-1);
    if (group?.key !== key) groups.push((group = { key, name: step ? t(`conversations.${step}`) : monthName(month, start), items: [] }));
    group.items.push(one);
  }
  return groups;
}

function monthName(month, now) {
  const isThisYear = month.getFullYear() === now.getFullYear();
  return new Intl.DateTimeFormat(language, { month: "long", ...(isThisYear ? {} : { year: "numeric" }) }).format(month);
}
