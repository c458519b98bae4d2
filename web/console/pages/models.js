// Releases: which one serves, what each reached, another made live.

import { h } from "/assets/shared/dom.js";
import { ago, bytes, instant, whole } from "/assets/shared/format.js";
import { get, post, enc } from "../api.js";
import { attempt, badge, button, card, confirm, figures, keep, page, say, table, wide } from "../ui.js";

export const metric = (metrics, ...path) => path.reduce((at, key) => at?.[key], metrics);
const three = (value) => (Number.isFinite(value) ? value.toFixed(3) : "–");

export default function models(context) {
  let found = null;
  const active = () => found?.releases.find((r) => r.summary.active);
  const now = figures([
    { label: "Serves", value: () => found?.serving ?? "none" },
    { label: "Learned until", value: () => (active() ? ago(active().summary.trained_until) : "–"), hint: () => (active() ? instant(active().summary.trained_until) : "") },
    { label: "Recall@100", value: () => three(metric(active()?.summary.metrics, "retrieval", "two_tower", "recall_100")) },
    { label: "Long view AUC", value: () => three(metric(active()?.summary.metrics, "ranking", "long_view", "auc")) },
    { label: "Releases", value: () => whole(found?.releases.length) },
  ]);
  const list = table("Releases", [
    { head: "Release", cell: (r) => r.summary.id },
    { head: "State", cell: (r) => (r.summary.id === found.serving ? keep("serving", badge("serving")) : r.summary.active ? keep("starting", badge("starting")) : keep("-", h("span.quiet", "at rest"))) },
    { head: "Written", cell: (r) => instant(r.summary.created) },
    { head: "Trained until", cell: (r) => instant(r.summary.trained_until) },
    { head: "Videos", number: true, cell: (r) => whole(r.summary.videos) },
    { head: "Recall@100", number: true, cell: (r) => three(metric(r.summary.metrics, "retrieval", "two_tower", "recall_100")) },
    { head: "AUC", number: true, cell: (r) => three(metric(r.summary.metrics, "ranking", "long_view", "auc")) },
    { head: "GAUC", number: true, cell: (r) => three(metric(r.summary.metrics, "ranking", "long_view", "gauc")) },
    { head: "Size", number: true, cell: (r) => bytes(r.bytes ?? NaN) },
    { head: "", cell: (r) => (r.summary.active ? keep("no", h("span")) : keep("yes", button("Activate", () => activate(r.summary.id), "small"))) },
  ], { key: (r) => r.summary.id, empty: ["No release yet. Make one with ", h("code", "foryou train"), "."] });
  const load = async () => {
    const answer = await attempt(() => get("/admin/api/releases"));
    if (!answer) return;
    found = answer;
    list.set(found.releases);
    now.update();
    back.disabled = found.releases.length < 2;
  };
  async function activate(id) {
    const sure = await confirm({ title: `Activate ${id}?`, body: "Servers load it aside, check it and swap within a second or two, without a dropped request. A release that cannot serve is refused, and the one before goes on.", action: "Activate" });
    if (sure && await attempt(() => post(`/admin/api/releases/${enc(id)}/activate`))) { say(`${id} is made live`); load(); }
  }
  const back = button("Roll back", async () => {
    const sure = await confirm({ title: "Roll back?", body: "The release that was live before is made live again.", action: "Roll back" });
    const done = sure && await attempt(() => post("/admin/api/rollback"));
    if (done) { say(`${done.release} is live again`); load(); }
  });
  context.every(2, load);
  return page("Models", "Which release serves, and is it better than the one before?", now.element, wide(card("Releases", h("p.actions", back), list.element)));
}
