// What a run tells, reduced from its events.

import assert from "node:assert/strict";
import { test } from "node:test";

import { nodeOf, GraphTrace } from "../../../lgnb/widgets/static/graph_trace.js";
import { RunStory, textOf } from "../../../lgnb/widgets/static/run_story.js";

const chunk = (id, content, more = {}) => ({
  event: "messages",
  data: [{ type: "AIMessageChunk", id, content, ...more }, { langgraph_node: "model" }],
});
const begins = (id, name, path = "") => ({ event: `tasks${path}`, data: { id, name, input: {}, triggers: [] } });
const ends = (id, name, more = {}, path = "") => ({ event: `tasks${path}`, data: { id, name, result: {}, error: null, interrupts: [], ...more } });
const told = (...events) => {
  const story = new RunStory();
  for (const event of events) story.feed(event);
  return story;
};

test("tokens of one message become one text, and messages stay apart", () => {
  const story = told(chunk("a", "Hel"), chunk("a", "lo"), chunk("b", "World"));

  assert.deepEqual(story.items.map((item) => item.text), ["Hello", "World"]);
});

test("a tool call grows from its pieces and gets its result", () => {
  const story = told(
    chunk("a", "", { tool_call_chunks: [{ id: "c1", name: "add", args: "", index: 0 }] }),
    chunk("a", "", { tool_call_chunks: [{ id: null, name: null, args: '{"x":', index: 0 }] }),
    chunk("a", "", { tool_call_chunks: [{ id: null, name: null, args: "1}", index: 0 }] }),
    { event: "messages", data: [{ type: "tool", tool_call_id: "c1", content: "2", status: "success" }, {}] },
  );

  const [call] = story.items.filter((item) => item.kind === "tool");
  assert.deepEqual([call.name, call.args, call.result, call.hasFailed], ["add", '{"x":1}', "2", false]);
});

test("a message that was streamed is not said twice when its node ends", () => {
  const whole = { type: "ai", id: "a", content: "Hello", tool_calls: [] };
  const story = told(chunk("a", "Hello"), { event: "updates", data: { model: { messages: [whole] } } });

  assert.equal(story.items.length, 1);
});

test("an interrupt within a subgraph keeps the most exact name of who asks", () => {
  const asked = { id: "i", value: "sure?" };
  const story = told(
    { event: "updates", data: { __interrupt__: [asked] } },
    ends("t", "outer", { interrupts: [asked] }),
    ends("u", "inner", { interrupts: [asked] }, "|outer:t"),
  );
  story.finish("success");

  assert.equal(story.state, "interrupted");
  assert.equal(story.interrupts.get("i").node, "outer/inner");
});

test("a new attempt takes back what the lost one had half said", () => {
  const story = told(
    { event: "metadata", data: { run_id: "r", attempt: 1 } }, chunk("a", "Half"),
    { event: "metadata", data: { run_id: "r", attempt: 2 } }, chunk("b", "Whole"),
  );

  assert.deepEqual(story.items.filter((item) => item.kind === "said").map((item) => item.text), ["Whole"]);
});

test("of very many notes the last ones are kept and the others counted", () => {
  const story = told(...Array.from({ length: 1000 }, (_, index) => ({ event: "custom", data: index })));

  assert.equal(story.items.length, 200);
  assert.equal(story.items.at(-1).value, 999);
  assert.equal(story.hiddenNotes, 800);
});

test("the status of the run settles how it ended", () => {
  const states = ["success", "interrupted", "error", "timeout", "rolled back"].map((status) => {
    const story = told(begins("t", "model"));
    story.finish(status);
    return [story.state, story.active.size];
  });

  assert.deepEqual(states, [["success", 0], ["cancelled", 0], ["error", 0], ["timeout", 0], ["gone", 0]]);
});

test("text is read from strings and from blocks", () => {
  assert.equal(textOf("a"), "a");
  assert.equal(textOf([{ type: "text", text: "a" }, "b", { type: "image" }]), "ab");
  assert.equal(textOf(null), "");
});

test("a loop marks both of its edges, even when all is told at once", () => {
  const edges = [["__start__", "model"], ["model", "tools"], ["tools", "model"], ["model", "__end__"]].map(([source, target]) => ({ source, target }));
  const story = told(begins("1", "model"), ends("1", "model"), begins("2", "tools"), ends("2", "tools"), begins("3", "model"), ends("3", "model"));
  story.finish("success");
  const trace = new GraphTrace(edges).follow(story);

  assert.deepEqual([...trace.visited].sort(), edges.map(({ source, target }) => `${source}→${target}`).sort());
  assert.equal(trace.states.get("model").done, 2);
});

test("a node that failed and begins again is marked by how it ends then", () => {
  const story = told(begins("1", "write"), ends("1", "write", { error: "Busy" }));
  const trace = new GraphTrace([{ source: "__start__", target: "write" }]).follow(story);
  const failed = { ...trace.states.get("write") };

  for (const event of [{ event: "metadata", data: { run_id: "r", attempt: 2 } }, begins("1", "write"), ends("1", "write")]) story.feed(event);
  trace.follow(story);

  assert.deepEqual(failed, { active: 0, done: 0, failed: true });
  assert.deepEqual(trace.states.get("write"), { active: 0, done: 1, failed: false });
});

test("of two tasks of one node at the same time, the one that fails marks it", () => {
  const story = told(begins("1", "work"), begins("2", "work"), ends("1", "work", { error: "No" }), ends("2", "work"));

  assert.deepEqual(new GraphTrace([]).follow(story).states.get("work"), { active: 0, done: 1, failed: true });
});

test("what a lost attempt was at does not count as at work any more", () => {
  const story = told(begins("1", "plan"), ends("1", "plan"), begins("2", "write"));
  const trace = new GraphTrace([{ source: "__start__", target: "plan" }, { source: "plan", target: "write" }]).follow(story);
  story.feed({ event: "metadata", data: { run_id: "r", attempt: 2 } });
  story.feed(begins("2", "write"));
  const again = trace.follow(story).states.get("write").active;
  story.feed(ends("2", "write"));

  assert.equal(again, 1);
  assert.deepEqual(trace.follow(story).states.get("write"), { active: 0, done: 1, failed: false });
  assert.equal(trace.states.get("plan").done, 1);
});

test("the way not taken stays unmarked", () => {
  const edges = [["__start__", "ask"], ["ask", "send"], ["ask", "__end__"], ["send", "__end__"]].map(([source, target]) => ({ source, target }));
  const story = told(begins("1", "ask"), ends("1", "ask"));
  story.finish("success");

  assert.deepEqual([...new GraphTrace(edges).follow(story).visited], ["__start__→ask", "ask→__end__"]);
});

test("the small start and end of a subgraph are passed through", () => {
  const edges = [["__start__", "go"], ["go", "sub:__start__"], ["sub:__start__", "sub:step"], ["sub:step", "sub:__end__"], ["sub:__end__", "__end__"]].map(([source, target]) => ({ source, target }));
  const story = told(begins("1", "go"), ends("1", "go"), begins("2", "sub"), begins("3", "step", "|sub:2"), ends("3", "step", {}, "|sub:2"), ends("2", "sub"));
  story.finish("success");

  assert.deepEqual([...new GraphTrace(edges).follow(story).visited].sort(), edges.map(({ source, target }) => `${source}→${target}`).sort());
  assert.equal(nodeOf("sub/step"), "sub:step");
});
