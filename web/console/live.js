// The stream of looks, one a second, and whoever follows it.

export class Live {
  constructor(figures) {
    this.places = new Map(figures.map((name, place) => [name, place]));
    this.look = null;
    this.state = "connecting";
    this.followers = new Set();
    this.watchers = new Set();
    this.open();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close("paused") : this.open()));
  }

  open() {
    if (this.source) return;
    this.source = new EventSource("/admin/api/live");
    this.source.onmessage = (event) => {
      this.look = JSON.parse(event.data);
      this.say("live");
      for (const follower of this.followers) follower(this.look);
    };
    this.source.onerror = () => {
      this.say("reconnecting");
      // A browser does not try again after a refusal.
      if (this.source?.readyState === EventSource.CLOSED) {
        this.source = null;
        setTimeout(() => !document.hidden && this.open(), 2000);
      }
    };
  }

  close(state) {
    this.source?.close();
    this.source = null;
    this.say(state);
  }

  say(state) {
    if (this.state === state) return;
    this.state = state;
    for (const watcher of this.watchers) watcher(state);
  }

  // The value of a figure now; NaN where there is none.
  value(name) {
    const value = this.look?.values[this.places.get(name)];
    return value === null || value === undefined ? NaN : value;
  }

  sum(names) {
    return names.reduce((sum, name) => sum + (Number.isFinite(this.value(name)) ? this.value(name) : 0), 0);
  }

  follow(follower) {
    this.followers.add(follower);
    if (this.look) follower(this.look);
    return () => this.followers.delete(follower);
  }
}
