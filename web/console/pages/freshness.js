// How soon a feed reflects what a person just did.

import { h, text, clear } from "/assets/shared/dom.js";
import { Bars } from "/assets/shared/chart.js";
import { digits, ms, rate, whole } from "/assets/shared/format.js";
import { get } from "../api.js";
import { attempt, badge, card, figures, grid, page, wide } from "../ui.js";

export default function freshness(context) {
  const { live, start } = context;
  const objective = start.freshness.objective_ms;
  let within = {};
  const state = h("span");
  const now = figures([
    { label: "p50", value: () => ms(within.p50_ms ?? NaN), hint: `over the last ${start.freshness.window_s} s` },
    { label: "p99", value: () => ms(within.p99_ms ?? NaN), hint: `objective ${objective} ms`, tone: () => (within.p99_ms > objective ? "bad" : "") },
    { label: "Measured", value: () => rate(live.value("freshness.rate")), hint: () => `${whole(within.count)} in the window` },
    { label: "Stale feeds", value: () => rate(live.value("freshness.stale")), hint: "answered before the event was applied" },
    { label: "Awaited", value: () => whole(live.value("freshness.watched")), hint: "events that no feed reflects yet" },
  ]);
  const bars = new Bars({ title: "How the delays are spread", unit: `events of the last ${start.freshness.window_s} s`, format: whole, empty: "No event was followed by a feed in this time." });
  const all = h("p.quiet");
  context.every(2, async () => {
    const found = await attempt(() => get("/admin/api/freshness"));
    if (!found) return;
    within = found.within;
    clear(state, badge(found.kept ? "kept" : "broken"), h("span", ` 99 of 100 events are to be reflected within ${found.objective_ms} ms.`));
    const bounds = within.bounds_ms;
    const first = within.counts.findIndex((n) => n > 0), last = within.counts.findLastIndex((n) => n > 0);
    bars.set(first < 0 ? [] : within.counts.slice(first, last + 1).map((value, i) => {
      const at = first + i;
      const label = at === bounds.length ? `over ${ms(bounds[at - 1])}` : `up to ${ms(bounds[at])}`;
      return { label, value, marked: (bounds[at - 1] ?? 0) >= objective };
    }));
    const since = found.since_start;
    text(all, since.count ? `Since the start: ${whole(since.count)} events, p50 ${ms(since.p50_ms)}, p90 ${ms(since.p90_ms)}, p99 ${ms(since.p99_ms)}; ${whole(found.stale)} stale feeds.` : "Nothing was measured since the start.");
    now.update();
  });
  context.follow(() => now.update());
  return page("Freshness", "How long after an event was accepted does the person's feed reflect it?",
    h("p.state", state), now.element,
    wide(card(null, context.chart({ title: "Accepted event to the first feed that reflects it", unit: "ms", height: 240, format: (v) => digits(v, 3),
      series: [{ name: "freshness.p50", label: "p50" }, { name: "freshness.p99", label: "p99" }], objective: { value: objective, label: `objective ${objective} ms` } }))),
    grid(card(null, bars.element, all),
      card(null, context.chart({ title: "Events reflected, and feeds that were stale", unit: "per second", series: [{ name: "freshness.rate", label: "reflected" }, { name: "freshness.stale", label: "stale", colour: "var(--c7)" }] }))),
    card("What is measured", h("p", "The clock runs from the moment an event is durable, or from the person's next request if that comes later, to the answer that reflects it: the time for which nobody asked is nobody's delay. Each person has one event under watch at a time. On several nodes, a node measures the people it holds.")));
}
