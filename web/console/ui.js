// What pages are put together from: cards, figures, tables, states, questions.

import { clear, h, text } from "/assets/shared/dom.js";

export function page(title, lead, ...parts) {
  return [h("header.page-head", h("h1", { tabindex: "-1" }, title), lead ? h("p.lead", lead) : null), ...parts];
}

export function card(title, ...parts) {
  const id = `c${Math.random().toString(36).slice(2, 8)}`;
  return h("section.card", title ? { "aria-labelledby": id } : {}, title ? h("h2", { id }, title) : null, ...parts);
}

export const grid = (...parts) => h("div.grid", ...parts);
export const wide = (element) => { element.classList.add("wide"); return element; };

// A row of figures: [{label, value(), hint, tone()}]; update() reads them again.
export function figures(list) {
  const cells = list.map((figure) => {
    const value = h("span.value"), hint = h("span.hint");
    return { figure, value, hint, element: h("div.figure", h("dt", figure.label), h("dd", value, hint)) };
  });
  const element = h("dl.figures", cells.map((cell) => cell.element));
  const update = () => cells.forEach(({ figure, value, hint, element: cell }) => {
    const now = figure.value();
    value.classList.toggle("long", now.length > 12);
    text(value, now);
    text(hint, typeof figure.hint === "function" ? figure.hint() : figure.hint ?? "");
    cell.dataset.tone = figure.tone?.() ?? "";
  });
  return { element, update };
}

const TONES = {
  running: "good", live: "good", serving: "good", done: "good", kept: "good", starting: "warn", stopping: "warn", restarting: "warn", reconnecting: "warn",
  paused: "warn", waiting: "warn", failed: "bad", stopped: "bad", broken: "bad", refused: "bad", late: "bad",
};
export function badge(word, tone = TONES[word] ?? "plain") {
  return h("span.badge", { "data-tone": tone }, h("span.dot", { "aria-hidden": "true" }), word);
}

// A table whose rows stay in place while their cells change. columns: [{head, cell(row) → text | node, number, key}]
export function table(caption, columns, options = {}) {
  const body = h("tbody", h("tr", h("td.empty", { colspan: columns.length }, "…")));
  const element = h("div.table", { tabindex: "0", role: "region", "aria-label": `${caption}, table` }, h("table", h("caption.visually-hidden", caption),
    h("thead", h("tr", columns.map((column) => h(`th${column.number ? ".number" : ""}`, { scope: "col" }, column.head || h("span.visually-hidden", "Actions"))))), body));
  const rows = new Map();
  const set = (list) => {
    if (!list.length) {
      rows.clear();
      return clear(body, h("tr", h("td.empty", { colspan: columns.length }, options.empty ?? "Nothing here.")));
    }
    if (!rows.size) clear(body);
    const keys = new Set();
    list.forEach((item, index) => {
      const key = options.key ? options.key(item) : index;
      keys.add(key);
      let row = rows.get(key);
      if (!row) {
        const cells = columns.map((column, n) => (n === 0 ? h("th", { scope: "row" }) : h(`td${column.number ? ".number" : ""}`)));
        row = { element: h("tr", cells), cells, seen: [] };
        rows.set(key, row);
      }
      columns.forEach((column, n) => fill(row, n, column.cell(item)));
      if (options.tone) row.element.dataset.tone = options.tone(item) ?? "";
      if (body.children[index] !== row.element) body.insertBefore(row.element, body.children[index] ?? null);
    });
    for (const [key, row] of rows) if (!keys.has(key)) { row.element.remove(); rows.delete(key); }
    return undefined;
  };
  return { element, set };
}

function fill(row, n, content) {
  if (content instanceof Node) {
    // The same control stays, so that it keeps the focus.
    if (content.dataset?.keep && row.seen[n] === content.dataset.keep) return;
    row.seen[n] = content.dataset?.keep;
    clear(row.cells[n], content);
  } else if (row.seen[n] !== content) {
    row.seen[n] = content;
    row.cells[n].textContent = content ?? "–";
  }
}

// A cell that stays as it is, and keeps the focus, for as long as its value is the same.
export function keep(value, element) { element.dataset.keep = `=${value}`; return element; }

export function meter(part, whole, label) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  return h("span.meter", { "data-tone": share >= 0.8 ? "bad" : share >= 0.5 ? "warn" : "", role: "img", "aria-label": label },
    h("span.fill", { style: { width: `${share * 100}%` } }));
}

export const link = (path, ...content) => h("a", { href: path, "data-route": true }, ...content);
export const button = (label, act, kind = "quiet") => h(`button.${kind}`, { type: "button", onclick: act }, label);

// Asks before something is done. Resolves to whether it was confirmed.
export function confirm({ title, body, action }) {
  return new Promise((resolve) => {
    const close = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    const dialog = h("dialog", { "aria-labelledby": "ask", oncancel: (e) => { e.preventDefault(); close(false); } },
      h("h2", { id: "ask" }, title), h("p", body),
      h("div.actions", button("Cancel", () => close(false)), button(action, () => close(true), "primary")));
    document.body.append(dialog);
    dialog.showModal();
  });
}

let toasts = null;
export function say(message, tone = "good") {
  toasts ??= document.body.appendChild(h("div.toasts", { role: "status", "aria-live": "polite" }));
  const toast = h("div.toast", { "data-tone": tone }, message);
  toasts.append(toast);
  setTimeout(() => toast.remove(), 6000);
}

// Runs something that may fail, and says so where it did.
export async function attempt(work) {
  try { return await work(); } catch (error) { say(error.message, "bad"); return undefined; }
}

export function problem(error) {
  return h("p.problem", { role: "alert" }, error.message);
}

export function personForm(label, target, value = "") {
  const input = h("input", { type: "search", name: "user", id: `user-${target}`, autocomplete: "off", spellcheck: "false", required: true, value, placeholder: "user id" });
  return h("form.person", { onsubmit: (event) => {
    event.preventDefault();
    const id = input.value.trim();
    if (id) window.dispatchEvent(new CustomEvent("foryou:go", { detail: `/admin/${target}/${encodeURIComponent(id)}` }));
  } }, h("label", { for: `user-${target}` }, label), input, h("button.primary", { type: "submit" }, "Open"));
}
