// The transport through the kernel, for front ends that do not come from the server (VS Code, Colab): each request is
// a message with an id of our own, and the kernel asks the server on a thread apart from its cells.

import { ApiError, queryOf } from "./errors.js";

const BUSY_AFTER_MS = 2500;

export class CommTransport {
  // `model` is the widget's; `onwaiting(true)` tells that the kernel has not answered for a while.
  constructor(model, { onwaiting = () => {} } = {}) {
    this.model = model;
    this.name = "comm";
    this.pending = new Map();
    this.last = 0;
    this.onwaiting = onwaiting;
    this.receive = (message) => this.take(message);
    model.on("msg:custom", this.receive);
  }

  request(method, path, { query, body, signal } = {}) {
    return new Promise((resolve, reject) => {
      const id = this.open(
        { op: "request", method, path: `${path}${queryOf(query)}`, body },
        {
          answer: ({ status, text }) => {
            if (status >= 200 && status < 300) resolve(text ? JSON.parse(text) : null);
            else ApiError.of(status, text).then(reject);
          },
        },
      );
      signal?.addEventListener("abort", () => {
        if (this.close(id)) reject(new DOMException("The request was given up.", "AbortError"));
      });
    });
  }

  async *stream(method, path, { query, body, lastEventId, signal } = {}) {
    const queue = [];
    let wake = () => {};
    let over = null;
    let expected = 0;
    const id = this.open(
      { op: "stream", method, path: `${path}${queryOf(query)}`, body, last_event_id: lastEventId },
      {
        events: ({ number, events }) => {
          // Front ends may drop messages when too many come; the reader then asks again from the last id.
          if (number !== expected) over = { error: new ApiError("A part of the stream was lost.", 0) };
          else queue.push(...events);
          expected += 1;
          wake();
        },
        end: ({ status, text }) => {
          over = over ?? { status, text };
          wake();
        },
      },
    );
    const stop = () => {
      over = over ?? {};
      wake();
    };
    signal?.addEventListener("abort", stop);
    try {
      for (;;) {
        while (queue.length) yield queue.shift();
        if (over?.error) throw over.error;
        if (over?.status !== undefined && over.status !== 200) throw await ApiError.of(over.status, over.text ?? "");
        if (over) return;
        await new Promise((resolve) => (wake = resolve));
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      if (this.close(id)) this.model.send({ lgnb: "cancel", id });
    }
  }

  open(message, handlers) {
    this.last += 1;
    const id = `${this.last}`;
    const timer = setTimeout(() => this.onwaiting(true), BUSY_AFTER_MS);
    this.pending.set(id, { ...handlers, timer });
    this.model.send({ lgnb: message.op, id, ...message });
    return id;
  }

  close(id) {
    const found = this.pending.get(id);
    if (found) clearTimeout(found.timer);
    return this.pending.delete(id);
  }

  take(message) {
    const found = this.pending.get(message?.id);
    if (!found || !(message.lgnb in found)) return;
    clearTimeout(found.timer);
    this.onwaiting(false);
    found[message.lgnb](message);
    if (message.lgnb !== "events") this.pending.delete(message.id);
  }

  destroy() {
    for (const id of this.pending.keys()) this.close(id);
    this.model.off("msg:custom", this.receive);
  }
}
