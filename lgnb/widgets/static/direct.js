// The direct transport: the browser asks the server that it came from, with the cookie it has. It works while the
// kernel is busy or gone. Only relative addresses of the one origin are ever asked.

import { ApiError, queryOf } from "./errors.js";
import { EventParser } from "./sse.js";

export class DirectTransport {
  constructor(root) {
    this.root = root; // ends with /lgnb
    this.name = "direct";
  }

  async request(method, path, { query, body, signal } = {}) {
    const response = await this.fetch(method, path, { query, body, signal });
    const text = await response.text();
    return text ? JSON.parse(text) : null;
  }

  // Events of a stream; ends when the server closes it, throws when the connection breaks.
  async *stream(method, path, { query, body, lastEventId, signal } = {}) {
    const response = await this.fetch(method, path, { query, body, lastEventId, signal, accept: "text/event-stream" });
    const parser = new EventParser();
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield* parser.feed(value);
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  async fetch(method, path, { query, body, lastEventId, signal, accept = "application/json" }) {
    // Under a JupyterHub a page has to send it even to read.
    const headers = { Accept: accept, "X-XSRFToken": xsrfToken() };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (lastEventId !== undefined) headers["Last-Event-ID"] = lastEventId;
    let response;
    try {
      response = await fetch(`${this.root}${path}${queryOf(query)}`, {
        method, headers, signal, credentials: "same-origin", cache: "no-store",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError("The server does not answer; it may have stopped.", 0);
    }
    if (response.ok) return response;
    throw await ApiError.of(response.status, await response.text());
  }

  destroy() {}
}

export function xsrfToken(cookies = document.cookie) {
  const found = cookies.match(/(?:^|;\s*)_xsrf=([^;]*)/);
  return found ? decodeURIComponent(found[1]) : "";
}

// Where Jupyter says that its addresses begin; null outside of a Jupyter page.
export function jupyterBase() {
  const config = document.getElementById("jupyter-config-data");
  if (!config) return null;
  try {
    return JSON.parse(config.textContent).baseUrl ?? null;
  } catch {
    return null;
  }
}

// The direct transport, if the kernel's server is the one behind this page; else null.
export async function probe(base, instance, { signal } = {}) {
  if (!base || !instance) return null;
  const transport = new DirectTransport(`${base}lgnb`);
  try {
    const info = await transport.request("GET", "/info", { signal });
    if (info.lgnb?.instance !== instance) return null;
    // Whether the cookie is good for more than what anybody may read.
    await transport.request("POST", "/assistants/count", { body: {}, signal });
    return transport;
  } catch {
    return null;
  }
}
