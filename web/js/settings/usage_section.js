// What models were used for and cost: by day, model and account.

import { el } from "../dom.js";
import { api } from "../api.js";
import { formatCost, formatNumber } from "../format.js";
import { isAdmin, isLocal } from "../session.js";
import { language, t } from "../language.js";
import { navigate, query } from "../router.js";
import { barPlot, shareBar } from "./plot.js";
import { csvOf, saveText } from "./csv.js";
import { loadPeople, personName } from "./people.js";
import { busyButton, resource, settingsPart, shown } from "./parts.js";

const USAGE_DAY = 86_400_000;
const RANGES = ["7", "30", "90", "365"];
const MEASURES = { cost: (row) => row.cost, tokens: (row) => row.input_tokens + row.output_tokens, calls: (row) => row.calls };
/** Days that are drawn at most. */
const MAX_DAYS = 400;

const dayText = (time) => new Date(time).toISOString().slice(0, 10);

/** The days of the address, both included, in UTC as the server counts them. */
function usageRange(parameters) {
  const today = dayText(Date.now());
  const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "") && !Number.isNaN(Date.parse(text));
  const [from, to] = [parameters.get("from"), parameters.get("to")];
  if (isDay(from) && isDay(to) && from <= to) return { from, to, choice: "own" };
  const choice = RANGES.includes(parameters.get("days")) ? parameters.get("days") : "30";
  return { from: dayText(Date.now() - (Number(choice) - 1) * USAGE_DAY), to: today, choice };
}

/** What a request calls the range: its end is not in it. */
function usagePeriod({ from, to }) {
  return { from: `${from}T00:00:00Z`, to: new Date(Date.parse(to) + USAGE_DAY).toISOString() };
}

function usagePoints(rows, { from, to }, measure) {
  const byDay = new Map(rows.map((row) => [row.day ?? row.key, measure(row)]));
  const format = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: "UTC" });
  const points = [];
  for (let time = Date.parse(from); time <= Date.parse(to) && points.length < MAX_DAYS; time += USAGE_DAY) {
    points.push({ key: dayText(time), label: format.format(time), value: byDay.get(dayText(time)) ?? 0 });
  }
  return points;
}

function usageTable(caption, rows, nameOf, measure) {
  const most = Math.max(0, ...rows.map(measure));
  const number = (value) => el("td.number", {}, formatNumber(value));
  return el(
    "div.table-scroll",
    { tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table.list.settings-usage",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          [caption, "calls", "input", "output", "cost"].map((name, at) =>
            el(at ? "th.number" : "th", { scope: "col" }, at ? t(`settings.usage.column.${name}`) : name),
          ),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, el("span", { dir: "auto" }, nameOf(row)), shareBar(most ? measure(row) / most : 0)),
            number(row.calls),
            number(row.input_tokens),
            number(row.output_tokens),
            el("td.number", {}, formatCost(row.cost)),
          ),
        ),
      ),
    ),
  );
}

function rangeControls(range, measure) {
  const go = (changes) => {
    const known = { ...Object.fromEntries(query.peek()), ...changes };
    const next = new URLSearchParams(Object.entries(known).filter(([, value]) => value));
    navigate(`/settings/usage${next.size ? `?${next}` : ""}`, { replace: true });
  };
  const option =
    (chosen) =>
    ([key, label]) =>
      el("option", { value: key, selected: key === chosen }, label);
  const ranges = [...RANGES.map((days) => [days, t("settings.usage.last_days", { count: Number(days) })]), ["own", t("settings.usage.own_range")]];
  const chooseRange = (choice) =>
    go(choice === "own" ? { days: null, from: range.from, to: range.to } : { days: choice === "30" ? null : choice, from: null, to: null });
  const day = (name) =>
    el("input", {
      type: "date",
      "aria-label": t(`settings.usage.${name}`),
      value: range[name],
      max: dayText(Date.now()),
      onchange: (event) => event.target.value && go({ from: range.from, to: range.to, [name]: event.target.value }),
    });
  return el(
    "div.row",
    {},
    el("select", { "aria-label": t("settings.usage.range"), onchange: (event) => chooseRange(event.target.value) }, ranges.map(option(range.choice))),
    range.choice === "own" ? [day("from"), day("to")] : null,
    el(
      "select",
      { "aria-label": t("settings.usage.measure"), onchange: (event) => go({ show: event.target.value === "cost" ? null : event.target.value }) },
      Object.keys(MEASURES)
        .map((name) => [name, t(`settings.usage.measure_${name}`)])
        .map(option(measure)),
    ),
  );
}

async function saveUsage(range, byUser) {
  const { data } = await api.get("/usage", { ...usagePeriod(range), group_by: byUser ? "day,model,user" : "day,model" });
  const columns = [
    "day",
    "model",
    ...(byUser ? ["account", "user_id"] : []),
    "calls",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "cost_usd",
    "estimated_calls",
  ];
  const rows = data.map((row) => [
    row.day,
    row.model,
    ...(byUser ? [personName(row.user_id), row.user_id] : []),
    row.calls,
    row.input_tokens,
    row.cached_tokens,
    row.output_tokens,
    row.cost,
    row.estimated_calls,
  ]);
  rows.sort((one, other) => String(one[0]).localeCompare(String(other[0])));
  saveText(`usage-${range.from}-${range.to}.csv`, csvOf([columns, ...rows]), "text/csv");
}

function usageReport(range, measureName, byUser) {
  const measure = MEASURES[measureName];
  const format = measureName === "cost" ? formatCost : (value) => formatNumber(value, { notation: "compact" });
  const period = usagePeriod(range);
  const found = resource(async () => {
    const groups = ["day", "model", ...(byUser ? ["user"] : [])];
    const answers = await Promise.all(groups.map((group) => api.get("/usage", { ...period, group_by: group })));
    return Object.fromEntries(groups.map((group, at) => [group, answers[at].data]));
  });
  return shown(found, (data) => {
    const { day: days, model: byModel, user: users } = data.peek();
    const sum = (pick) => days.reduce((all, row) => all + pick(row), 0);
    if (!days.length) return el("p.muted.settings-empty", {}, t("settings.usage.empty"));
    const points = usagePoints(days, range, measure);
    const sorted = (rows) => [...rows].sort((one, other) => measure(other) - measure(one));
    const facts = [
      ["cost", formatCost(sum(MEASURES.cost))],
      ["tokens", formatNumber(sum(MEASURES.tokens))],
      ["calls", formatNumber(sum(MEASURES.calls))],
    ];
    const estimated = sum((row) => row.estimated_calls);
    return [
      el(
        "dl.settings-sums",
        {},
        facts.map(([name, text]) => el("div", {}, el("dt", {}, t(`settings.usage.measure_${name}`)), el("dd", {}, text))),
      ),
      settingsPart(
        t("settings.usage.by_day"),
        {},
        barPlot({ points, format, title: t(`settings.usage.measure_${measureName}`) }),
        el("p.small.muted", {}, t("settings.usage.utc"), estimated ? ` ${t("settings.usage.estimated", { count: estimated })}` : ""),
        el(
          "details.settings-more",
          {},
          el("summary", {}, t("settings.usage.as_table")),
          usageTable(
            t("settings.usage.column.day"),
            [...days].sort((one, other) => (one.day < other.day ? 1 : -1)),
            (row) => row.day ?? row.key,
            measure,
          ),
        ),
      ),
      settingsPart(
        t("settings.usage.by_model"),
        {},
        usageTable(t("settings.usage.column.model"), sorted(byModel), (row) => row.model ?? row.key, measure),
      ),
      users
        ? settingsPart(t("settings.usage.by_user"), {}, () =>
            usageTable(t("settings.usage.column.user"), sorted(users), (row) => personName(row.user_id ?? row.key), measure),
          )
        : null,
    ];
  });
}

export function usageSection() {
  const byUser = isAdmin.peek() && !isLocal.peek();
  if (byUser) loadPeople();
  return settingsPart(null, { intro: byUser ? t("settings.usage.intro_all") : t("settings.usage.intro") }, () => {
    const range = usageRange(query());
    const measure = MEASURES[query().get("show")] ? query().get("show") : "cost";
    return [
      el(
        "div.row.settings-bar",
        {},
        rangeControls(range, measure),
        busyButton(t("settings.usage.export"), () => saveUsage(range, byUser)),
      ),
      usageReport(range, measure, byUser),
    ];
  });
}
