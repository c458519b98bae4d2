// Asks the server, and says in words what went wrong.

export class Failed extends Error {
  constructor(status, message, retry) { super(message); this.status = status; this.retry = retry; }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", headers: { accept: "application/json", ...options.headers }, ...options });
  } catch {
    throw new Failed(0, "The server does not answer.");
  }
  const body = answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
  if (answer.ok) return body;
  // The login is over: its page leads back here.
  if (answer.status === 401) location.assign(`/admin/login?next=${encodeURIComponent(location.pathname)}`);
  throw new Failed(answer.status, body?.detail ?? `The server answered ${answer.status}.`);
}

export const get = (path) => ask(path);
export const post = (path, value) => ask(path, {
  method: "POST", body: JSON.stringify(value ?? {}), headers: { "content-type": "application/json", accept: "application/json", ...shown },
});

// Changes show that they come from this page.
let shown = {};
export const showing = (token) => { shown = token ? { "x-csrf-token": token } : {}; };
export const enc = encodeURIComponent;
