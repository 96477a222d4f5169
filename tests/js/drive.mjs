// Drives a server through the official JavaScript SDK and prints what it sees as JSON lines.
//
//   LGNB_URL=http://127.0.0.1:8123/lgnb LGNB_KEY=secret node drive.mjs SCENARIO ASSISTANT
//
// Only observes: the expectations stand in the Python test that starts it.

import "./requests.mjs";
import { Client } from "@langchain/langgraph-sdk";

const [scenario, assistant] = process.argv.slice(2);
const client = new Client({ apiUrl: process.env.LGNB_URL, apiKey: process.env.LGNB_KEY });
const question = { messages: [{ role: "user", content: "Why is the sky blue?" }] };

function report(kind, data) {
  console.log(JSON.stringify({ kind, at: performance.now(), ...data }));
}

const scenarios = {
  // Tokens of a run, each with its time of arrival, and what the server says of the run when the first one is here.
  async stream() {
    const thread = await client.threads.create();
    let runId;
    let asked;
    const stream = client.runs.stream(thread.thread_id, assistant, {
      input: question,
      streamMode: "messages-tuple",
      onRunCreated: (run) => { runId = run.run_id; },
    });
    for await (const { event, data } of stream) {
      if (event !== "messages") {
        report("event", { event });
        continue;
      }
      const [message] = data;
      if (message.type === "AIMessageChunk" && message.content) {
        asked ??= client.runs.get(thread.thread_id, runId);
        report("token", { text: message.content });
      }
    }
    report("status at first token", { status: (await asked).status });
    report("status at end", { status: (await client.runs.get(thread.thread_id, runId)).status });
    const state = await client.threads.getState(thread.thread_id);
    report("final", { text: state.values.messages.at(-1).content });
  },

  async wait() {
    const thread = await client.threads.create();
    const values = await client.runs.wait(thread.thread_id, assistant, { input: question });
    const state = await client.threads.getState(thread.thread_id);
    const history = await client.threads.getHistory(thread.thread_id, { limit: 50 });
    report("values", { values });
    report("state", { values: state.values, next: state.next, checkpoint: state.checkpoint });
    report("history", { checkpoints: history.map((each) => each.checkpoint.checkpoint_id) });
  },

  async approval() {
    const thread = await client.threads.create();
    const input = JSON.parse(process.env.LGNB_INPUT);
    const paused = await client.runs.wait(thread.thread_id, assistant, { input });
    const waiting = await client.threads.get(thread.thread_id);
    report("paused", { interrupts: paused.__interrupt__, status: waiting.status, stored: waiting.interrupts });
    const command = { resume: JSON.parse(process.env.LGNB_ANSWER) };
    const values = await client.runs.wait(thread.thread_id, assistant, { command });
    const ended = await client.threads.get(thread.thread_id);
    report("resumed", { values, status: ended.status });
  },

  async assistants() {
    const created = await client.assistants.create({ graphId: assistant, name: "from node", metadata: { by: "node" } });
    const found = await client.assistants.search({ metadata: { by: "node" } });
    report("created", { assistant_id: created.assistant_id, found: found.map((each) => each.assistant_id) });
    await client.assistants.delete(created.assistant_id);
    const gone = await client.assistants.get(created.assistant_id).then(() => null, (error) => error.status);
    report("deleted", { status: gone });
  },

  // Every method of every resource, on the graphs of tests/acceptance/api; `assistant` is one that asks nothing.
  async everyAssistantMethod() {
    const metadata = { mark: crypto.randomUUID() };
    const { assistant_id: id } = await client.assistants.create({ graphId: "nested", name: "Ada", metadata });
    await client.assistants.update(id, { name: "Bob" });
    const versions = await client.assistants.getVersions(id);
    const latest = await client.assistants.setLatest(id, 1);
    const graph = await client.assistants.getGraph(id);
    const schemas = await client.assistants.getSchemas(id);
    report("assistant", {
      versions: versions.map((each) => each.name),
      latest: latest.name,
      now: (await client.assistants.get(id)).name,
      found: (await client.assistants.search({ metadata })).length,
      count: await client.assistants.count({ metadata }),
      nodes: graph.nodes.map((each) => each.id),
      graph: schemas.graph_id,
      subgraphs: Object.keys(await client.assistants.getSubgraphs(id)),
      one: Object.keys(await client.assistants.getSubgraphs(id, { namespace: "child" })),
    });
    await client.assistants.delete(id);
  },

  async everyThreadMethod() {
    const metadata = { mark: crypto.randomUUID() };
    const { thread_id: id } = await client.threads.create({ metadata });
    await client.runs.wait(id, assistant, { input: { log: [] } });
    const changed = await client.threads.update(id, { metadata: { more: 1 } });
    const written = await client.threads.updateState(id, { values: { log: ["by hand"] } });
    const state = await client.threads.getState(id);
    const copied = await client.threads.copy(id);
    report("thread", {
      metadata: changed.metadata.more,
      written: written.checkpoint_id === state.checkpoint.checkpoint_id,
      log: state.values.log,
      byId: (await client.threads.getState(id, state.checkpoint.checkpoint_id)).values.log,
      byCheckpoint: (await client.threads.getState(id, state.checkpoint)).values.log,
      history: (await client.threads.getHistory(id, { limit: 2 })).length,
      found: (await client.threads.search({ metadata })).length,
      count: await client.threads.count({ metadata }),
    });
    await client.threads.delete(copied.thread_id);
    report("thread deleted", { count: await client.threads.count({ metadata }) });
    await client.runs.create(id, assistant, { input: { log: [] }, streamResumable: true });
    const seen = [];
    // The stream never ends, and leaving the loop alone would not close it.
    const leaving = new AbortController();
    for await (const { event, data } of client.threads.joinStream(id, { lastEventId: "-", signal: leaving.signal })) {
      seen.push(event);
      if (data.status === "run_done") break;
    }
    leaving.abort();
    report("thread stream", { events: seen });
  },

  async everyRunMethod() {
    const { thread_id: id } = await client.threads.create();
    const input = { log: [] };
    const run = await client.runs.create(id, assistant, { input, streamResumable: true });
    const joined = await client.runs.join(id, run.run_id);
    const events = [];
    for await (const { event } of client.runs.joinStream(id, run.run_id, { lastEventId: "-1" })) events.push(event);
    const again = [];
    for await (const { event } of client.runs.joinStream(null, run.run_id, { lastEventId: "-1" })) again.push(event);
    const streamed = [];
    for await (const { event } of client.runs.stream(null, assistant, { input })) streamed.push(event);
    const slow = await client.runs.create(id, "slow", { input });
    await client.runs.cancel(id, slow.run_id, true);
    report("run", {
      joined: joined.log,
      events,
      again,
      streamed,
      cancelled: (await client.runs.get(id, slow.run_id)).status,
      listed: (await client.runs.list(id)).map((each) => each.run_id),
      expected: [slow.run_id, run.run_id],
      waited: (await client.runs.wait(null, assistant, { input })).log,
      pending: (await client.runs.create(null, assistant, { input })).status,
      batch: (await client.runs.createBatch([{ assistantId: assistant, input }])).length,
    });
    await client.runs.delete(id, run.run_id);
    report("run deleted", { left: (await client.runs.list(id)).length });
  },

  async everyCronMethod() {
    const { thread_id: id } = await client.threads.create();
    const schedule = "0 0 1 1 *";
    const loose = await client.crons.create(assistant, { schedule, input: { log: [] } });
    const bound = await client.crons.createForThread(id, assistant, { schedule, input: { log: [] } });
    const changed = await client.crons.update(loose.cron_id, { enabled: false });
    const found = await client.crons.search({ threadId: id });
    report("cron", {
      enabled: changed.enabled,
      found: found.map((each) => each.cron_id),
      expected: [bound.cron_id],
      count: await client.crons.count({ threadId: id }),
    });
    for (const cron of [loose, bound]) await client.crons.delete(cron.cron_id);
    report("cron deleted", { count: await client.crons.count({ threadId: id }) });
  },

  async everyStoreMethod() {
    const place = ["js", crypto.randomUUID()];
    await client.store.putItem(place, "a", { n: 1 });
    report("item", {
      value: (await client.store.getItem(place, "a")).value,
      found: (await client.store.searchItems(place)).items.map((each) => each.key),
      namespaces: (await client.store.listNamespaces({ prefix: place })).namespaces,
      expected: [place],
    });
    await client.store.deleteItem(place, "a");
    report("item deleted", { item: await client.store.getItem(place, "a") });
  },
};

await scenarios[scenario]();
