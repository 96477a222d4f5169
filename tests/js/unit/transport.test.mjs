// The way through the kernel, with a model that a test plays.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Api } from "../../../lgnb/widgets/static/api.js";
import { CommTransport } from "../../../lgnb/widgets/static/comm.js";

class Model {
  constructor(answer = () => {}) {
    this.sent = [];
    this.listeners = new Set();
    this.answer = answer;
  }
  on(_, listener) {
    this.listeners.add(listener);
  }
  off(_, listener) {
    this.listeners.delete(listener);
  }
  send(message) {
    this.sent.push(message);
    queueMicrotask(() => this.answer(message, (reply) => this.say({ id: message.id, ...reply })));
  }
  say(message) {
    for (const listener of this.listeners) listener(message);
  }
}

const read = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event.data);
  return events;
};

test("answers find their requests, in whatever order they come", async () => {
  const waiting = [];
  const transport = new CommTransport(new Model((message, reply) => waiting.push(() => reply({ lgnb: "answer", status: 200, text: JSON.stringify(message.path) }))));
  const both = Promise.all([transport.request("GET", "/a", { query: { limit: 2 } }), transport.request("GET", "/b")]);
  await new Promise((resolve) => setTimeout(resolve));
  waiting.reverse().forEach((answer) => answer());

  assert.deepEqual(await both, ["/a?limit=2", "/b"]);
});

test("a refusal is an error with the server's own sentence", async () => {
  const transport = new CommTransport(new Model((_, reply) => reply({ lgnb: "answer", status: 409, text: '{"detail":"The thread is busy."}' })));

  await assert.rejects(transport.request("POST", "/x", { body: {} }), { message: "The thread is busy.", status: 409 });
});

test("batches of events are one stream, which the reader may leave", async () => {
  const model = new Model((message, reply) => {
    if (message.lgnb !== "stream") return;
    reply({ lgnb: "events", number: 0, events: [{ data: 1 }, { data: 2 }] });
    reply({ lgnb: "events", number: 1, events: [{ data: 3 }] });
  });
  const seen = [];
  for await (const { data } of new CommTransport(model).stream("GET", "/s")) {
    seen.push(data);
    if (data === 3) break;
  }

  assert.deepEqual(seen, [1, 2, 3]);
  assert.equal(model.sent.at(-1).lgnb, "cancel");
});

test("when a batch was dropped on the way, the run is read on from the last event", async () => {
  const asked = [];
  const model = new Model((message, reply) => {
    if (message.lgnb !== "stream") return;
    asked.push(message.last_event_id);
    if (asked.length === 1) {
      reply({ lgnb: "events", number: 0, events: [{ data: 1, id: "1-0" }] });
      reply({ lgnb: "events", number: 2, events: [{ data: 3, id: "3-0" }] });
    } else {
      reply({ lgnb: "events", number: 0, events: [{ data: 2, id: "2-0" }, { data: 3, id: "3-0" }] });
      reply({ lgnb: "end", status: 200, text: "" });
    }
  });
  const events = await read(new Api(new CommTransport(model)).followRun("t", "r"));

  assert.deepEqual(events, [1, 2, 3]);
  assert.deepEqual(asked, ["-1", "1-0"]);
});

test("what the server refuses is not asked again", async () => {
  let count = 0;
  const model = new Model((message, reply) => {
    if (message.lgnb === "stream") count += 1;
    reply({ lgnb: "end", status: 404, text: '{"detail":"no such run"}' });
  });

  await assert.rejects(read(new Api(new CommTransport(model)).followRun("t", "r")), { status: 404 });
  assert.equal(count, 1);
});
