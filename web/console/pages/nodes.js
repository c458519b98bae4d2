// Which nodes there are, and who holds which people.

import { h } from "/assets/shared/dom.js";
import { ago, whole } from "/assets/shared/format.js";
import { get } from "../api.js";
import { attempt, badge, card, figures, meter, page, table, wide } from "../ui.js";

export default function nodes(context) {
  let found = null;
  const held = () => found?.nodes.reduce((sum, node) => sum + node.partitions, 0);
  const now = figures([
    { label: "Nodes", value: () => whole(found?.nodes.length) },
    { label: "Partitions held", value: () => (found ? `${whole(held())} of ${whole(found.partitions)}` : "–"), tone: () => (found && held() < found.partitions ? "warn" : "") },
    { label: "Taken over", value: () => whole(found?.takeovers), hint: "nodes that fell silent, since the start" },
  ]);
  const list = table("Nodes", [
    { head: "Node", cell: (n) => h("span", n.name, n.me ? h("span.tag", "this one") : null) },
    { head: "State", cell: () => badge("live") },
    { head: "Address", cell: (n) => n.address },
    { head: "Version", cell: (n) => n.version },
    { head: "Started", cell: (n) => ago(n.started_at) },
    { head: "Share", cell: (n) => meter(n.partitions, found.partitions * 2, `${n.partitions} of ${found.partitions} partitions`) },
    { head: "Partitions", number: true, cell: (n) => whole(n.partitions) },
    { head: "Which", cell: (n) => n.ranges.join(" ") || "none" },
  ], { key: (n) => n.name });
  context.every(2, async () => {
    found = await attempt(() => get("/admin/api/nodes")) ?? found;
    if (found) { list.set(found.nodes); now.update(); }
  });
  return page("Nodes", "Who holds which people?", now.element, wide(card("Nodes", list.element)));
}
