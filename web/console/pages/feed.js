// What feeds cost, where their videos come from, why some fell back; and any person's feed with its story.

import { clear, h } from "/assets/shared/dom.js";
import { ago, digits, ms, percent, rate, whole, words } from "/assets/shared/format.js";
import { get, enc } from "../api.js";
import { told } from "../story.js";
import { attempt, badge, card, figures, grid, link, page, personForm, problem, table, wide } from "../ui.js";

const STAGES = ["session", "user", "sources", "filters", "features", "rank", "select", "answer"];
const SOURCES = ["two_tower", "similar", "followed", "category", "trending", "fresh", "fallback"];
const FALLEN = ["session", "after", "models", "user_tower", "features", "ranker", "owner"];
// How long the feed is that the inspector looks at.
const LIMIT = 30;

export default function feed(context) {
  const [user] = context.parts;
  return user ? inspector(context, user) : overview(context);
}

function overview(context) {
  const { live } = context;
  const now = figures([
    { label: "Feeds", value: () => rate(live.value("feed.rate")) },
    { label: "p50", value: () => ms(live.value("feed.p50")) },
    { label: "p99", value: () => ms(live.value("feed.p99")) },
    { label: "Degraded", value: () => percent(live.value("feed.degraded") / (live.value("feed.rate") || NaN), 1), tone: () => (live.value("feed.degraded") > 0 ? "warn" : "") },
    { label: "Explored slots", value: () => percent(live.value("feed.explored"), 1) },
  ]);
  const reasons = table("Why feeds fell back", [
    { head: "Reason", cell: (r) => r.reason },
    { head: "Feeds", number: true, cell: (r) => whole(r.count) },
    { head: "Last", number: true, cell: (r) => ago(r.last) },
  ], { key: (r) => r.reason, empty: "No feed fell back since the start." });
  context.follow(() => now.update());
  context.every(3, async () => {
    const found = await attempt(() => get("/admin/api/degraded"));
    if (found) reasons.set(found.reasons);
  });
  return page("Feed", "What do feeds cost, where do their videos come from, and why did some fall back?", now.element,
    card("Feed inspector", h("p.quiet", "What a person would be recommended now, and why. To look changes nothing."), personForm("Inspect the feed of", "feed")),
    grid(
      card(null, context.chart({ title: "Feeds", unit: "per second", series: [{ name: "feed.rate", label: "all" }, { name: "feed.degraded", label: "degraded", colour: "var(--c7)" }] })),
      card(null, context.chart({ title: "Time to answer", unit: "ms", series: [{ name: "feed.p50", label: "p50" }, { name: "feed.p99", label: "p99" }] })),
      card(null, context.chart({ title: "Time by stage, median, added up", unit: "ms", stack: true, height: 200, series: STAGES.map((s) => ({ name: `feed.stage.${s}.p50`, label: s })) })),
      card(null, context.chart({ title: "Time by stage, p99", unit: "ms", height: 200, series: STAGES.map((s) => ({ name: `feed.stage.${s}.p99`, label: s })) })),
      card(null, context.chart({ title: "Videos served, by source", unit: "per second", stack: true, height: 200, series: SOURCES.map((s) => ({ name: `feed.served.${s}`, label: words(s) })) })),
      card(null, context.chart({ title: "Degraded, by reason", unit: "feeds per second", height: 200, empty: "No feed fell back in this time", series: FALLEN.map((s) => ({ name: `feed.degraded.${s}`, label: words(s) })) })),
      card(null, context.chart({ title: "Variety", unit: "distinct in 100 videos", format: (v) => percent(v), axis: (v) => percent(v), series: [{ name: "feed.categories", label: "categories" }, { name: "feed.creators", label: "creators" }, { name: "feed.explored", label: "explored" }] })),
      card(null, context.chart({ title: "Removed by filters", unit: "videos per second", series: ["seen", "blocked_creator", "reported", "age_rating", "removed"].map((s) => ({ name: `feed.removed.${s}`, label: words(s) })) })),
    ),
    wide(card("Why feeds fell back", reasons.element)));
}

function inspector(context, user) {
  const story = h("div.story", { "aria-live": "polite" }, h("p.quiet", "Making the feed …"));
  const load = async () => {
    try { clear(story, ...tell(await get(`/admin/api/people/${enc(user)}/feed?limit=${LIMIT}`))); } catch (error) { clear(story, problem(error)); }
  };
  load();
  return page(`Feed of ${user}`, "What would be recommended now, and why. Nothing is recorded.",
    h("p.actions", h("button.quiet", { type: "button", onclick: load }, "Make it again"), link(`/admin/people/${enc(user)}`, "What is known of this person"), link("/admin/feed", "All feeds")),
    question(user), story);
}

// Asks after one video, shown or not.
function question(user) {
  const input = h("input", { type: "search", name: "video", id: "why-video", autocomplete: "off", spellcheck: "false", required: true, placeholder: "video id" });
  const answer = h("div.answer", { "aria-live": "polite" });
  const ask = async (event) => {
    event.preventDefault();
    const video = input.value.trim();
    if (!video) return;
    clear(answer, h("p.quiet", "Looking …"));
    try { clear(answer, verdict(await get(`/admin/api/people/${enc(user)}/feed/why?limit=${LIMIT}&video=${enc(video)}`))); } catch (error) { clear(answer, problem(error)); }
  };
  return card("Why not this video?", h("form.person", { onsubmit: ask }, h("label", { for: "why-video" }, "Video"), input, h("button.primary", { type: "submit" }, "Ask")), answer);
}

function verdict(why) {
  const sources = table("How it stands with each source", [
    { head: "Source", cell: (s) => words(s.source) },
    { head: "Brought it", cell: (s) => badge(s.found ? "yes" : "no", s.found ? "good" : "plain") },
    { head: "Its place", number: true, cell: (s) => (s.rank === null ? "–" : whole(s.rank + 1)) },
    { head: "Its score", number: true, cell: (s) => (s.score === null ? "–" : digits(s.score, 3)) },
    { head: "Brought", number: true, cell: (s) => whole(s.brought) },
    { head: "Why not", cell: (s) => s.detail ?? "" },
  ]);
  sources.set(why.sources);
  const numbers = figures([
    { label: "Its place", value: () => (why.position === null ? "–" : whole(why.position + 1)), hint: why.shown ? `of ${why.limit}` : why.position === null ? "it was not ranked" : "in a longer feed" },
    { label: "Its score", value: () => (why.score === null ? "–" : digits(why.score, 3)), hint: why.score === null ? "" : why.shown ? "in its slot" : "when the last slot was given away" },
    { label: `Score of the last of ${why.limit}`, value: () => (why.last_score === null ? "–" : digits(why.last_score, 3)) },
    { label: "Took", value: () => ms(why.took_ms) },
  ]);
  numbers.update();
  return h("div.verdict",
    h("p.state", badge(why.shown ? "shown" : words(why.stage), why.shown ? "good" : "bad"), why.reason ? h("span.tag", words(why.reason)) : null, h("strong", why.video), h("span", why.detail)),
    why.degraded.length ? h("p.problem", `Fell back: ${why.degraded.join("; ")}`) : null,
    numbers.element,
    h("div.why", told(why.explain, why.score)),
    h("h3", "Sources"), sources.element);
}

function tell(found) {
  const most = Math.max(...found.stages.map((s) => s.ms), 0.001);
  const summary = figures([
    { label: "Release", value: () => found.release },
    { label: "Took", value: () => ms(found.took_ms) },
    { label: "Found", value: () => whole(found.sources.reduce((sum, s) => sum + s.found, 0)) },
    { label: "Removed", value: () => whole(found.removed.reduce((sum, r) => sum + r.count, 0)) },
    { label: "Ranked", value: () => whole(found.ranked) },
  ]);
  summary.update();
  const bar = (label, value, width, shown) => h("div.bar", h("span.label", label), h("span.track", h("span.fill", { style: { width: `${width}%` } })), h("span.value", shown));
  const found_most = Math.max(...found.sources.map((s) => s.found), 1);
  return [
    found.degraded.length ? h("p.problem", `Fell back: ${found.degraded.join("; ")}`) : null,
    summary.element,
    grid(
      card("Stages", h("div.bars", found.stages.map((s) => bar(s.stage, s.ms, (s.ms / most) * 100, ms(s.ms))))),
      card("Sources and filters", h("div.bars", found.sources.map((s) => bar(words(s.source), s.found, (s.found / found_most) * 100, whole(s.found))),
        found.removed.map((r) => bar(`− ${words(r.filter)}`, r.count, 0, whole(r.count)))))),
    wide(card("Videos", h("ol.items", found.items.map((each) => item(each, found.about))))),
  ].filter(Boolean);
}

function item({ item: video, mood, features }, about) {
  const explain = video.explain;
  return h("li.item", h("details",
    h("summary", h("span.position", String(video.position + 1)), h("span.what", h("strong", video.title ?? video.video), h("span.quiet", `category ${video.category} · creator ${video.creator} · ${digits(video.duration_ms / 1000, 3)} s`)),
      h("span.tags", explain.sources.map((s) => h("span.tag", words(s)))), h("span.score", h("span.visually-hidden", "score "), digits(video.score, 3))),
    h("div.why", told(explain, video.score),
      h("div.features", h("h3", "Features"), h("p.quiet", `Mood of its category ${digits(mood, 2)}.`), h("div.table", { tabindex: "0", role: "region", "aria-label": `Features of video ${video.video}` }, h("table", h("tbody", Object.entries(features).map(([name, value]) =>
        h("tr", h("th", { scope: "row", title: about[name] }, words(name)), h("td.number", digits(value, 3)))))))))));
}
