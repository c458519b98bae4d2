// The shell: navigation, routes, shortcuts, theme, alarms. Pages are in pages/.

import { clear, h } from "/assets/shared/dom.js";
import { TimeChart } from "/assets/shared/chart.js";
import { get, post, showing } from "./api.js";
import { Live } from "./live.js";
import { badge, button, link, problem } from "./ui.js";
import actors from "./pages/actors.js";
import audit from "./pages/audit.js";
import feed from "./pages/feed.js";
import freshness from "./pages/freshness.js";
import index from "./pages/index.js";
import models from "./pages/models.js";
import nodes from "./pages/nodes.js";
import people from "./pages/people.js";
import queues from "./pages/queues.js";
import store from "./pages/store.js";
import training from "./pages/training.js";

const PAGES = [
  ["Now", [["actors", "Actors", "a", actors], ["freshness", "Freshness", "f", freshness], ["feed", "Feed", "e", feed], ["people", "People", "p", people]]],
  ["Data", [["queues", "Queues", "q", queues], ["store", "Feature store", "s", store], ["index", "Index", "i", index]]],
  ["Learning", [["models", "Models", "m", models], ["training", "Training", "t", training]]],
  ["System", [["nodes", "Nodes", "n", nodes], ["audit", "Audit log", "l", audit]]],
];
const ALL = new Map(PAGES.flatMap(([, pages]) => pages.map(([id, name, key, module]) => [id, { id, name, key, module }])));
const SPANS = [[600, "10 min"], [3600, "1 h"], [21600, "6 h"]];

const state = { span: 600, page: null, undo: [], charts: [] };
let live, start, main, links, spans, alarms, connection, release;

function shell() {
  links = new Map();
  const nav = h("nav", { "aria-label": "Pages" }, PAGES.map(([group, pages]) => h("div.group", h("span.group-name", { id: `g-${group}` }, group),
    h("ul", { "aria-labelledby": `g-${group}` }, pages.map(([id, name, key]) => {
      const anchor = link(`/admin/${id}`, h("span", name), h("kbd", { "aria-hidden": "true" }, `g ${key}`));
      links.set(id, anchor);
      return h("li", anchor);
    })))));
  spans = h("div.segmented", { role: "group", "aria-label": "Time shown" }, SPANS.map(([seconds, label]) =>
    h("button", { type: "button", "data-span": seconds, onclick: () => setSpan(seconds) }, label)));
  connection = h("span.connection", { role: "status" });
  release = h("span.release");
  alarms = h("div.alarms", { role: "region", "aria-label": "Alarms" });
  main = h("main", { id: "main", tabindex: "-1" });
  clear(document.getElementById("app"),
    h("header.top", link("/admin/actors", h("span.mark", { "aria-hidden": "true" }), h("span", "foryou"), h("span.node", start.node)),
      h("div.tools", release, connection, spans,
        h("button.icon", { type: "button", "aria-label": "Switch between dark and light", title: "Dark or light (d)", onclick: theme }, "◐"),
        start.csrf ? h("button.quiet", { type: "button", title: start.caller, onclick: logout }, "Log out") : null,
        h("button.icon", { type: "button", "aria-label": "Keyboard shortcuts", title: "Shortcuts (?)", onclick: help }, "?"))),
    nav, h("div.body", alarms, main));
  document.getElementById("app").removeAttribute("aria-busy");
}

function setSpan(seconds) {
  state.span = seconds;
  for (const each of spans.children) each.setAttribute("aria-pressed", String(Number(each.dataset.span) === seconds));
  fillCharts();
}

// What a page is given: the live figures, charts that fill themselves, and a way to do something again and again.
function context(parts) {
  return {
    live, start, parts,
    chart(options) {
      const chart = new TimeChart(options);
      state.charts.push(chart);
      state.undo.push(() => chart.dispose());
      return chart.element;
    },
    follow(follower) { state.undo.push(live.follow(follower)); },
    every(seconds, work) {
      const page = state.page;
      const run = () => { if (state.page === page && !document.hidden) work(); };
      run();
      const timer = setInterval(run, seconds * 1000);
      state.undo.push(() => clearInterval(timer));
    },
    dispose(undo) { state.undo.push(undo); },
    go,
  };
}

async function fillCharts() {
  const charts = state.charts, span = state.span;
  const names = [...new Set(charts.flatMap((chart) => chart.options.series.map((series) => series.name)))];
  if (!names.length) return;
  let past;
  try { past = await get(`/admin/api/history?span=${span}&figures=${names.map(encodeURIComponent).join(",")}`); } catch { return; }
  if (charts !== state.charts || span !== state.span) return;
  const by = new Map(past.series.map((series) => [series.name, series.values]));
  const first = past.t.findIndex((t) => t >= (past.t[past.t.length - 1] ?? 0) - span * 1000);
  const from = Math.max(0, first);
  for (const chart of charts) {
    chart.set(past.t.slice(from), chart.options.series.map((series) => (by.get(series.name) ?? past.t.map(() => null)).slice(from)), span * 1000);
  }
}

function tick(look) {
  release.textContent = look.release ? `release ${look.release}` : "no release";
  if (state.span === 600) {
    for (const chart of state.charts) chart.push(look.t, chart.options.series.map((series) => { const v = live.value(series.name); return Number.isFinite(v) ? v : null; }));
  }
  const shown = look.alarms.map((alarm) => `${alarm.level}${alarm.text}`).join("\n");
  if (alarms.dataset.shown !== shown) {
    alarms.dataset.shown = shown;
    clear(alarms, look.alarms.map((alarm) => h("p.alarm", { "data-tone": alarm.level, role: alarm.level === "bad" ? "alert" : "status" },
      h("strong", alarm.level === "bad" ? "Alarm" : "Notice"), h("span", alarm.text), link(alarm.page, "Look"))));
  }
}

function go(path, push = true) {
  if (push && path !== location.pathname) history.pushState(null, "", path);
  const [, , id = "actors", ...rest] = location.pathname.split("/");
  const page = ALL.get(id || "actors");
  for (const undo of state.undo.splice(0)) undo();
  state.charts = [];
  for (const [name, anchor] of links) (name === page?.id ? anchor.setAttribute("aria-current", "page") : anchor.removeAttribute("aria-current"));
  links.get(page?.id)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (!page) {
    state.page = {};
    document.title = "Not found · foryou";
    clear(main, h("h1", { tabindex: "-1" }, "There is no such page"), h("p", link("/admin/actors", "Go to Actors")));
    return;
  }
  state.page = { id: page.id };
  document.title = `${page.name} · foryou`;
  try {
    clear(main, ...page.module(context(rest.map(decodeURIComponent))));
  } catch (error) {
    console.error(error);
    clear(main, problem(error));
  }
  main.scrollTo?.(0, 0);
  if (push) { window.scrollTo(0, 0); main.querySelector("h1")?.focus({ preventScroll: true }); }
  fillCharts();
}

function theme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("foryou-theme", document.documentElement.dataset.theme);
}

async function logout() {
  await post("/admin/logout").catch(() => {});
  location.assign("/admin/login");
}

function help() {
  if (document.querySelector("dialog.help")) return;
  const rows = [...ALL.values()].map(({ key, name }) => [["g", key], name]);
  rows.push([["/"], "Find a person"], [["1", "2", "3"], "Show 10 min, 1 h, 6 h"], [["d"], "Dark or light"], [["?"], "This list"], [["←", "→"], "Read values of the chart that has the focus"]);
  const dialog = h("dialog.help", { "aria-labelledby": "help", onclose: () => dialog.remove() }, h("h2", { id: "help" }, "Keyboard shortcuts"),
    h("dl.keys", rows.map(([keys, what]) => h("div", h("dt", keys.map((key) => h("kbd", key))), h("dd", what)))),
    h("div.actions", button("Close", () => dialog.close(), "primary")));
  document.body.append(dialog);
  dialog.showModal();
}

let pending = null;
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const pages = [...ALL.values()];
  if (pending === "g") {
    pending = null;
    const page = pages.find(({ key }) => key === event.key);
    if (page) { event.preventDefault(); go(`/admin/${page.id}`); }
    return;
  }
  if (event.key === "g") { pending = "g"; setTimeout(() => { pending = null; }, 1500); }
  else if (event.key === "?") help();
  else if (event.key === "d") theme();
  else if (event.key === "/") { event.preventDefault(); go("/admin/people"); main.querySelector("input")?.focus(); }
  else if (["1", "2", "3"].includes(event.key) && !event.target.closest(".frame")) setSpan(SPANS[Number(event.key) - 1][0]);
}

async function begin() {
  const chosen = localStorage.getItem("foryou-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  try {
    start = await get("/admin/api/start");
  } catch (error) {
    const app = document.getElementById("app");
    app.removeAttribute("aria-busy");
    clear(app, h("main.alone", { id: "main" }, h("h1", "foryou console"), problem(error), button("Try again", () => location.reload(), "primary")));
    return;
  }
  showing(start.csrf);
  live = new Live(start.figures);
  shell();
  setSpan(600);
  const tell = (now) => clear(connection, badge(now));
  live.watchers.add(tell);
  tell(live.state);
  live.follow(tick);
  document.addEventListener("click", (event) => {
    const anchor = event.target.closest("a[data-route]");
    if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(anchor.getAttribute("href"));
  });
  document.addEventListener("keydown", keys);
  window.addEventListener("popstate", () => go(location.pathname, false));
  window.addEventListener("foryou:go", (event) => go(event.detail));
  // Longer spans are fetched again now and then.
  setInterval(() => { if (state.span > 600 && !document.hidden) fillCharts(); }, 10_000);
  go(location.pathname, false);
}

begin();
