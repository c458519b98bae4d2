// What training reached, run by run.

import { clear, h } from "/assets/shared/dom.js";
import { duration, instant, whole, digits } from "/assets/shared/format.js";
import { get } from "../api.js";
import { attempt, badge, card, meter, page, table, wide } from "../ui.js";
import { metric } from "./models.js";

const three = (value) => (Number.isFinite(value) ? value.toFixed(3) : "–");

export default function training(context) {
  const none = () => h("p.quiet", "No run is under way. ", h("code", "foryou train"), " starts one; with the embedded store the server has to be stopped for it.");
  const current = h("div", none());
  const runs = table("Runs", [
    { head: "Began", cell: (r) => instant(r.began) },
    { head: "Outcome", cell: (r) => badge(r.outcome) },
    { head: "Took", number: true, cell: (r) => duration(r.seconds) },
    { head: "Events until", cell: (r) => (r.until ? instant(r.until) : "all") },
    { head: "Release", cell: (r) => r.release ?? "–" },
    { head: "What was said", cell: (r) => r.error ?? "" },
  ], { empty: "No run is recorded in this data folder yet." });
  const retrieval = table("Retrieval of each release", [
    { head: "Release", cell: (r) => r.id },
    { head: "Learned until", cell: (r) => instant(r.trained_until) },
    { head: "Videos", number: true, cell: (r) => whole(r.videos) },
    ...[["two_tower", "Two-tower"], ["blend", "Blend"], ["popularity", "Popularity"]].flatMap(([key, name]) => [
      { head: `${name} @100`, number: true, cell: (r) => three(metric(r.metrics, "retrieval", key, "recall_100")) },
      { head: "@300", number: true, cell: (r) => three(metric(r.metrics, "retrieval", key, "recall_300")) }]),
  ], { empty: "No release yet." });
  const ranking = table("Ranking of each release", [
    { head: "Release", cell: (r) => r.id },
    ...[["long_view", "Long view"], ["like", "Like"]].flatMap(([key, name]) => [
      { head: `${name} AUC`, number: true, cell: (r) => three(metric(r.metrics, "ranking", key, "auc")) },
      { head: "GAUC", number: true, cell: (r) => three(metric(r.metrics, "ranking", key, "gauc")) },
      { head: "NDCG@10", number: true, cell: (r) => three(metric(r.metrics, "ranking", key, "ndcg_10")) }]),
  ], { empty: "No release yet." });
  context.every(3, async () => {
    const [released, trained] = await Promise.all([attempt(() => get("/admin/api/releases")), attempt(() => get("/admin/api/training"))]);
    if (released) { const list = released.releases.map((r) => r.summary); retrieval.set(list); ranking.set(list); }
    if (!trained) return;
    runs.set(trained.runs);
    const run = trained.current;
    clear(current, run ? h("div.progress", badge("running"), h("span", ` ${run.stage}`), meter(run.done, run.total || 1, `${run.done} of ${run.total}`), h("span.quiet", run.total ? `${whole(run.done)} of ${whole(run.total)}` : `${digits(run.done)} steps`))
      : none());
  });
  return page("Training", "What did the last runs reach?", card("Now", current), wide(card("Runs", runs.element)),
    card("Retrieval, recall", retrieval.element), card("Ranking", ranking.element));
}
