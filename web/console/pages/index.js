// The vector index: what it holds, how much of the true best it finds.

import { clear, h } from "/assets/shared/dom.js";
import { bytes, percent, whole, digits, instant } from "/assets/shared/format.js";
import { get } from "../api.js";
import { attempt, badge, button, card, figures, grid, page } from "../ui.js";

export default function index(context) {
  let found = null, measured = null;
  const stats = () => found?.index ?? {};
  const now = figures([
    { label: "Videos found", value: () => whole(stats().items), hint: () => (found ? `of ${whole(found.live)} that may be shown` : "") },
    { label: "In the graph", value: () => whole(stats().graph_items), hint: () => `${whole(stats().graph_dead)} dead` },
    { label: "Scanned exactly", value: () => whole(stats().exact_items), hint: "new or changed since the graph was built" },
    { label: "Memory", value: () => bytes(stats().bytes) },
    { label: "Recall@100", value: () => (measured ? percent(measured.recall, 1) : "–"), hint: () => (measured ? `least ${percent(measured.least, 1)}` : "not measured yet"), tone: () => (measured && measured.recall < 0.9 ? "warn" : "") },
  ]);
  const state = h("p.state"), result = h("p.quiet", "Searches for the vectors of some people in memory, with the index and by looking at every video, and compares.");
  const measure = button("Measure recall now", async () => {
    measure.disabled = true;
    const answer = await attempt(() => get("/admin/api/index/recall"));
    measure.disabled = false;
    if (!answer) return;
    measured = answer.measured;
    clear(result, `At ${instant(answer.at)}: ${whole(measured.queries)} searches (${measured.people === measured.queries ? "all for people in memory" : `${whole(measured.people)} for people in memory, the rest for videos`}) found ${percent(measured.recall, 1)} of the true best ${measured.neighbours}; a search took ${digits(measured.index_us, 3)} µs, looking at everything ${digits(measured.exact_us, 3)} µs.`);
    now.update();
  }, "primary");
  context.every(3, async () => {
    found = await attempt(() => get("/admin/api/index")) ?? found;
    if (!found) return;
    const s = found.index;
    const missing = s ? found.live - s.items : 0;
    clear(state, ...(s ? [badge(missing > 0 ? "waiting" : "live"), h("span", missing > 0 ? ` ${whole(missing)} videos are not in it yet.` : " Every video that may be shown is in it."), s.rebuilding ? h("span", " A new graph is being built.") : null] : [badge("stopped"), h("span", " No release serves, so there is no index.")]));
    now.update();
  });
  return page("Index", "Is every video in it, and does it find the best?", state, now.element,
    card("Recall", result, measure),
    grid(card(null, context.chart({ title: "Videos", unit: "videos", format: whole, series: [{ name: "index.items", label: "in the index" }, { name: "catalogue.videos", label: "in the catalogue" }] })),
      card(null, context.chart({ title: "Outside the graph", unit: "videos", format: whole, series: [{ name: "index.exact", label: "scanned exactly" }, { name: "index.dead", label: "dead in the graph" }] })),
      card(null, context.chart({ title: "Retrieval, with all sources", unit: "ms", series: [{ name: "feed.stage.sources.p50", label: "p50" }, { name: "feed.stage.sources.p99", label: "p99" }] })),
      card(null, context.chart({ title: "Index keeper at work, p99", unit: "ms", series: [{ name: "service.index_keeper.p99", label: "a change" }] }))));
}
