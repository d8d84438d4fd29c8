// Why a document is not among the hits: its best passage is compared with what was found.

import { api } from "../api.js";
import { el, each, when } from "../dom.js";
import { signal } from "../reactive.js";
import { t } from "../language.js";
import { documentPath } from "./links.js";
import { link } from "../router.js";
import { formatScore, hitCard, scoreShares } from "./hit.js";
import { failureNote, waiting } from "./states.js";

/** Documents that are offered at most; others are compared from their own screen's name. */
const MISSING_CHOICES = 200;

/** The question why a document is missing among `hits` of the search `body`, which went as `explain` says. */
export function missingDocument(body, hits, explain) {
  const [documents, chosen, answer, error, isBusy] = [signal([]), signal(""), signal(null), signal(null), signal(false)];
  let isLoaded = false;
  const load = async (event) => {
    if (isLoaded || !event.target.open) return;
    isLoaded = true;
    try {
      const { data } = await api.get("/knowledge/documents", { limit: MISSING_CHOICES });
      documents.set(data.sort((a, b) => a.name.localeCompare(b.name)));
    } catch (problem) {
      isLoaded = false;
      error.set(problem);
    }
  };
  const compare = async () => {
    const document = documents.peek().find(({ id }) => id === chosen.peek());
    answer.set(null);
    error.set(null);
    if (!document) return;
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
    { ontoggle: load },
    el("summary", {}, t("knowledge.search.missing_document")),
    el(
      "div.stack",
      {},
      el("p.small.muted", {}, t("knowledge.search.missing_hint")),
      el(
        "label.field",
        {},
        el("span", {}, t("knowledge.search.missing_pick")),
        el("select", { onchange: (event) => (chosen.set(event.target.value), compare()) }, el("option", { value: "" }, t("knowledge.search.missing_choose")), each(documents, ({ id }) => id, (document) => el("option", { value: () => document().id }, () => document().name))),
      ),
      when(isBusy, waiting),
      () => (error() ? failureNote(error(), compare) : null),
      () => (answer() ? el("div.stack", { role: "status" }, el("p", {}, answer().text, " ", link(documentPath({ document_id: answer().id }), {}, t("knowledge.document.open"))), answer().hit ? el("ol.hit-list", {}, hitCard(answer().hit, 1, explain)) : null) : null),
    ),
  );
}

async function whyMissing(document, body, hits, explain) {
  const say = (key, values, hit) => ({ id: document.id, text: t(`knowledge.search.missing_${key}`, values), hit });
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
