// The modules that compute without a page: streams, Markdown, schemas, answers, history, differences.

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerOf, readFree, reading } from "../../../lgnb/widgets/static/answers.js";
import { xsrfToken } from "../../../lgnb/widgets/static/direct.js";
import { diff, pathText } from "../../../lgnb/widgets/static/diff.js";
import { rowsOf } from "../../../lgnb/widgets/static/history_tree.js";
import { block, inline, safeAddress, split } from "../../../lgnb/widgets/static/markdown.js";
import { cleanAddress } from "../../../lgnb/widgets/static/page.js";
import { EventParser } from "../../../lgnb/widgets/static/sse.js";
import { isMessageList, validate, withoutNull } from "../../../lgnb/widgets/static/validate.js";

test("events are read whole however the bytes are cut", () => {
  const bytes = new TextEncoder().encode('event: values\r\ndata: {"a":"é"}\r\nid: 1-0\r\n\r\n: heartbeat\r\n\r\nevent: error\ndata: {}\n\n');
  for (let size = 1; size < 9; size += 1) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < bytes.length; at += size) events.push(...parser.feed(bytes.slice(at, at + size)));

    assert.deepEqual(events, [{ event: "values", data: { a: "é" }, id: "1-0" }, { event: "error", data: {}, id: null }]);
  }
});

test("Markdown becomes a tree without HTML, images or dangerous addresses", () => {
  assert.deepEqual(inline("a <b>x</b> ![i](https://e.org/i.png) [l](javascript:alert(1))").filter((part) => part.kind === "link").map((part) => part.address), ["https://e.org/i.png", null]);
  assert.equal(inline("<img src=x onerror=alert(1)>")[0], "<img src=x onerror=alert(1)>");
  assert.equal(safeAddress("data:text/html,x"), null);
  assert.equal(safeAddress("mailto:a@b.c"), "mailto:a@b.c");
});

test("Markdown keeps code as it is and nests lists", () => {
  assert.deepEqual(block("```py\na = *b*\n```"), { kind: "code", language: "py", text: "a = *b*" });
  const list = block("1. one\n   - inner\n2. two");
  assert.deepEqual([list.isOrdered, list.items.length, list.items[0].nested.items.length], [true, 2, 1]);
  assert.equal(block("| a | b |\n|---|---|\n| 1 | 2 |").kind, "table");
  assert.deepEqual(inline("**bold** and `code`").map((part) => part.kind ?? part), ["strong", " and ", "code"]);
});

test("only the last block of a growing text can still change", () => {
  const text = "# Title\n\nFirst *par*\n\n```\ncode\n\nmore\n```\n\n- a\n- b";
  for (let end = 1; end <= text.length; end += 1) {
    const blocks = split(text.slice(0, end)).slice(0, -1);
    const whole = split(text);
    blocks.forEach((one, index) => assert.equal(one.source.trimEnd(), whole[index].source.trimEnd()));
  }
});

test("values are checked against the words of a schema", () => {
  const schema = {
    type: "object", required: ["topic"], $defs: { Note: { type: "object", required: ["text"], properties: { text: { type: "string" } } } },
    properties: { topic: { type: "string", minLength: 2 }, count: { anyOf: [{ type: "integer", minimum: 0 }, { type: "null" }] }, notes: { type: "array", items: { $ref: "#/$defs/Note" } }, mode: { enum: ["a", "b"] } },
  };
  const told = (value) => validate(schema, value).map(({ path, message }) => `${path} ${message}`);

  assert.deepEqual(told({ topic: "rain", count: null, notes: [{ text: "x" }], mode: "a" }), []);
  assert.deepEqual(told({}), ["topic is missing"]);
  assert.deepEqual(told({ topic: 3 }), ["topic must be a text"]);
  assert.deepEqual(told({ topic: "r", count: -1 }), ["topic needs at least 2 characters", "count must be at least 0"]);
  assert.deepEqual(told({ topic: "rain", notes: [{}] }), ["notes[0].text is missing"]);
  assert.deepEqual(told({ topic: "rain", mode: "c" }), ['mode must be one of "a", "b"']);
});

test("a list of messages is known by its schema, also where it may be null", () => {
  const messages = { type: "array", items: { oneOf: [{ $ref: "#/$defs/AIMessage" }, { $ref: "#/$defs/HumanMessage" }] } };
  assert.equal(isMessageList(messages, {}), true);
  assert.equal(isMessageList({ anyOf: [messages, { type: "null" }] }, {}), true);
  assert.equal(isMessageList({ type: "array", items: { type: "string" } }, {}), false);
  assert.deepEqual(withoutNull({ anyOf: [{ type: "string" }, { type: "null" }], default: null }, {}), { schema: { type: "string", default: null }, isNullable: true });
});

test("each kind of question is recognised", () => {
  assert.equal(reading({ value: { action_requests: [{ name: "send", args: {} }], review_configs: [] } }).kind, "review");
  assert.equal(reading({ value: [{ action_request: { action: "send", args: {} }, config: {} }] }).kind, "inbox");
  assert.equal(reading({ value: "x", response_schema: { type: "boolean" } }).kind, "schema");
  assert.equal(reading({ value: { question: "which?", options: ["a", "b"] } }).kind, "choices");
  assert.equal(reading({ value: "sure?" }).kind, "free");
});

test("only the allowed decisions are offered, and the answer has the shape of the middleware", () => {
  const form = reading({ value: { action_requests: [{ name: "send", args: { to: "a" } }, { name: "pay", args: {} }], review_configs: [{ action_name: "pay", allowed_decisions: ["approve", "reject"] }] } });

  assert.deepEqual(form.actions[1].decisions, ["approve", "reject"]);
  assert.deepEqual(answerOf(form, [{ decision: "edit", args: { to: "b" } }, { decision: "reject", text: "no" }]), {
    decisions: [{ type: "edit", edited_action: { name: "send", args: { to: "b" } } }, { type: "reject", message: "no" }],
  });
});

test("a typed answer is JSON where it is some, else the text", () => {
  assert.deepEqual(['{"a": 1}', "true", " 3 ", "yes, please", ""].map(readFree), [{ a: 1 }, true, 3, "yes, please", ""]);
});

const state = (id, parent, source = "loop", next = []) => ({ checkpoint: { checkpoint_id: id }, parent_checkpoint: parent && { checkpoint_id: parent }, metadata: { source, step: 0 }, next, tasks: [] });

test("a straight history is one lane", () => {
  const rows = rowsOf([state("c", "b"), state("b", "a"), state("a", null, "input", ["go"])]);

  assert.deepEqual(rows.map((row) => row.lane), [0, 0, 0]);
  assert.deepEqual(rows.map((row) => row.label), ["loop", "go", "input"]);
});

test("a fork is a lane of its own, which ends where it began", () => {
  const rows = rowsOf([state("d2", "b"), state("c", "b"), state("b", "a"), state("a", null)]);

  assert.deepEqual(rows.map((row) => row.lane), [0, 1, 0, 0]);
  assert.deepEqual(rows[2].ends, [1]);
  assert.deepEqual(rows[3].lanes, []);
});

test("differences are told by place, and messages found again by their id", () => {
  const before = { topic: "rain", messages: [{ id: "1", content: "a" }, { id: "2", content: "b" }] };
  const after = { topic: "snow", messages: [{ id: "2", content: "b!" }, { id: "3", content: "c" }], extra: 1 };

  assert.deepEqual(diff(before, after).map(({ path, kind }) => `${kind} ${pathText(path)}`), [
    "changed topic", "removed messages[0]", "changed messages[0].content", "added messages[1]", "added extra",
  ]);
  assert.deepEqual(diff(before, structuredClone(before)), []);
});

test("the address loses its token and keeps its goal", () => {
  const base = "http://h/a/lgnb/studio";
  assert.equal(cleanAddress(`${base}?token=secret`, ""), base);
  assert.equal(cleanAddress(`${base}?token=s&thread=T&run=R`, ""), `${base}#/threads/T/runs/R`);
  assert.equal(cleanAddress(`${base}?assistant=A`, ""), `${base}#/assistants/A`);
  assert.equal(cleanAddress(`${base}?token=s#/store`, "#/store"), `${base}#/store`);
});

test("the XSRF token is read from its own cookie", () => {
  assert.equal(xsrfToken("a=1; _xsrf=2|ab|cd|3; b=2"), "2|ab|cd|3");
  assert.equal(xsrfToken("not_xsrf=1"), "");
});
