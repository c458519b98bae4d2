// The login, where the server asks for one.

import { clear, h } from "/assets/shared/dom.js";
import { post } from "./api.js";
import { problem } from "./ui.js";

export function login(app, done) {
  const wrong = h("div");
  const form = h("form.login", { onsubmit: async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    try {
      await post("/admin/login", { user: data.get("user"), password: data.get("password") });
      done();
    } catch (error) {
      clear(wrong, problem(error));
    }
  } }, h("h1", "foryou console"), h("label", "Name", h("input", { name: "user", autocomplete: "username", required: true, autofocus: true })),
  h("label", "Password", h("input", { name: "password", type: "password", autocomplete: "current-password", required: true })), wrong,
  h("button.primary", { type: "submit" }, "Log in"));
  clear(app, h("main.alone", { id: "main" }, form));
  form.querySelector("input").focus();
}
