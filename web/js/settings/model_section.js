// The models of all model servers: what they can do and cost, and which are offered.

import { el, when } from "../dom.js";
import { api } from "../api.js";
import { formatNumber, formatTime } from "../format.js";
import { computed, signal } from "../reactive.js";
import { link, query, setQuery } from "../router.js";
import { badge, modelsChanged, resource, searchField, settingsList, settingsPart, shown, switchButton } from "./parts.js";
import { mayChange } from "./connection_section.js";
import { reloadWorkspaces } from "./workspaces.js";
import { t } from "../language.js";

/** What a million tokens cost: `$3 in · $15 out`. */
function pricesText({ input, output }) {
  const dollars = (value) => formatNumber(value, { style: "currency", currency: "USD", minimumFractionDigits: 0, maximumFractionDigits: 4 });
  return t("settings.models.prices", { input: dollars(input), output: dollars(output) });
}

function modelItem(found, model, canSwitch) {
  const { id, name, capabilities, context_window: window, prices } = model.peek();
  const change = async (isOn) => {
    const path = id.split("/").map(encodeURIComponent).join("/");
    const changed = await api.post(`/models/${path}/${isOn ? "enable" : "disable"}`);
    found.data.update((known) => known.map((one) => (one.id === id ? changed : one)));
    modelsChanged();
  };
  const facts = [
    window ? t("settings.models.window", { count: formatNumber(window, { notation: "compact" }) }) : null,
    prices ? pricesText(prices) : null,
  ].filter(Boolean);
  return el(
    "li.settings-item.settings-item-head",
    {},
    el(
      "div.grow",
      {},
      el(
        "div.row.settings-item-title",
        {},
        el("span", { dir: "auto" }, name),
        capabilities.filter((one) => one !== "chat").map((one) => badge(t(`settings.models.capability.${one}`))),
      ),
      el(
        "div.small.muted.settings-line",
        {},
        el("span", { dir: "ltr" }, id),
        facts.map((fact) => [" · ", fact]),
      ),
      () => (model().stale_since ? el("div.small.muted", {}, t("settings.connections.stale", { time: formatTime(model().stale_since) })) : null),
    ),
    when(
      () => canSwitch(model().connection_id),
      () => switchButton(t("settings.models.offer", { name: id }), () => model().is_active, change),
      () => (model.peek().is_active ? null : badge(t("settings.off"))),
    ),
  );
}

export function modelSection() {
  const found = resource(async () => (await api.get("/models")).data);
  // Whoever may change a model server says which of its models are offered.
  const connections = resource(async () => (await api.get("/connections", { limit: 200 })).data);
  const canSwitch = (id) => Boolean(connections.data()?.some((connection) => connection.id === id && mayChange(connection)));
  reloadWorkspaces();
  const wanted = signal(query.peek().get("q") ?? "");
  const matching = computed(() => {
    const words = wanted().toLowerCase().split(/\s+/).filter(Boolean);
    return (found.data() ?? []).filter(({ id, name, capabilities }) => {
      const text = `${id} ${name} ${capabilities.map((one) => `${one} ${t(`settings.models.capability.${one}`)}`).join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  });
  const search = searchField(t("settings.models.search"), wanted);
  search.addEventListener("change", () => setQuery("q", wanted.peek() || null));
  const empty = () =>
    found.data()?.length
      ? t("settings.models.none_found")
      : [t("settings.models.empty"), " ", link("/settings/connections", {}, t("settings.connections.add"))];
  return settingsPart(
    null,
    { intro: t("settings.models.intro") },
    shown(found, () => [search, settingsList(matching, (model) => modelItem(found, model, canSwitch), empty)]),
  );
}
