// Numbers, times and sizes as people read them.

import { language } from "./language.js";

/** `1.2 MB`. */
export function formatBytes(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const options = { style: "unit", unit: units[step], unitDisplay: step ? "short" : "long", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(language, options).format(bytes / 1000 ** step);
}

export function formatNumber(number, options) {
  return new Intl.NumberFormat(language, options).format(number);
}

/** US dollars, with as many digits as a small sum needs. */
export function formatCost(dollars) {
  const digits = dollars > 0 && dollars < 0.01 ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat(language, { style: "currency", currency: "USD", ...digits }).format(dollars);
}

// Making the first one takes longer than drawing a whole conversation, so none is made before it is used.
const formats = new Map();
function dateFormat(style) {
  if (!formats.has(style)) formats.set(style, new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: style }));
  return formats.get(style);
}

/** The date and time of an RFC 3339 text. */
export function formatTime(text) {
  return dateFormat("short").format(new Date(text));
}

export function formatDay(text) {
  return dateFormat(undefined).format(new Date(text));
}

/** `3 minutes ago`. */
export function formatAgo(text, now = Date.now()) {
  const seconds = Math.round((new Date(text) - now) / 1000);
  const steps = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const [unit, size] = steps.find(([, least]) => Math.abs(seconds) >= least) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.trunc(seconds / size), unit);
}

/** `1.4 s`, `2 min 5 s`. */
export function formatDuration(milliseconds) {
  const seconds = milliseconds / 1000;
  const part = (value, unit, digits) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits }).format(value);
  if (seconds < 60) return part(seconds, "second", seconds < 10 ? 1 : 0);
  return `${part(Math.floor(seconds / 60), "minute", 0)} ${part(Math.round(seconds % 60), "second", 0)}`;
}
