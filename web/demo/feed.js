// One person's feed over the socket: what is shown, what comes next, and how long the server took to think again.

export class Feed extends EventTarget {
  constructor(user, { token = null, buffer = 6 } = {}) {
    super();
    Object.assign(this, { user, token, buffer, list: new Map(), head: -1, resume: null, state: "connecting" });
    // Said and not acknowledged, in order: said again after a drop. An id counts once.
    this.unsettled = new Map();
    // Actions whose new tail is still to come.
    this.waiting = new Map();
    this.seen = [];
    // The video that a finger pulls in.
    this.held = null;
    this.tries = 0;
    this.asking = false;
    this.prefix = `demo-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    this.count = 0;
    this.connect();
  }

  connect() {
    if (this.ended) return;
    const base = location.href.replace(/^http/, "ws");
    const address = new URL("/v1/feed/ws", base);
    if (this.token) address.searchParams.set("access_token", this.token); else address.searchParams.set("user", this.user);
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.onopen = () => this.say({ type: "hello", buffer: this.buffer, explain: true, ...(this.resume ? { resume: this.resume, seen: this.seen } : {}) });
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = () => this.dropped(socket);
  }

  dropped(socket) {
    if (this.socket !== socket || this.ended) return;
    this.socket = null;
    this.asking = false;
    // What was under way is not measured: the wait was not the server's thinking.
    this.waiting.clear();
    this.become("reconnecting");
    const wait = this.retry ?? Math.min(4000, 150 * 2 ** this.tries);
    this.retry = undefined;
    this.tries += 1;
    this.timer = setTimeout(() => this.connect(), wait);
  }

  end() {
    this.ended = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  become(state) {
    if (this.state === state) return;
    this.state = state;
    this.tell("state", { state });
  }

  tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  say(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  hear(message) {
    switch (message.type) {
      case "welcome": return this.welcomed(message);
      case "feed": return this.replace(message);
      case "ack": return this.acknowledged(message);
      case "bye": this.retry = message.retry_ms; return undefined;
      // An event that the server does not take is not said again; it answers in order.
      case "error": this.unsettled.delete(this.unsettled.keys().next().value); return this.tell("trouble", { text: message.errors?.[0] ? `${message.errors[0].field} ${message.errors[0].reason}` : message.detail });
      default: return undefined;
    }
  }

  welcomed(message) {
    this.resume = message.resume;
    this.tries = 0;
    this.become("live");
    // What was watched while nobody heard it is to be known for good, and so is what was not acknowledged.
    for (const video of this.seen) this.say({ type: "seen", video });
    for (const event of this.unsettled.values()) this.say(event);
  }

  acknowledged({ id, status }) {
    this.unsettled.delete(id);
    const action = this.waiting.get(id);
    if (action) action.durable_ms = performance.now() - action.began;
    if (status === "duplicate") this.waiting.delete(id);
  }

  // Everything from `from` on is new; what was watched meanwhile stays.
  replace(message) {
    const before = this.upcoming();
    this.resume = message.resume;
    this.asking = false;
    for (const position of [...this.list.keys()]) if (position >= message.from && position > this.head) this.list.delete(position);
    for (const item of message.items) if (item.position > this.head) this.list.set(item.position, item);
    if (this.held && this.held.position > this.head) {
      // Half on the screen already: it stays the next.
      for (const [position, item] of [...this.list]) if (item.video === this.held.video) this.list.delete(position);
      this.list.set(this.held.position, this.held);
    }
    const now = performance.now();
    let action = null;
    if (message.because.kind === "event" && this.waiting.has(message.because.id)) {
      // Actions together get one tail; those before it are in it, too.
      for (const [id, each] of this.waiting) {
        this.waiting.delete(id);
        action = each;
        if (id === message.because.id) break;
      }
      action.tail_ms = now - action.began;
    }
    const after = this.upcoming(), known = new Set(before.map((item) => item.video));
    const fresh = after.filter((item) => !known.has(item.video)).map((item) => item.video);
    this.tell("tail", { because: message.because, took_ms: message.took_ms, action, fresh, before, after });
    if (after.length < 2) this.more();
  }

  more() {
    if (!this.asking) this.asking = this.say({ type: "more", limit: this.buffer });
  }

  upcoming() {
    return [...this.list.values()].filter((item) => item.position > this.head).sort((a, b) => a.position - b.position);
  }

  // Goes to the next video, and says so. Null where there is none yet.
  next() {
    const item = this.upcoming()[0];
    if (!item) { this.more(); return null; }
    this.head = item.position;
    for (const position of [...this.list.keys()]) if (position <= item.position) this.list.delete(position);
    this.seen.push(item.video);
    if (this.seen.length > 30) this.seen.shift();
    this.say({ type: "seen", video: item.video });
    if (this.upcoming().length < 3) this.more();
    return item;
  }

  // Something was done with a video. Resolves nothing: the tail that reflects it is told when it comes.
  act(kind, item, more = {}) {
    this.count += 1;
    const id = `${this.prefix}-${this.count}`;
    const event = { type: "event", id, kind, video: item.video, at: new Date().toISOString(), ...more };
    this.unsettled.set(id, event);
    this.waiting.set(id, { id, kind, item, began: performance.now(), watch_ms: more.watch_ms });
    this.say(event);
    return id;
  }
}
