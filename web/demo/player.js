// The phone: one video on the screen, the next below it, and everything that a person does with them.

import { clear, h, text } from "/assets/shared/dom.js";
import { icon } from "./icons.js";
import { face, paint } from "./poster.js";

const FRAME_MS = 1000 / 30;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
export const seconds = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;
export const category = (item) => (/^\d+$/.test(item.category) ? `Category ${item.category}` : item.category);
const named = (item) => item.title ?? `Video ${item.video}`;

export class Player extends EventTarget {
  constructor() {
    super();
    this.screen = h("div.screen");
    this.loading = h("div.loading", { role: "status" }, h("span.spinner", { "aria-hidden": "true" }), h("span", "Asking for your feed"));
    this.toast = h("div.chip", { role: "status", "aria-live": "polite" });
    this.said = h("p.visually-hidden", { role: "status", "aria-live": "polite" });
    this.who = h("button.who", { type: "button", onclick: () => this.tell("choose") });
    this.element = h("section.phone", { "aria-label": "Feed" }, this.screen, this.loading,
      h("div.hud", h("div.hud-row", this.who, h("span.hud-title", "For You"), h("button.glass.sheet-open", { type: "button", "aria-label": "Why this video, and what comes next", onclick: () => this.tell("why") }, icon("why"))), this.toast), this.said);
    Object.assign(this, { cards: new Map(), history: [], at: -1, rate: 1, paused: false, followed: new Set(), marks: new Map(), drag: 0 });
    this.touch();
    this.tick = this.tick.bind(this);
    requestAnimationFrame(this.tick);
    new ResizeObserver(() => this.repaint()).observe(this.screen);
    document.addEventListener("visibilitychange", () => { this.last = undefined; });
  }

  tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  // Shows somebody's feed from its beginning.
  open(feed, name, followed) {
    this.feed = feed;
    Object.assign(this, { history: [], at: -1, paused: false, watch: null, followed, marks: new Map(), leaving: null });
    this.cards.clear();
    clear(this.screen);
    text(this.who, name);
    this.who.setAttribute("aria-label", `Watching as ${name}: change`);
    this.loading.hidden = false;
    feed.addEventListener("tail", () => {
      if (this.feed !== feed) return;
      if (this.at < 0) this.forward(); else this.layout();
    });
  }

  get item() { return this.history[this.at]; }
  mark(item) {
    if (!this.marks.has(item.video)) this.marks.set(item.video, {});
    return this.marks.get(item.video);
  }

  // Moving

  forward() {
    if (this.at + 1 >= this.history.length) {
      const item = this.feed.next();
      if (!item) { this.loading.hidden = false; return false; }
      this.leave();
      this.history.push(item);
    } else this.leave();
    this.at += 1;
    this.arrive();
    return true;
  }

  back() {
    if (this.at <= 0) return false;
    this.leave();
    this.at -= 1;
    this.arrive();
    return true;
  }

  arrive() {
    this.loading.hidden = true;
    this.watch = { ms: 0, watched: 0, finishes: 0, again: this.at + 1 < this.history.length };
    this.paused = false;
    this.layout();
    const { item } = this;
    text(this.said, `${named(item)}, ${category(item)}, by creator ${item.creator}, ${Math.round(item.duration_ms / 1000)} seconds`);
    this.tell("item", { item });
  }

  // What the person watched is said as they leave it.
  leave() {
    const { item, watch } = this;
    this.watch = null;
    if (!item || !watch || this.mark(item).gone) return;
    const watched = Math.round(watch.watched);
    if (watch.again) { if (watched > 2000) this.act("rewatch", item); return; }
    if (watched < 300) this.act("skip", item); else this.act("view", item, { watch_ms: watched });
  }

  act(kind, item, more) {
    const id = this.feed.act(kind, item, more);
    this.tell("acted", { id, kind, item });
    return id;
  }

  // The cards before, on and after the screen. What stands still is kept.
  layout() {
    if (this.at < 0) return;
    const next = this.history[this.at + 1] ?? this.feed.held ?? this.feed.upcoming()[0];
    const wanted = [[this.at - 1, this.history[this.at - 1]], [this.at, this.item], [this.at + 1, next]].filter(([, item]) => item);
    const keys = new Set(wanted.map(([at, item]) => `${at} ${item.video}`));
    for (const [key, card] of this.cards) if (!keys.has(key)) { card.element.remove(); this.cards.delete(key); }
    for (const [at, item] of wanted) {
      const key = `${at} ${item.video}`;
      let card = this.cards.get(key);
      if (!card) {
        card = this.card(item);
        card.element.style.setProperty("--place", at > this.at ? 1 : at < this.at ? -1 : 0);
        this.cards.set(key, card);
        this.screen.append(card.element);
        this.fit(card);
      }
      const place = at - this.at;
      card.element.style.setProperty("--place", place);
      card.element.inert = place !== 0;
      card.element.classList.toggle("here", place === 0);
      if (place === 0) this.card_ = card;
      this.update(card);
    }
    this.move(this.drag);
  }

  fit(card) {
    const ratio = Math.min(devicePixelRatio || 1, 1.5), { clientWidth: w, clientHeight: t } = this.screen;
    if (!w || !t) return;
    card.canvas.width = Math.round(w * ratio);
    card.canvas.height = Math.round(t * ratio);
    paint(card.canvas, card.item);
  }

  repaint() { for (const card of this.cards.values()) this.fit(card); }

  card(item) {
    const canvas = h("canvas", { role: "img", "aria-label": `Poster of ${named(item)}` });
    const fill = h("span.fill"), time = h("span.time");
    const progress = h("div.progress", { role: "progressbar", "aria-label": "Watched", "aria-valuemin": 0, "aria-valuemax": Math.round(item.duration_ms / 1000), "aria-valuenow": 0 }, fill);
    const action = (name, label, key, kind) => h(`button.action.${kind}`, { type: "button", "aria-label": label, "aria-keyshortcuts": key, onclick: (e) => { e.stopPropagation(); this.do(kind); } }, h("span.glass", icon(name)), h("span.under", { "aria-hidden": "true" }));
    const follow = h("button.action.follow", { type: "button", "aria-keyshortcuts": "f", onclick: () => this.do("follow") },
      h("span.face", { style: { background: face(item.creator) } }), h("span.badge-plus", icon("plus")), h("span.under", { "aria-hidden": "true" }));
    const buttons = { follow, like: action("heart", "Like", "l", "like"), share: action("share", "Share", "s", "share"), dislike: action("hide", "Not interested", "x", "dislike"), block: action("block", `Block creator ${item.creator}`, "b", "block") };
    text(buttons.dislike.lastChild, "Hide");
    text(buttons.block.lastChild, "Block");
    const speed = h("button.speed", { type: "button", "aria-label": "Speed of the video", onclick: () => this.faster() });
    const element = h("article.card", { "aria-label": named(item) }, canvas, h("div.scrim"),
      h("button.tap", { type: "button", tabindex: "-1", "aria-label": "Pause or go on" }), h("span.paused", { "aria-hidden": "true" }, icon("play")),
      h("div.caption", h("p.creator", `@${item.creator}`), h("p.title", named(item)),
        h("p.tags", h("span.category", category(item)), item.explore ? h("span.category.explore", "exploring") : null)),
      h("div.rail", Object.values(buttons)),
      h("div.foot", progress, h("div.foot-row", time, speed)),
      h("div.farewell", { "aria-hidden": "true" }));
    return { item, element, canvas, fill, time, progress, buttons, speed, painted: 0 };
  }

  // What stands on a card.
  update(card) {
    const { item, buttons } = card, mark = this.mark(item), follows = this.followed.has(item.creator);
    buttons.like.setAttribute("aria-pressed", String(Boolean(mark.liked)));
    text(buttons.like.lastChild, mark.liked ? "Liked" : "Like");
    buttons.share.classList.toggle("done", Boolean(mark.shared));
    text(buttons.share.lastChild, mark.shared ? "Shared" : "Share");
    buttons.follow.setAttribute("aria-pressed", String(follows));
    buttons.follow.setAttribute("aria-label", follows ? `Unfollow creator ${item.creator}` : `Follow creator ${item.creator}`);
    clear(buttons.follow.children[1], icon(follows ? "check" : "plus"));
    text(buttons.follow.lastChild, follows ? "Following" : "Follow");
    text(card.speed, `${this.rate}×`);
    card.element.classList.toggle("is-paused", this.paused && card === this.card_);
    card.element.classList.toggle("gone", Boolean(mark.gone));
    text(card.element.lastChild, mark.gone ?? "");
  }

  // Doing

  do(kind) {
    const { item } = this;
    if (!item || this.mark(item).gone) return;
    const mark = this.mark(item);
    if (kind === "like") {
      mark.liked = !mark.liked;
      this.act(mark.liked ? "like" : "unlike", item);
      if (mark.liked) this.burst();
    } else if (kind === "share") {
      mark.shared = true;
      this.act("share", item);
      this.announce("Shared");
    } else if (kind === "follow") {
      const follows = this.followed.has(item.creator);
      if (follows) this.followed.delete(item.creator); else this.followed.add(item.creator);
      this.act(follows ? "unfollow" : "follow", item);
    } else this.refuse(kind, item, mark);
    this.layout();
  }

  // The video goes once the tail knows, so that nothing of the kind comes next.
  refuse(kind, item, mark) {
    mark.gone = kind === "block" ? `@${item.creator} will not come again` : "Less of this";
    const id = this.act(kind, item), { feed } = this;
    const go = () => {
      clearTimeout(timer);
      feed.removeEventListener("tail", heard);
      if (this.feed === feed && this.item === item) this.forward();
    };
    const heard = ({ detail }) => { if (detail.action?.id === id) setTimeout(go, calm.matches ? 0 : 350); };
    const timer = setTimeout(go, 1500);
    feed.addEventListener("tail", heard);
  }

  burst(x, y) {
    if (calm.matches || !this.card_) return;
    const heart = h("span.burst", { "aria-hidden": "true" }, icon("heart"));
    if (x !== undefined) { heart.style.setProperty("left", `${x}px`); heart.style.setProperty("top", `${y}px`); }
    this.card_.element.append(heart);
    heart.addEventListener("animationend", () => heart.remove());
  }

  pause() {
    if (!this.item) return;
    this.paused = !this.paused;
    this.layout();
  }

  faster() {
    this.rate = this.rate >= 8 ? 1 : this.rate * 2;
    this.layout();
  }

  // A line on the phone itself.
  announce(message) {
    text(this.toast, message);
    this.toast.classList.add("on");
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.toast.classList.remove("on"), 2600);
  }

  // Time runs.
  tick(now) {
    requestAnimationFrame(this.tick);
    if (this.last === undefined) { this.last = now; return; }
    const passed = now - this.last;
    if (passed < FRAME_MS - 2) return;
    this.last = now;
    const { watch, item, card_: card } = this;
    // A page that slept did not watch.
    if (!watch || !item || !card || this.paused || document.hidden || passed > 2000 || this.mark(item).gone) return;
    const step = passed * this.rate;
    watch.ms += step;
    watch.watched += step;
    if (watch.ms >= item.duration_ms) {
      watch.ms = 0;
      watch.finishes += 1;
      if (watch.finishes === 1 && !watch.again) this.act("finish", item);
      if (watch.finishes === 2) this.act("rewatch", item);
    }
    card.fill.style.setProperty("transform", `scaleX(${Math.min(1, watch.ms / item.duration_ms)})`);
    text(card.time, `${seconds(watch.ms)} / ${seconds(item.duration_ms)}`);
    card.progress.setAttribute("aria-valuenow", Math.round(watch.ms / 1000));
    if (!calm.matches) paint(card.canvas, item, watch.watched / 1000);
  }

  // Fingers and wheels

  move(drag) {
    this.drag = drag;
    this.screen.style.setProperty("--drag", `${drag}px`);
  }

  touch() {
    let from = null, wheel = 0, resting = 0, taps = null;
    const { screen } = this;
    screen.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest(".rail, .speed")) return;
      from = { y: event.clientY, x: event.clientX, at: performance.now(), id: event.pointerId, moved: false };
    });
    screen.addEventListener("pointermove", (event) => {
      if (!from || event.pointerId !== from.id) return;
      const drag = event.clientY - from.y;
      if (!from.moved && Math.abs(drag) < 8) return;
      if (!from.moved) {
        from.moved = true;
        screen.setPointerCapture(from.id);
        screen.classList.add("dragged");
        this.feed.held = this.history[this.at + 1] ? null : this.feed.upcoming()[0] ?? null;
      }
      const stuck = (drag > 0 && this.at <= 0) || (drag < 0 && !this.history[this.at + 1] && !this.feed.held);
      this.move(stuck ? drag * 0.25 : drag);
    });
    const up = (event) => {
      if (!from || event.pointerId !== from.id) return;
      const { moved, y, at } = from, drag = event.clientY - y, speed = drag / Math.max(1, performance.now() - at);
      from = null;
      screen.classList.remove("dragged");
      this.move(0);
      if (moved && event.type === "pointerup" && (Math.abs(drag) > screen.clientHeight * 0.18 || Math.abs(speed) > 0.5)) {
        if (drag < 0) this.forward(); else this.back();
      }
      this.feed && (this.feed.held = null);
      this.layout();
      if (moved || event.type !== "pointerup" || !this.item) return;
      if (taps) {
        clearTimeout(taps);
        taps = null;
        const box = screen.getBoundingClientRect();
        if (!this.mark(this.item).liked) this.do("like");
        this.burst(event.clientX - box.left, event.clientY - box.top);
      } else taps = setTimeout(() => { taps = null; this.pause(); }, 230);
    };
    screen.addEventListener("pointerup", up);
    screen.addEventListener("pointercancel", up);
    // Who uses a screen reader presses the button without a pointer.
    screen.addEventListener("click", (event) => { if (event.detail === 0 && event.target.closest(".tap")) this.pause(); });
    this.element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const now = performance.now();
      if (now < resting) return;
      wheel += event.deltaY;
      if (Math.abs(wheel) < 40) return;
      const down = wheel > 0;
      wheel = 0;
      resting = now + 420;
      if (down) this.forward(); else this.back();
    }, { passive: false });
  }
}
