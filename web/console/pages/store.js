// The feature store: how large, how fast, what troubles it.

import { clear, h } from "/assets/shared/dom.js";
import { bytes, digits, ms, rate, whole, words } from "/assets/shared/format.js";
import { get } from "../api.js";
import { attempt, badge, card, figures, grid, page, table } from "../ui.js";

export default function store(context) {
  const { live, start } = context;
  let found = null;
  const now = figures([
    { label: "Engine", value: () => (start.store === "embedded" ? "embedded (fjall)" : start.store), hint: () => found?.where ?? "" },
    { label: "Size on disk", value: () => (found?.folders[0] ? bytes(found.folders.find((f) => f.folder === "store")?.bytes ?? NaN) : "–") },
    { label: "Videos", value: () => whole(found?.videos), hint: () => (found ? `${whole(found.creators)} creators, ${whole(found.categories)} categories` : "") },
    { label: "Events counted", value: () => whole(found?.events_counted) },
    { label: "Writes", value: () => rate(live.value("store.write.rate")), hint: () => `p99 ${ms(live.value("store.write.p99"))}` },
  ]);
  const trouble = h("p.state");
  const operations = table("Questions to the store", [
    { head: "Question", cell: (o) => words(o.operation) },
    { head: "Now", number: true, cell: (o) => rate(live.value(`store.${o.operation}.rate`)) },
    { head: "p50 now", number: true, cell: (o) => ms(live.value(`store.${o.operation}.p50`)) },
    { head: "p99 now", number: true, cell: (o) => ms(live.value(`store.${o.operation}.p99`)) },
    { head: "Since the start", number: true, cell: (o) => whole(o.count) },
    { head: "p99 since", number: true, cell: (o) => ms(o.p99_ms ?? NaN) },
    { head: "Failed", number: true, cell: (o) => whole(o.failed) },
  ], { key: (o) => o.operation });
  const folders = table("Folders", [
    { head: "Folder", cell: (f) => f.folder },
    { head: "Files", number: true, cell: (f) => whole(f.files) },
    { head: "Size", number: true, cell: (f) => bytes(f.bytes) },
  ], { key: (f) => f.folder });
  context.every(3, async () => {
    found = await attempt(() => get("/admin/api/store")) ?? found;
    if (!found) return;
    clear(trouble, found.trouble ? badge("failed") : badge("running"), h("span", found.trouble ?? " It answers."));
    operations.set(found.operations);
    folders.set(found.folders);
    now.update();
  });
  context.follow(() => { now.update(); if (found) operations.set(found.operations); });
  const chart = (title, figure, ops, unit) => card(null, context.chart({ title, unit, format: (v) => digits(v, 3), series: ops.map((o) => ({ name: `store.${o}.${figure}`, label: words(o) })) }));
  return page("Feature store", "Does it keep up, and how large is it?", trouble, now.element,
    grid(chart("Time to write, p99", "p99", ["write"], "ms"), chart("Time to read, p99", "p99", ["session", "known_events", "history"], "ms"),
      chart("Questions", "rate", ["write", "session", "known_events", "history", "user"], "per second"),
      card("On disk", folders.element)),
    card("Questions", operations.element));
}
