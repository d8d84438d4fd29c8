// Why a document is not among the hits: its best passage is compared with what was found.

import { api } from "../api.js";
import { el, when } from "../dom.js";
import { signal } from "../reactive.js";
import { link } from "../router.js";
import { t } from "../language.js";
import { documentFinder } from "./document_finder.js";
import { documentPath } from "./links.js";
import { formatScore, hitCard, scoreShares } from "./hit.js";
import { failureNote, waiting } from "./states.js";

/** The question why a document is missing among `hits` of the search `body`, which went as `explain` says. */
export function missingDocument(body, hits, explain) {
  const [answer, error, isBusy] = [signal(null), signal(null), signal(false)];
  const compare = async (document) => {
    answer.set(null);
    error.set(null);
    isBusy.set(true);
    try {
      answer.set(await whyMissing(document, body, hits, explain));
    } catch (problem) {
      error.set(problem);
    } finally {
      isBusy.set(false);
    }
  };
  return el(
    "details.missing-document",
    {},
    el("summary", {}, t("knowledge.search.missing_document")),
    el(
      "div.stack",
      {},
      el("p.small.muted", {}, t("knowledge.search.missing_hint")),
      documentFinder(compare),
      when(isBusy, waiting),
      () => (error() ? failureNote(error()) : null),
      el("div.stack", { role: "status" }, () => (answer() ? missingAnswer(answer(), explain) : null)),
    ),
  );
}

function missingAnswer({ id, name, text, hit }, explain) {
  return [
    el("p", {}, el("strong", { dir: "auto" }, name), el("br"), text, " ", link(documentPath({ document_id: id }), {}, t("knowledge.document.open"))),
    hit ? el("ol.hit-list", {}, hitCard(hit, 1, explain)) : null,
  ];
}

async function whyMissing(document, body, hits, explain) {
  const say = (key, values, hit) => ({ id: document.id, name: document.name, text: t(`knowledge.search.missing_${key}`, values), hit });
  const at = hits.findIndex((hit) => hit.document_id === document.id);
  if (at >= 0) return say("found", { rank: at + 1 });
  if (document.status !== "ready" && !document.chunk_count) return say("unread", { state: t(`knowledge.status.${document.status}`) });
  if (!document.chunk_count) return say("empty");
  if (body.collections && !body.collections.includes(document.collection_id)) return say("elsewhere");
  const only = { query: body.query, collections: [document.collection_id], limit: 1, explain: true, mode: body.mode, filter: { eq: { field: "$id", value: document.id } } };
  const { data } = await api.post("/knowledge/search", only);
  const hit = data[0];
  if (!hit) return say("none");
  // Weighed as the search was, so that the numbers compare.
  const { words, meaning } = scoreShares(hit, explain);
  const score = (words ?? 0) + (meaning ?? 0);
  const last = hits.at(-1)?.score;
  const weighed = { ...hit, score, explain: { ...hit.explain, fused: score } };
  if (last === undefined || score > last) return say("filter", { score: formatScore(score) }, weighed);
  return say("score", { score: formatScore(score), last: formatScore(last) }, weighed);
}
