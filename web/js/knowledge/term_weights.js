// How much each word of a question counts: the rarer, the more.

import { api } from "../api.js";
import { el } from "../dom.js";
import { signal } from "../reactive.js";
import { formatNumber } from "../format.js";

/** Words whose weights are asked for at most; longer questions are told without. */
const WEIGHED_TERMS = 10;

/**
 * The words of a search with their weights: `load()` asks for them once, `chip(term, kind)` draws one. What no score reaches
 * for a question is the sum of that of its words, so a search for each alone tells its part.
 */
export function termWeights(body, explain, labels) {
  const shares = signal(null);
  let isAsked = false;
  const load = async () => {
    if (isAsked || !explain.max_bm25 || explain.terms.length > WEIGHED_TERMS) return;
    isAsked = true;
    const weigh = async (term) => {
      const only = { query: labels.get(term), collections: body.collections, filter: body.filter, mode: "text", limit: 1, explain: true };
      const found = (await api.post("/knowledge/search", only)).explain;
      return [term, { share: found.max_bm25 / explain.max_bm25, count: found.text_candidates }];
    };
    try {
      shares.set(new Map(await Promise.all(explain.terms.map(weigh))));
    } catch {
      // The words are told without their weights.
      isAsked = false;
    }
  };
  const chip = (term, kind) =>
    el(`span.term.${kind}`, { dir: "auto" }, labels.get(term), () => {
      const found = shares()?.get(term);
      return found ? el("small.term-weight", {}, formatNumber(Math.min(1, found.share), { style: "percent" })) : null;
    });
  return { load, chip };
}
