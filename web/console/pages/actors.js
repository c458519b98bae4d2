// Who works, how well, and what went wrong: the supervision tree and the sessions.

import { h } from "/assets/shared/dom.js";
import { ago, bytes, digits, ms, percent, rate, whole, words } from "/assets/shared/format.js";
import { get, post } from "../api.js";
import { attempt, badge, button, card, confirm, figures, grid, keep, link, meter, page, personForm, say, table, wide } from "../ui.js";

const WORK = {
  access: "Reads keys and logins again",
  certificate: "Watches the certificate",
  membership: "Which node holds which people",
  feature_writer: "Batches changes and makes them durable",
  session_sweeper: "Puts idle sessions to sleep",
  subscriptions: "Tells open feeds what changed",
  catalogue: "Writes the catalogue",
  catalogue_feed: "Reads what other nodes publish",
  ingest: "Takes events from the bus to the sessions",
  trends: "Computes what is popular",
  release_loader: "Watches which release is live",
  index_keeper: "Keeps the index in step",
  release_sync: "Fetches the release that is live for all nodes",
  quarantine: "Keeps what can never be applied",
  observatory: "Takes the figures of this console",
  statistics_exchange: "Reads the counts of other nodes",
};

async function restart(name) {
  const sure = await confirm({
    title: `Restart ${name}?`, action: "Restart",
    body: "It is ended where it stands and starts again at once. What it had not finished is done again; nothing is lost. The audit log notes it.",
  });
  if (sure && await attempt(() => post(`/admin/api/services/${name}/restart`))) say(`${name} restarts`);
}

export default function actors(context) {
  const { live, start } = context;
  const of = (name, figure) => live.value(`service.${name}.${figure}`);
  const now = figures([
    { label: "Events accepted", value: () => rate(live.value("events.accepted")) },
    { label: "Feeds", value: () => rate(live.value("feed.rate")) },
    { label: "Sessions in memory", value: () => whole(live.value("sessions.resident")), hint: () => bytes(live.value("sessions.bytes")) },
    { label: "CPU", value: () => percent(live.value("process.cpu_ms") / 1000 / start.cores), hint: () => `of ${start.cores} cores` },
    { label: "Memory", value: () => bytes(live.value("process.bytes")) },
  ]);
  const tree = table("Services under the supervisor", [
    { head: "Service", cell: (s) => keep(s.name, h("span.service", h("span.branch", { "aria-hidden": "true" }), h("span", s.name, h("span.about", WORK[s.name] ?? "")))) },
    { head: "State", cell: (s) => keep(s.state, badge(s.state)) },
    { head: "Restarts", number: true, cell: (s) => whole(s.restarts) },
    { head: "Messages/s", number: true, cell: (s) => digits(of(s.name, "messages"), 3) },
    { head: "p50", number: true, cell: (s) => ms(of(s.name, "p50")) },
    { head: "p99", number: true, cell: (s) => ms(of(s.name, "p99")) },
    { head: "Mailbox", cell: (s) => mailbox(s.queues) },
    { head: "Last error", cell: (s) => keep(s.last_error ?? "", s.last_error ? h("span.error", { title: s.last_error }, s.last_error) : h("span.quiet", "none")) },
    { head: "", cell: (s) => keep("restart", button("Restart", () => restart(s.name), "small")) },
  ], { key: (s) => s.name, tone: (s) => (s.state === "failed" ? "bad" : s.state === "running" ? "" : "warn") });
  const root = h("p.root", h("strong", "supervisor"), " starts each service again by itself, after a pause that doubles, up to 8 times in a minute.");
  const shards = table("Sessions by shard", [
    { head: "Shard", cell: (s) => String(s.shard) },
    { head: "In memory", number: true, cell: (s) => whole(s.resident) },
    { head: "Memory", number: true, cell: (s) => bytes(s.bytes) },
    { head: "Waiting", number: true, cell: (s) => whole(s.waiting) },
    { head: "Woken/s", number: true, cell: (s) => digits(s.woken_per_s, 2) },
    { head: "Put to sleep", number: true, cell: (s) => whole(s.slept) },
    { head: "Refused", number: true, cell: (s) => whole(s.refused) },
    { head: "Failed", number: true, cell: (s) => whole(s.failed) },
  ], { key: (s) => s.shard });
  const busiest = table("Busiest sessions", [
    { head: "Person", cell: (s) => keep(s.user, link(`/admin/people/${encodeURIComponent(s.user)}`, s.user)) },
    { head: "Messages", number: true, cell: (s) => whole(s.messages) },
    { head: "Waiting", number: true, cell: (s) => whole(s.waiting) },
    { head: "Last touched", number: true, cell: (s) => ago(Date.now() - s.idle_ms) },
    { head: "Shard", number: true, cell: (s) => String(s.shard) },
  ], { key: (s) => s.user, empty: "Nobody is in memory." });
  context.follow((look) => { now.update(); tree.set(look.services); });
  let before = null;
  context.every(3, async () => {
    const found = await attempt(() => get("/admin/api/sessions"));
    if (!found) return;
    const at = performance.now(), last = before;
    const woken = (shard) => (last ? ((shard.woken - last.shards[shard.shard].woken) * 1000) / (at - last.at) : NaN);
    shards.set(found.shards.map((shard) => ({ ...shard, woken_per_s: woken(shard) })));
    before = { at, shards: found.shards };
    busiest.set(found.busiest.slice(0, 10));
  });
  return page("Actors", "Is every part at work, and does anything pile up?", now.element,
    wide(card("Supervision tree", root, tree.element)),
    grid(
      card(null, context.chart({ title: "Events", unit: "per second", series: [{ name: "events.accepted", label: "accepted" }, { name: "ingest.applied", label: "applied" }] })),
      card(null, context.chart({ title: "Handling time, p99", unit: "ms", format: (v) => digits(v, 3), series: [{ name: "service.ingest.p99", label: "ingest" }, { name: "service.feature_writer.p99", label: "feature writer" }, { name: "service.catalogue.p99", label: "catalogue" }] })),
      card(null, context.chart({ title: "Sessions in memory", unit: "sessions", format: (v) => whole(v), series: [{ name: "sessions.resident", label: "in memory" }] })),
      card(null, context.chart({ title: "Sessions woken and put to sleep", unit: "per second", series: [{ name: "sessions.woken", label: "woken" }, { name: "sessions.slept", label: "put to sleep" }] })),
      card("Sessions by shard", shards.element),
      card("Busiest sessions", busiest.element, personForm("Open a person's session", "people")),
    ));
}

function mailbox(queues) {
  if (!queues.length) return keep("", h("span.quiet", "none"));
  const key = queues.map((q) => `${q.depth}/${q.dropped}`).join();
  return keep(key, h("div.mailboxes", queues.map((q) => h("div.mailbox",
    h("span.name", words(q.name)), meter(q.depth, q.capacity, `${q.depth} of ${q.capacity}`),
    h("span.count", `${whole(q.depth)} / ${whole(q.capacity)}`), q.dropped ? h("span.dropped", `${whole(q.dropped)} dropped`) : null))));
}
