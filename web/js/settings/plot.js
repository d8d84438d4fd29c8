// Bars over days, drawn as SVG, with a table that says the same.

import { el, svg } from "../dom.js";
import { t } from "../language.js";

/** The next round number above, so that the scale reads well: 1, 2, 2.5 or 5 times a power of ten. */
function roundAbove(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= value * 0.9999) * power;
}

/**
 * Bars of `points` (`{ key, label, value }`). `format` writes a value; `title` says what is drawn.
 * Bars stretch with the screen, so only the bars are in the drawing: words are text beside it.
 */
export function barPlot({ points, format, title }) {
  const top = roundAbove(Math.max(0, ...points.map(({ value }) => value)));
  const bars = points.map(({ label, value }, at) => {
    const height = (value / top) * 100;
    // The whole column answers to the pointer, so that a small bar can be read too.
    return svg(
      "g",
      { class: "plot-column" },
      svg("rect", { class: "plot-ground", x: at, y: 0, width: 1, height: 100 }),
      svg("rect", { class: "plot-bar", x: at + 0.12, y: 100 - height, width: 0.76, height }),
      svg("title", {}, `${label}: ${format(value)}`),
    );
  });
  const sum = points.reduce((all, { value }) => all + value, 0);
  const lines = [0, 50].map((y) => svg("line", { class: "plot-line", x1: 0, x2: points.length, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
  const drawing = svg(
    "svg",
    {
      class: "plot-area",
      viewBox: `0 0 ${points.length} 100`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": t("settings.usage.plot_label", { title, sum: format(sum), count: points.length }),
    },
    lines,
    bars,
    svg("line", { class: "plot-base", x1: 0, x2: points.length, y1: 100, y2: 100, "vector-effect": "non-scaling-stroke" }),
  );
  const labels = [...new Set([points[0], points[Math.floor((points.length - 1) / 2)], points.at(-1)])];
  return el(
    "figure.plot",
    {},
    el(
      "div.plot-scale.small.muted",
      { "aria-hidden": "true" },
      [top, top / 2, 0].map((value) => el("span", {}, format(value))),
    ),
    drawing,
    el(
      "div.plot-days.small.muted",
      { "aria-hidden": "true" },
      labels.map(({ label }) => el("span", {}, label)),
    ),
  );
}

/** A row's share of the greatest, as a bar behind nothing: for tables. */
export function shareBar(share) {
  const width = Math.max(share > 0 ? 1 : 0, share * 100);
  return svg(
    "svg",
    { class: "plot-share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "plot-bar", x: 0, y: 0, width, height: 6 }),
  );
}
