// Who did what.

import { instant } from "/assets/shared/format.js";
import { get, enc } from "../api.js";
import { attempt, badge, button, card, page, table, wide } from "../ui.js";

export default function audit(context) {
  let lines = [];
  const list = table("Audit log", [
    { head: "When", cell: (l) => instant(l.at) },
    { head: "Who", cell: (l) => l.who },
    { head: "From", cell: (l) => l.from || "–" },
    { head: "What", cell: (l) => l.action },
    { head: "On", cell: (l) => l.on || "–" },
    { head: "Outcome", cell: (l) => badge(l.outcome) },
    { head: "Detail", cell: (l) => l.detail || "–" },
  ], { key: (l) => l.id, empty: "Nothing was done yet." });
  const show = async (before) => {
    const found = await attempt(() => get(`/admin/api/audit?limit=100${before ? `&before=${enc(before)}` : ""}`));
    if (!found) return;
    const known = new Set(found.lines.map((l) => l.id));
    lines = before ? [...lines, ...found.lines] : [...found.lines, ...lines.filter((l) => !known.has(l.id))];
    list.set(lines);
    more.hidden = lines.length < 100 || (before && found.lines.length < 100);
  };
  const more = button("Earlier lines", () => show(lines[lines.length - 1]?.id));
  more.hidden = true;
  context.every(3, () => show());
  return page("Audit log", "Who did what, and how did it end? Lines are added, never changed.", wide(card(null, list.element, more)));
}
