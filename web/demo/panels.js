// Beside the phone: how long the server thought, why this video, what comes next, who else is there.

import { clear, h, svg, text } from "/assets/shared/dom.js";
import { counted, digits, ms, percent, whole, words } from "/assets/shared/format.js";
import { face, paint } from "./poster.js";
import { category, seconds } from "./player.js";

const SOURCES = {
  two_tower: ["Close to your taste", "c1"], similar: ["Like what you enjoyed", "c3"], followed: ["You follow them", "c4"], category: ["Your categories", "c6"],
  trending: ["Popular now", "c2"], fresh: ["New, first audience", "c5"], fallback: ["Fills the feed", "c8"],
};
const source = (name) => SOURCES[name] ?? [words(name), "c8"];
const OUTCOMES = ["long_view", "finish", "like", "follow", "share", "comment", "skip", "dislike"];
const DONE = {
  view: (a) => (a.watch_ms < 2000 ? `Swiped away after ${digits(a.watch_ms / 1000, 2)} s` : `Watched ${digits(a.watch_ms / 1000, 2)} s`), skip: () => "Skipped", finish: () => "Watched to the end",
  rewatch: () => "Watched again", like: () => "Liked", unlike: () => "Took a like back", share: () => "Shared", follow: () => "Followed", unfollow: () => "Unfollowed", dislike: () => "Not interested", block: () => "Blocked",
};
const BECAUSE = { release: "A new release serves", video: "A creator you follow published" };

const card = (title, ...parts) => {
  const id = `p-${title.toLowerCase().replaceAll(" ", "-")}`;
  return h("section.card", { "aria-labelledby": id }, h("h2", { id }, title), ...parts);
};
const chip = (name) => { const [label, color] = source(name); return h("span.source", h("span.dot", { style: { background: `var(--${color})` } }), label); };
const thumb = (item) => {
  const canvas = h("canvas.thumb", { width: 72, height: 96, "aria-hidden": "true" });
  paint(canvas, item, 0, false);
  return canvas;
};

// From an action to the tail that reflects it.
export function took(coalesce) {
  const figure = h("span.big", "–"), unit = h("span.unit"), line = h("p.lead", "Like, skip or watch something."), parts = h("dl.parts");
  const log = h("ol.log", { "aria-label": "Latest actions" });
  const element = card("Action to new tail", h("div.took", h("p.hero", figure, unit), parts), line, log);
  const split = (n) => { const [value, of] = ms(n).split(" "); text(figure, value); text(unit, of); };
  const part = (name, value) => [h("dt", name), h("dd", value)];
  return {
    element,
    tail({ because, took_ms, action, fresh, after }) {
      const changed = `${fresh.length} of the next ${after.length} are new`;
      if (action) {
        split(action.tail_ms);
        text(line, `${DONE[action.kind]?.(action) ?? action.kind}: ${changed}.`);
        clear(parts, part("Durable after", Number.isFinite(action.durable_ms) ? ms(action.durable_ms) : "–"), part("Feed made in", ms(took_ms)), coalesce > 0 ? part("Gathered for", `${coalesce} ms`) : []);
      }
      const what = action ? DONE[action.kind]?.(action) ?? action.kind : BECAUSE[because.kind];
      if (!what) return;
      log.prepend(h("li", action ? thumb(action.item) : h("span.thumb.none"), h("span.what", what), h("span.ms", action ? ms(action.tail_ms) : ms(took_ms))));
      while (log.children.length > 3) log.lastChild.remove();
    },
  };
}

// Why a video is on the screen.
export function why() {
  const body = h("div.why", h("p.quiet", "Nothing is on the screen yet."));
  return {
    element: card("Why this video", body),
    show(item) {
      const { explain } = item;
      if (!explain) { clear(body, h("p.quiet", "The server did not say.")); return; }
      const watch = explain.outcomes.watch_ms, known = OUTCOMES.filter((name) => name in explain.outcomes);
      clear(body,
        h("p.sources", explain.sources.map(chip), item.explore ? h("span.source.explore", `Exploring, 1 in ${digits(1 / item.propensity, 2)}`) : null),
        known.length ? h("dl.outcomes", known.map((name) => {
          const p = explain.outcomes[name];
          return h("div", h("dt", words(name)), h("dd", h("span.track", { "aria-hidden": "true" }, h("span.fill", { "data-bad": name === "skip" || name === "dislike", style: { transform: `scaleX(${Math.min(1, p)})` } })), h("span.p", percent(p, p < 0.1 ? 1 : 0))));
        })) : h("p.quiet", "No model ranked it; it stands by retrieval order."),
        Number.isFinite(watch) && known.length ? h("p.expect", "Expected to be watched for ", h("strong", seconds(watch)), ` of ${seconds(item.duration_ms)}.`) : null,
        h("details", h("summary", "What each stage did"), h("ol.steps", explain.stages.map((stage) => h("li", stage)))));
    },
  };
}

// What comes next, changing as the server learns.
export function upNext() {
  const list = h("ol.next"), note = h("span.note", { role: "status" });
  const rows = new Map();
  const element = card("Up next", note, list);
  const row = (item) => {
    const [label, color] = source(item.source);
    return h("li", { "data-video": item.video }, thumb(item), h("div.what", h("strong", category(item)), h("span", `@${item.creator} · ${seconds(item.duration_ms)}`)), h("span.source", h("span.dot", { style: { background: `var(--${color})` } }), label));
  };
  return {
    element,
    show(items, fresh = null) {
      const before = new Map([...rows].map(([video, element]) => [video, element.getBoundingClientRect().top]));
      const wanted = items.slice(0, 6), keys = new Set(wanted.map((item) => item.video));
      for (const [video, element] of rows) if (!keys.has(video)) { element.remove(); rows.delete(video); }
      wanted.forEach((item, place) => {
        if (!rows.has(item.video)) rows.set(item.video, row(item));
        const element = rows.get(item.video);
        if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
      });
      for (const [video, element] of rows) {
        const then = before.get(video), moved = then === undefined ? 0 : then - element.getBoundingClientRect().top;
        element.classList.toggle("fresh", Boolean(fresh?.includes(video)));
        if (moved && !matchMedia("(prefers-reduced-motion: reduce)").matches) element.animate([{ transform: `translateY(${moved}px)` }, { transform: "none" }], { duration: 280, easing: "cubic-bezier(.2,.8,.2,1)" });
      }
      if (fresh) text(note, fresh.length ? `${fresh.length} new` : "unchanged");
    },
  };
}

// Who else is there, each second.
export function crowd() {
  const figure = (name) => { const value = h("span.value", "–"); return { value, element: h("div", h("dt", name), h("dd", value)) }; };
  const figures = { events: figure("Events a second"), feeds: figure("Feeds a second"), people: figure("People in memory"), fresh: figure("Event to fresh feed") };
  const line = svg("path.line"), area = svg("path.area");
  const chart = svg("svg.spark", { viewBox: "0 0 60 24", preserveAspectRatio: "none", role: "img", "aria-label": "Events a second over the last minute" }, area, line);
  const quiet = h("p.quiet", { hidden: true }, "It is quiet. ", h("code", "make demo"), " brings a crowd; or ", h("code", "foryou replay --live"), ".");
  return {
    element: card("Live crowd", h("dl.pair", Object.values(figures).map((f) => f.element)), chart, quiet),
    show(now) {
      const events = now.events.map((v) => v ?? 0), latest = (list) => { const some = list.slice(-5).map((v) => v ?? 0); return some.reduce((a, b) => a + b, 0) / Math.max(1, some.length); };
      text(figures.events.value, digits(latest(events), 2));
      text(figures.feeds.value, digits(latest(now.feeds), 2));
      text(figures.people.value, whole(now.people));
      text(figures.fresh.value, now.fresh_ms === null || now.fresh_ms === undefined ? "–" : ms(now.fresh_ms));
      const most = Math.max(1, ...events), points = events.map((v, i) => `${i + 60 - events.length} ${(23 - (v / most) * 21).toFixed(2)}`);
      line.setAttribute("d", points.length ? `M${points.join("L")}` : "");
      area.setAttribute("d", points.length ? `M${60 - events.length} 24L${points.join("L")}L59 24Z` : "");
      quiet.hidden = most > 2 || latest(events) > 0.5;
    },
  };
}

// Whose feed it is.
export function person(change) {
  const body = h("div.person");
  return {
    element: card("Watching as", body),
    show(who) {
      clear(body, h("span.face", { "aria-hidden": "true", style: { background: face(who.user) } }),
        h("div.what", h("strong", who.name), h("span", who.note)),
        change ? h("button.quiet", { type: "button", onclick: change }, "Change") : null);
    },
  };
}

// Whom one can be.
export function choose(start, again, take) {
  return new Promise((resolve) => {
    const close = (who) => { dialog.close(); dialog.remove(); resolve(who); };
    const option = (who) => h("li", h("button.option", { type: "button", onclick: () => { take(who); close(who); } },
      h("span.face", { "aria-hidden": "true", style: { background: face(who.user) } }), h("span.what", h("strong", who.name), h("span", who.note)),
      h("span.likes", who.favourites?.length ? h("span.visually-hidden", "enjoys categories ") : null, (who.favourites ?? []).map((name) => h("span.tag", name)))));
    const list = h("ul.options");
    const fill = (from) => clear(list, [{ user: from.new, name: "Somebody new", note: "Nothing is known yet: watch it learn" }, ...from.people.map(told)].map(option));
    const dialog = h("dialog.chooser", { "aria-labelledby": "choose", oncancel: (event) => { event.preventDefault(); close(null); } },
      h("h2", { id: "choose" }, "Whose feed?"), h("p", `People of the demo data and the categories that they enjoy, among ${counted(start.videos, "video")}.`), list,
      h("div.actions", h("button.quiet", { type: "button", onclick: async () => fill(await again()) }, "Others"), h("button.quiet", { type: "button", onclick: () => close(null) }, "Close")));
    fill(start);
    document.body.append(dialog);
    dialog.showModal();
    list.querySelector("button")?.focus();
  });
}

export const told = (who) => ({ ...who, name: `Person ${who.user}`, note: `${counted(who.exposures, "video")} seen${who.followed ? `, follows ${who.followed}` : ""}` });
