// One person: what the session knows.

import { clear, h } from "/assets/shared/dom.js";
import { ago, bytes, counted, digits, instant, ms, whole } from "/assets/shared/format.js";
import { get, enc } from "../api.js";
import { card, figures, grid, link, page, personForm, problem, table, wide } from "../ui.js";

export default function people(context) {
  const [user] = context.parts;
  return user ? person(user) : search();
}

function search() {
  const busiest = table("Busiest sessions", [
    { head: "Person", cell: (s) => link(`/admin/people/${enc(s.user)}`, s.user) },
    { head: "Messages", number: true, cell: (s) => whole(s.messages) },
    { head: "Last touched", number: true, cell: (s) => ago(Date.now() - s.idle_ms) },
  ], { key: (s) => s.user, empty: "Nobody is in memory." });
  get("/admin/api/sessions").then((found) => busiest.set(found.busiest)).catch(() => {});
  return page("People", "What does the server know of a person, and what would it recommend?",
    card(null, personForm("Open a person by id", "people")), card("Busiest sessions", busiest.element));
}

function person(user) {
  const known = h("div.story", { "aria-live": "polite" }, h("p.quiet", "Reading the session …"));
  const load = async () => {
    try { clear(known, ...tell(await get(`/admin/api/people/${enc(user)}`))); } catch (error) { clear(known, problem(error)); }
  };
  load();
  return page(`Person ${user}`, "What the session knows now.",
    h("p.actions", h("button.quiet", { type: "button", onclick: load }, "Read again"), link(`/admin/feed/${enc(user)}`, "What would be recommended, and why"), link("/admin/people", "Another person")), known);
}

function tell(p) {
  const summary = figures([
    { label: "Session", value: () => (p.resident ? "in memory" : "asleep"), hint: bytes(p.bytes) },
    { label: "Events", value: () => whole(p.seq), hint: p.last_at_s ? `last ${ago(p.last_at_s * 1000)}` : "" },
    { label: "Videos shown", value: () => whole(p.exposures), hint: `${whole(p.seen)} remembered as seen` },
    { label: "This visit", value: () => counted(p.visit_depth, "video"), hint: `${whole(p.skips_in_row)} skipped in a row` },
    { label: "Follows", value: () => whole(p.followed.length), hint: `${whole(p.blocked.length)} blocked` },
  ]);
  summary.update();
  const profile = p.profile ? Object.entries(p.profile).filter(([, v]) => v !== null).map(([k, v]) => `${k} ${v}`).join(", ") : "";
  const taste = (name, rows) => {
    const most = Math.max(...rows.map((r) => r.enjoyed), 0.001);
    const list = table(name, [
      { head: name, cell: (r) => r.name },
      { head: "Enjoyed", cell: (r) => h("span.inline-bar", h("span.track", h("span.fill", { style: { width: `${(r.enjoyed / most) * 100}%` } })), digits(r.enjoyed, 2)) },
      { head: "Shown", number: true, cell: (r) => digits(r.shown, 2) },
      { head: "Refused", number: true, cell: (r) => digits(r.refused, 2) },
    ], { empty: "Nothing yet." });
    list.set(rows.slice(0, 12));
    return list.element;
  };
  const actions = table("Latest videos", [
    { head: "When", cell: (a) => instant(a.at_s * 1000) },
    { head: "Video", cell: (a) => a.title ?? a.video },
    { head: "Category", cell: (a) => a.category },
    { head: "Watched", number: true, cell: (a) => `${ms(a.watch_ms)} of ${ms(a.duration_ms)}` },
    { head: "Outcome", cell: (a) => h("span.tags", a.outcomes.map((o) => h("span.tag", { "data-tone": ["skip", "dislike", "report", "block"].includes(o) ? "bad" : "" }, o))) },
  ], { empty: "Nothing yet." });
  actions.set(p.actions.slice(0, 25));
  const history = table("Events as stored", [
    { head: "When", cell: (e) => instant(e.at) },
    { head: "Kind", cell: (e) => e.kind },
    { head: "Video", cell: (e) => e.video },
    { head: "Id", cell: (e) => e.id },
  ], { empty: "No event is stored." });
  history.set(p.history.slice(0, 25));
  return [summary.element, h("p.quiet", `Partition p${String(p.partition).padStart(2, "0")}. ${profile ? `Profile: ${profile}.` : "No profile was told."}`),
    grid(card("Mood of the last actions", p.mood.length ? h("p.tags", p.mood.map((m) => h("span.tag", { "data-tone": m.mood < 0 ? "bad" : "good" }, `${m.category} ${m.mood > 0 ? "+" : ""}${digits(m.mood, 2)}`))) : h("p.quiet", "No action in the last six hours.")),
      card("Follows and blocks", h("p", p.followed.length ? `Follows ${p.followed.slice(0, 40).join(", ")}.` : "Follows nobody."), h("p", p.blocked.length ? `Blocks ${p.blocked.join(", ")}.` : "Blocks nobody."))),
    grid(card("Taste by category", taste("Category", p.categories)), card("Taste by creator", taste("Creator", p.creators))),
    wide(card("Latest videos", actions.element)), wide(card("Events as stored", history.element))];
}
