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

/** Changes parts of the address's query; `null` takes one out. */
function goUsage(changes) {
  const known = { ...Object.fromEntries(query.peek()), ...changes };
  const next = new URLSearchParams(Object.entries(known).filter(([, value]) => value));
  navigate(`/settings/usage${next.size ? `?${next}` : ""}`, { replace: true });
}

function usageSelect(label, options, chosen, choose) {
  const drawn = options.map(([key, text]) => el("option", { value: key, selected: key === chosen }, text));
  return el("select", { "aria-label": label, onchange: (event) => choose(event.target.value) }, drawn);
}

function rangeControls({ from, to, choice }) {
  const ranges = [...RANGES.map((days) => [days, t("settings.usage.last_days", { count: Number(days) })]), ["own", t("settings.usage.own_range")]];
  const choose = (chosen) => goUsage(chosen === "own" ? { days: null, from, to } : { days: chosen === "30" ? null : chosen, from: null, to: null });
  const day = (name, value) => {
    const change = (event) => event.target.value && goUsage({ from, to, [name]: event.target.value });
    return el("input", { type: "date", "aria-label": t(`settings.usage.${name}`), value, max: dayText(Date.now()), onchange: change });
  };
  return el("div.row", {}, usageSelect(t("settings.usage.range"), ranges, choice, choose), choice === "own" ? [day("from", from), day("to", to)] : null);
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

function usageReport(range, wanted, byUser) {
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
    // Models on one's own machine cost nothing: then tokens say more.
    const name = MEASURES[wanted] ? wanted : sum(MEASURES.cost) > 0 ? "cost" : "tokens";
    const measure = MEASURES[name];
    const format = name === "cost" ? formatCost : (value) => formatNumber(value, { notation: "compact" });
    const measures = Object.keys(MEASURES).map((one) => [one, t(`settings.usage.measure_${one}`)]);
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
        facts.map(([fact, text]) => el("div", {}, el("dt", {}, t(`settings.usage.measure_${fact}`)), el("dd", {}, text))),
      ),
      settingsPart(
        t("settings.usage.by_day"),
        { actions: usageSelect(t("settings.usage.measure"), measures, name, (show) => goUsage({ show })) },
        barPlot({ points, format, title: t(`settings.usage.measure_${name}`) }),
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
    const save = busyButton(t("settings.usage.export"), () => saveUsage(range, byUser));
    return [el("div.row.settings-bar", {}, rangeControls(range), save), usageReport(range, query().get("show"), byUser)];
  });
}
