// What waits, and what can never be applied.

import { clear, h } from "/assets/shared/dom.js";
import { percent, rate, whole, words } from "/assets/shared/format.js";
import { get, post } from "../api.js";
import { attempt, button, card, confirm, figures, grid, keep, page, say, table, wide } from "../ui.js";

export default function queues(context) {
  const { live, start } = context;
  const now = figures([
    { label: "On the bus", value: () => whole(live.value("bus.depth")), hint: () => `${percent(live.value("bus.depth") / start.bus_max_depth, 1)} of ${whole(start.bus_max_depth)}` },
    { label: "Accepted", value: () => rate(live.value("events.accepted")) },
    { label: "Applied", value: () => rate(live.value("ingest.applied")) },
    { label: "Known already", value: () => rate(live.value("ingest.duplicates") + live.value("events.duplicate")) },
    { label: "Refused at the door", value: () => rate(live.value("events.rejected")), tone: () => (live.value("events.rejected") > 0 ? "warn" : "") },
    { label: "Into quarantine", value: () => rate(live.value("ingest.quarantined")), tone: () => (live.value("ingest.quarantined") > 0 ? "bad" : "") },
  ]);
  const all = table("Queues", [
    { head: "Service", cell: (q) => words(q.service) },
    { head: "Queue", cell: (q) => words(q.name) },
    { head: "Waiting", number: true, cell: (q) => whole(q.depth) },
    { head: "Places", number: true, cell: (q) => whole(q.capacity) },
    { head: "Dropped", number: true, cell: (q) => whole(q.dropped) },
  ], { key: (q) => `${q.service}/${q.name}` });
  context.follow((look) => {
    now.update();
    all.set(look.services.flatMap((s) => s.queues.map((q) => ({ ...q, service: s.name }))));
  });
  const count = h("p.quiet");
  const kept = table("Rejected events", [
    { head: "Event", cell: (e) => keep(e.key, h("details", h("summary", e.title), h("pre", e.payload))) },
    { head: "Reason", cell: (e) => e.reason },
    { head: "Since", cell: (e) => e.at?.slice(0, 19).replace("T", " ") ?? "" },
    { head: "Partition", number: true, cell: (e) => `p${String(e.partition).padStart(2, "0")}` },
    { head: "Delivered", number: true, cell: (e) => `${whole(e.redelivered + 1)}×` },
    { head: "", cell: (e) => keep(e.key, h("span.actions", button("Replay", () => settle(e, "replay"), "small"), button("Discard", () => settle(e, "discard"), "small"))) },
  ], { key: (e) => e.key, empty: "No event was rejected." });
  const load = async () => {
    const found = await attempt(() => get("/admin/api/quarantine?limit=100"));
    if (!found) return;
    clear(count, found.elsewhere ?? (found.count ? `${whole(found.count)} in quarantine${found.count > found.events.length ? `; the first ${found.events.length} are shown` : ""}.` : "Events that can never be applied are kept here with the reason."));
    kept.set(found.events.map((e) => ({ ...e, key: String(e.id), title: name(e.payload) })));
  };
  async function settle(event, how) {
    const replay = how === "replay";
    const sure = await confirm({
      title: replay ? "Replay this event?" : "Discard this event?", action: replay ? "Replay" : "Discard",
      body: replay ? "It is published again as it came. If the reason still holds, it comes back." : "It is forgotten for good. The audit log notes it.",
    });
    if (sure && await attempt(() => post(`/admin/api/quarantine/${encodeURIComponent(event.key)}/${how}`))) { say(replay ? "Replayed" : "Discarded"); load(); }
  }
  context.every(3, load);
  return page("Queues", "Does anything wait too long, and what could not be applied?", now.element,
    wide(card("Rejected events", count, kept.element)),
    grid(card(null, context.chart({ title: "Events on the bus", unit: "waiting", format: whole, series: [{ name: "bus.depth", label: "waiting" }] })),
      card(null, context.chart({ title: "Waiting for the feature writer", unit: "rows", format: whole, series: [{ name: "service.feature_writer.depth", label: "waiting" }] })),
      card(null, context.chart({ title: "Events", unit: "per second", series: [{ name: "events.accepted", label: "accepted" }, { name: "ingest.applied", label: "applied" }, { name: "ingest.duplicates", label: "known already" }, { name: "ingest.deferred", label: "given back" }] })),
      card(null, context.chart({ title: "Rejected", unit: "per second", series: [{ name: "events.rejected", label: "refused at the door" }, { name: "ingest.quarantined", label: "quarantined", colour: "var(--c7)" }] }))),
    card("Queues", all.element));
}

function name(payload) {
  try { const event = JSON.parse(payload); return `${event.kind ?? "event"} ${event.id ?? ""} of ${event.user ?? "nobody"}`; } catch { return "not JSON"; }
}
