// The story of one video: who found it, what each stage decided, what it is predicted to bring, and what its score is made of.

import { h } from "/assets/shared/dom.js";
import { digits, ms, percent, whole, words } from "/assets/shared/format.js";

const bar = (label, fill, shown, tone = "") => h(`div.bar${tone}`, h("span.label", { title: label }, label), h("span.track", fill), h("span.value", shown));
const width = (share) => ({ style: { width: `${Math.min(100, share * 100)}%` } });

export const steps = (stages) => h("ol.steps", stages.map((line) => {
  const [, stage, said] = /^([a-z_]+): (.*)$/s.exec(line) ?? [null, "", line];
  return h("li", stage ? h("span.stage", words(stage)) : null, h("span", said));
}));

function predicted(outcomes) {
  const { watch_ms: watch, ...odds } = outcomes;
  const sorted = Object.entries(odds).sort((a, b) => b[1] - a[1]);
  if (!sorted.length) return h("p.quiet", "Not ranked.");
  return h("div.bars", sorted.map(([name, p]) => bar(words(name), h("span.fill", width(p)), percent(p, 1))),
    watch === undefined ? null : h("div.bar", h("span.label", "watch time"), h("span"), h("span.value", ms(watch))));
}

// What came on top of the outcomes, in the order in which it did.
const ON_TOP = ["mood", "refusal", "creator_fatigue", "category_fatigue"];
const signed = (value) => (value < 0 ? `− ${digits(-value, 3)}` : value > 0 ? `+ ${digits(value, 3)}` : "0");

// Bars that begin where the one before ended, the greatest first; the last is the score.
function worth(parts, score) {
  const entries = Object.entries(parts).filter(([, adds]) => adds !== 0);
  if (!entries.length) return h("p.quiet", "It was not weighed.");
  const weighed = entries.filter(([name]) => !ON_TOP.includes(name)).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const ordered = [...weighed, ...ON_TOP.flatMap((name) => entries.filter(([other]) => other === name))];
  // What moves the score by less than a thousandth is told as one.
  const much = (adds) => Math.abs(adds) >= Math.abs(score) / 1000;
  const little = ordered.filter(([, adds]) => !much(adds)).reduce((all, [, adds]) => all + adds, 0);
  const listed = [...ordered.filter(([, adds]) => much(adds)), ...(little ? [["all else", little]] : [])];
  let sum = 0;
  const spans = listed.map(([name, adds]) => { const from = sum; sum += adds; return { name, adds, from, to: sum }; });
  const least = Math.min(0, ...spans.map((s) => s.to)), range = Math.max(...spans.map((s) => s.to), 0) - least || 1;
  const place = (from, to) => ({ style: { left: `${((Math.min(from, to) - least) / range) * 100}%`, width: `${Math.max(0.5, (Math.abs(to - from) / range) * 100)}%` } });
  return h("div.bars.worth", spans.map((s) => bar(words(s.name), h("span.fill", place(s.from, s.to)), signed(s.adds), s.adds < 0 ? ".minus" : ".plus")),
    bar("score", h("span.fill", place(0, score)), digits(score, 3), ".total"));
}

export const found = (by) => h("ul.found", by.map((f) => h("li", h("span.tag", words(f.source)), h("span", `rank ${whole(f.rank + 1)}`), f.score === null ? null : h("span.quiet", `score ${digits(f.score, 3)}`))));

// Three columns: decisions, what goes into the score, what is predicted.
export const told = (explain, score) => [
  h("div", h("h3", "Decisions"), explain.found?.length ? found(explain.found) : null, steps(explain.stages)),
  h("div", h("h3", "What its score is made of"), score === null ? h("p.quiet", "It has none.") : worth(explain.worth ?? {}, score)),
  h("div", h("h3", "Predicted"), predicted(explain.outcomes)),
];
