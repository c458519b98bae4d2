// The demo: a phone in the middle, and what the server thinks around it.

import { clear, h, text } from "/assets/shared/dom.js";
import { ms } from "/assets/shared/format.js";
import { Feed } from "./feed.js";
import { icon } from "./icons.js";
import * as panels from "./panels.js";
import { Player } from "./player.js";

const KEYS = [
  ["↓ or j", "Next video"], ["↑ or k", "The one before"], ["space", "Pause, go on"], ["l", "Like"], ["s", "Share"], ["f", "Follow the creator"],
  ["x", "Not interested"], ["b", "Block the creator"], [">", "Faster"], ["w", "Why"], ["p", "Another person"], ["d", "Dark or light"], ["?", "This list"],
];
const small = matchMedia("(max-width: 860px)");
const state = { feed: null, start: null, token: null };
let player, parts, sheet, connection;

async function ask(path) {
  const headers = { accept: "application/json", ...(state.token ? { authorization: `Bearer ${state.token}` } : {}) };
  const answer = await fetch(path, { headers });
  if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.detail ?? `The server answered ${answer.status}.`);
  return answer.json();
}

// The person of a token: what `sub` says; the server is who checks it.
function subject(token) {
  try { return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)))).sub; } catch { return null; }
}

async function begin() {
  const chosen = localStorage.getItem("foryou-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  const app = document.getElementById("app");
  state.token = new URLSearchParams(location.hash.slice(1)).get("access_token");
  try {
    state.start = state.token ? { people: [], new: null, videos: NaN, coalesce_ms: 0 } : await ask("/demo/start");
  } catch (error) {
    clear(app, h("main.alone", h("h1", "foryou demo"), h("p.problem", { role: "alert" }, error.message), h("p", h("a", { href: "/demo" }, "Try again"))));
    app.removeAttribute("aria-busy");
    return;
  }
  shell(app);
  const asked = state.token ? subject(state.token) : new URLSearchParams(location.search).get("user");
  if (asked) {
    const known = state.start.people.find((who) => who.user === asked);
    be(known ? panels.told(known) : { user: asked, name: asked.startsWith("guest-") ? "Somebody new" : `Person ${asked}`, note: asked });
  } else {
    be({ user: state.start.new, name: "Somebody new", note: "Nothing is known yet" });
    pick();
  }
}

function shell(app) {
  player = new Player();
  connection = h("span.connection", { role: "status" });
  parts = { took: panels.took(state.start.coalesce_ms), why: panels.why(), next: panels.upNext(), person: panels.person(state.token ? null : pick), crowd: panels.crowd() };
  const keys = h("section.card.keys-card", { "aria-labelledby": "p-keys" }, h("h2", { id: "p-keys" }, "Keys"), keyList(KEYS.slice(0, 8)));
  sheet = h("div.sheet", { id: "sheet" },
    h("section.sheet-head", { "aria-label": "Panels" }, h("span", "What the server thinks"), h("button.icon-button", { type: "button", "aria-label": "Back to the video", onclick: () => open(false) }, icon("close"))),
    h("aside.side.right", { "aria-label": "What the server thinks" }, parts.took.element, parts.next.element, parts.why.element),
    h("aside.side.left", { "aria-label": "People" }, parts.person.element, parts.crowd.element, keys));
  const tool = (label, title, content, act) => h("button.icon-button", { type: "button", "aria-label": label, title, onclick: act }, content);
  clear(app,
    h("header.top", h("a.brand", { href: "/" }, h("span.mark", { "aria-hidden": "true" }), "foryou", h("span.sub", "demo")), h("nav", { "aria-label": "Elsewhere" }, h("a", { href: "/admin" }, "Console")),
      h("div.tools", connection, tool("Switch between dark and light", "Dark or light (d)", "◐", theme), tool("Keyboard shortcuts", "Keys (?)", "?", help))),
    h("main", h("h1.visually-hidden", "For You"), player.element,
      h("div.steps-buttons", tool("The video before", "Before (↑)", icon("up"), () => player.back()), tool("Next video", "Next (↓)", icon("down"), () => player.forward()))),
    sheet);
  app.removeAttribute("aria-busy");
  player.addEventListener("acted", () => sessionStorage.setItem(`acted ${state.feed.user}`, "yes"));
  player.addEventListener("choose", () => !state.token && pick());
  player.addEventListener("why", () => open(true));
  player.addEventListener("item", ({ detail }) => { parts.why.show(detail.item); parts.next.show(state.feed.upcoming()); });
  small.addEventListener("change", () => open(false));
  open(false);
  document.addEventListener("keydown", key);
  if (!state.token) watchCrowd();
}

// On a phone the panels are a sheet over the feed.
function open(shown) {
  sheet.classList.toggle("open", shown);
  sheet.inert = small.matches && !shown;
  player.element.inert = small.matches && shown;
  if (shown && small.matches) sheet.querySelector("button").focus();
}

async function be(who) {
  state.feed?.end();
  const feed = new Feed(who.user, { token: state.token });
  state.feed = feed;
  if (!state.token) history.replaceState(null, "", `/demo?user=${encodeURIComponent(who.user)}`);
  const followed = new Set();
  player.open(feed, who.name, followed);
  parts.person.show(who);
  feed.addEventListener("state", () => status(feed));
  status(feed);
  feed.addEventListener("trouble", ({ detail }) => player.announce(detail.text));
  feed.addEventListener("tail", ({ detail }) => {
    if (state.feed !== feed) return;
    parts.took.tail(detail);
    parts.next.show(detail.after, detail.because.kind === "start" ? null : detail.fresh);
    if (detail.action) player.announce(`New tail in ${ms(detail.action.tail_ms)}`);
  });
  // Somebody new is not known before they did something.
  if (who.user.startsWith("guest-") && !sessionStorage.getItem(`acted ${who.user}`)) return;
  try {
    const known = await ask(`/v1/users/${encodeURIComponent(who.user)}/creators?limit=100`);
    for (const { creator, relation } of known.creators) if (relation === "follow") followed.add(creator);
    if (state.feed === feed) player.layout();
  } catch { /* The hearts and faces are then as at the beginning. */ }
}

function status(feed) {
  if (feed !== state.feed) return;
  text(connection, feed.state);
  connection.dataset.state = feed.state;
  player.element.classList.toggle("offline", feed.state === "reconnecting");
  if (feed.state === "reconnecting") player.announce("The server is away; the videos at hand go on");
}

async function pick() {
  if (document.querySelector("dialog")) return;
  const other = await panels.choose(state.start, async () => (state.start = await ask("/demo/start")), () => {});
  if (other) be(other);
}

async function watchCrowd() {
  for (;;) {
    if (!document.hidden) try { parts.crowd.show(await ask("/demo/crowd")); } catch { /* It is asked again. */ }
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}

function theme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("foryou-theme", root.dataset.theme);
}

const keyList = (keys) => h("dl.keys", keys.map(([key, what]) => h("div", h("dt", key.split(" or ").map((each) => h("kbd", each))), h("dd", what))));

function help() {
  if (document.querySelector("dialog")) return;
  const close = () => { dialog.close(); dialog.remove(); };
  const dialog = h("dialog", { "aria-labelledby": "help", oncancel: (event) => { event.preventDefault(); close(); } },
    h("h2", { id: "help" }, "Keyboard shortcuts"), keyList(KEYS), h("p.quiet", "A swipe, the wheel and a double tap do the same."), h("div.actions", h("button.quiet", { type: "button", onclick: close }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

const ACTIONS = {
  ArrowDown: () => player.forward(), j: () => player.forward(), ArrowUp: () => player.back(), k: () => player.back(), " ": () => player.pause(), l: () => player.do("like"), s: () => player.do("share"),
  f: () => player.do("follow"), x: () => player.do("dislike"), b: () => player.do("block"), ">": () => player.faster(), w: () => small.matches && open(!sheet.classList.contains("open")), p: () => !state.token && pick(), d: theme, "?": help,
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog")) return;
  if (event.key === "Escape" && sheet.classList.contains("open")) { open(false); return; }
  const { target } = event, onControl = target instanceof HTMLElement && target.closest("button, a, summary, input");
  // Space presses what has the focus; arrows scroll a panel that has it.
  if ((event.key === " " && onControl) || (event.key.startsWith("Arrow") && target instanceof HTMLElement && target.closest(".side"))) return;
  const act = ACTIONS[event.key];
  if (!act || (event.repeat && event.key !== "ArrowDown")) return;
  event.preventDefault();
  act();
}

begin();
