// Line, area and bar charts in SVG: axes with units, round ticks, labels at the lines, and the exact values under the pointer or, by
// arrow keys, under the focus. While data moves, axes move only when they have to.

import { clear, h, svg, text } from "./dom.js";
import { clock, digits } from "./format.js";

const MARGIN = { top: 10, right: 12, bottom: 24, left: 54 };
const COLOURS = 8;
const brief = (value) => digits(Number(value.toPrecision(3)), 3).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

// Round numbers that cover 0..max, about `count` of them.
function ticks(max, count = 4) {
  if (!(max > 0)) return [0, 1];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= rough * 0.999) ?? 10 * power;
  const out = [];
  for (let n = 0; n * step < max + step * 0.999; n += 1) out.push(Number((n * step).toPrecision(12)));
  return out;
}

// Ticks have as many decimals as their step needs, no more.
function tickFormat(marks) {
  const step = marks[1] - marks[0];
  const places = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9) + (/^25/.test(step.toExponential().replace(".", "")) ? 1 : 0)));
  return (v) => (v === 0 ? "0" : v.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places }));
}

// What is shown is as long as what there is, in steps, up to what was asked for: a server that just began has full charts, too.
const FITS_S = [30, 45, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 10800, 14400, 21600];
function fit(from, to, spanMs) {
  const covered = (to - from) / 1000;
  return Math.min(spanMs, (FITS_S.find((s) => covered <= s) ?? 21600) * 1000);
}

const STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600];
function timeTicks(from, to, width) {
  const span = (to - from) / 1000;
  const step = (STEPS_S.find((s) => span / s <= Math.max(2, width / 84)) ?? 21600) * 1000;
  const offset = new Date(to).getTimezoneOffset() * 60000;
  const out = [];
  for (let t = Math.ceil((from - offset) / step) * step + offset; t <= to; t += step) out.push(t);
  return { at: out, seconds: step < 60000 };
}

// options: {title, unit, format(value), series: [{name, label, colour?}], stack, height, objective: {value, label}}
export class TimeChart {
  constructor(options) {
    this.options = options;
    this.format = options.format ?? brief;
    this.t = [];
    this.values = options.series.map(() => []);
    this.span = 600_000;
    this.top = 0;
    this.at = null;
    this.plot = svg("svg.plot", { role: "img", "aria-hidden": "true", focusable: "false" });
    this.tip = h("div.tip", { hidden: true });
    this.spoken = h("p.visually-hidden", { "aria-live": "off" });
    this.legend = h("ul.legend");
    this.frame = h("div.frame", {
      tabindex: "0", role: "group", "aria-roledescription": "chart",
      "aria-label": `${options.title}${options.unit ? `, ${options.unit}` : ""}. Arrow keys read values.`,
      onpointermove: (e) => this.point(e.offsetX, e.target),
      onpointerleave: () => this.look(null),
      onkeydown: (e) => this.key(e),
      onblur: () => this.look(null),
    }, this.plot, this.tip, this.spoken);
    this.element = h("figure.chart",
      h("figcaption", h("span.title", options.title), options.unit ? h("span.unit", options.unit) : null, this.legend),
      this.frame);
    this.labels = options.series.map((series, index) => {
      const value = h("span.now");
      this.legend.append(h("li", { style: { "--c": this.colour(index) } }, h("span.key"), series.label ?? series.name, value));
      return value;
    });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.frame);
  }

  colour(index) {
    return this.options.series[index].colour ?? `var(--c${(index % COLOURS) + 1})`;
  }

  dispose() { this.observer.disconnect(); }

  // All data anew: times (ms) and an array of values for each series, null for none.
  set(t, values, spanMs) {
    this.t = t.slice();
    this.values = values.map((v) => v.slice());
    this.span = spanMs;
    this.top = 0;
    this.draw();
  }

  // One more point; what is older than the span goes.
  push(t, row) {
    if (this.t.length && t <= this.t[this.t.length - 1]) return;
    this.t.push(t);
    this.values.forEach((values, i) => values.push(row[i] ?? null));
    while (this.t.length && this.t[0] < t - this.span) {
      this.t.shift();
      this.values.forEach((values) => values.shift());
    }
    this.draw();
  }

  sums() {
    if (!this.options.stack) return this.values;
    const below = this.t.map(() => 0);
    return this.values.map((values) => values.map((v, i) => { below[i] += v ?? 0; return below[i]; }));
  }

  draw() {
    const width = this.frame.clientWidth, height = this.options.height ?? 168;
    if (!width) return;
    this.labels.forEach((label, i) => text(label, this.lastOf(i)));
    const shown = this.sums();
    const max = Math.max(0, ...shown.flatMap((values) => values.filter(Number.isFinite)), this.options.objective ? this.options.objective.value * 1.15 : 0);
    const empty = !shown.some((values) => values.some(Number.isFinite));
    // The axis grows at once and shrinks only when most of it is bare.
    if (max > this.top || max < this.top * 0.4) this.top = max;
    const marks = ticks(this.top, height > 140 ? 4 : 3);
    const top = marks[marks.length - 1];
    const axisFormat = this.options.axis ?? tickFormat(marks);
    const to = this.t[this.t.length - 1] ?? Date.now();
    this.shownSpan = fit(this.t[0] ?? to, to, this.span);
    const from = to - this.shownSpan;
    const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
    const x = (t) => MARGIN.left + ((t - from) / this.shownSpan) * inner.w;
    const y = (v) => MARGIN.top + inner.h - (v / top) * inner.h;
    Object.assign(this, { x, inner, height, width });
    const time = timeTicks(from, to, inner.w);
    const grid = marks.map((v) => [
      svg("line.grid", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(v), y2: y(v) }),
      svg("text.tick", { x: MARGIN.left - 8, y: y(v), "text-anchor": "end", "dominant-baseline": "middle" }, axisFormat(v)),
    ]);
    const axis = time.at.map((t) => svg("text.tick", { x: x(t), y: height - 6, "text-anchor": "middle" }, clock(new Date(t), time.seconds)));
    const paths = shown.map((values, i) => this.path(values, i ? shown[i - 1] : null, x, y, i));
    const objective = this.options.objective && svg("g.objective",
      svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(this.options.objective.value), y2: y(this.options.objective.value) }),
      svg("text", { x: width - MARGIN.right, y: y(this.options.objective.value) - 5, "text-anchor": "end" }, this.options.objective.label));
    this.cursor = svg("g.cursor");
    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot.setAttribute("width", width);
    this.plot.setAttribute("height", height);
    clear(this.plot, grid, axis, this.options.stack ? paths.reverse() : paths, objective, this.cursor,
      empty && svg("text.empty", { x: MARGIN.left + inner.w / 2, y: MARGIN.top + inner.h / 2, "text-anchor": "middle" }, this.options.empty ?? "Nothing in this time"));
    if (this.at !== null) this.mark();
  }

  path(values, below, x, y, index) {
    const runs = [];
    let run = null, last = null;
    values.forEach((v, i) => {
      const gap = last !== null && this.t[i] - last > Math.max(5000, this.step() * 3);
      if (!Number.isFinite(v) || gap) run = null;
      if (Number.isFinite(v)) {
        if (!run) runs.push((run = []));
        run.push(i);
        last = this.t[i];
      }
    });
    const point = (i) => `${x(this.t[i]).toFixed(1)},${y(values[i]).toFixed(1)}`;
    const group = svg("g.series", { style: { "--c": this.colour(index) } });
    for (const run of runs) {
      if (this.options.stack || this.options.series.length === 1) {
        const base = run.slice().reverse().map((i) => `${x(this.t[i]).toFixed(1)},${y(this.options.stack && below ? below[i] : 0).toFixed(1)}`);
        group.append(svg("path.area", { d: `M${run.map(point).join("L")}L${base.join("L")}Z` }));
      }
      if (run.length === 1) group.append(svg("circle.dot", { cx: x(this.t[run[0]]), cy: y(values[run[0]]), r: 1.6 }));
      else group.append(svg("path.line", { d: `M${run.map(point).join("L")}` }));
    }
    return group;
  }

  step() { return this.t.length > 1 ? (this.t[this.t.length - 1] - this.t[0]) / (this.t.length - 1) : 1000; }

  lastOf(index) {
    const at = this.at ?? this.t.length - 1;
    const value = this.values[index][at];
    return Number.isFinite(value) ? this.format(value) : "–";
  }

  point(offset, target) {
    if (target.closest(".tip") || !this.t.length || !this.x) return;
    const time = this.t[this.t.length - 1] - this.shownSpan + ((offset - MARGIN.left) / this.inner.w) * this.shownSpan;
    let best = 0;
    for (let i = 0; i < this.t.length; i += 1) if (Math.abs(this.t[i] - time) < Math.abs(this.t[best] - time)) best = i;
    this.look(best);
  }

  key(event) {
    const last = this.t.length - 1;
    if (last < 0) return;
    const from = this.at ?? last + 1;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 10, PageDown: from + 10, Home: 0, End: last }[event.key];
    if (event.key === "Escape") return this.look(null);
    if (to === undefined) return;
    event.preventDefault();
    this.look(Math.max(0, Math.min(last, to)));
    this.spoken.setAttribute("aria-live", "polite");
    text(this.spoken, `${clock(new Date(this.t[this.at]))}: ${this.options.series.map((s, i) => `${s.label ?? s.name} ${this.lastOf(i)}`).join(", ")}`);
  }

  look(index) {
    this.at = index;
    this.labels.forEach((label, i) => text(label, this.lastOf(i)));
    this.element.classList.toggle("looking", index !== null);
    if (index === null) {
      this.tip.hidden = true;
      if (this.cursor) clear(this.cursor);
      return;
    }
    this.mark();
  }

  mark() {
    if (this.at >= this.t.length) this.at = this.t.length - 1;
    const x = this.x(this.t[this.at]);
    clear(this.cursor, svg("line", { x1: x, x2: x, y1: MARGIN.top, y2: this.height - MARGIN.bottom }));
    clear(this.tip, h("div.when", clock(new Date(this.t[this.at]))), this.options.series.map((series, i) =>
      h("div.row", { style: { "--c": this.colour(i) } }, h("span.key"), h("span.name", series.label ?? series.name), h("span.value", this.lastOf(i)))));
    this.tip.hidden = false;
    const left = x + 14 + this.tip.offsetWidth > this.width ? x - 14 - this.tip.offsetWidth : x + 14;
    this.tip.style.left = `${Math.max(0, left)}px`;
  }
}

// Bars for a distribution: {title, unit, bars: [{label, value, marked}], format}
export class Bars {
  constructor(options) {
    this.options = options;
    this.body = h("div.bars", { role: "list", "aria-label": options.title });
    this.element = h("figure.chart", h("figcaption", h("span.title", options.title), options.unit ? h("span.unit", options.unit) : null), this.body);
  }
  dispose() {}
  set(bars) {
    const most = Math.max(1, ...bars.map((bar) => bar.value));
    const format = this.options.format ?? ((v) => digits(v, 3));
    if (!bars.some((bar) => bar.value > 0)) return clear(this.body, h("p.empty", this.options.empty ?? "Nothing yet"));
    clear(this.body, bars.map((bar) => h(`div.bar${bar.marked ? ".marked" : ""}`, { role: "listitem" },
      h("span.label", bar.label), h("span.track", h("span.fill", { style: { width: `${(bar.value / most) * 100}%` } })), h("span.value", format(bar.value)))));
    return undefined;
  }
}
