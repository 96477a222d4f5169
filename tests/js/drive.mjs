// Drives a server through the official JavaScript SDK and prints what it sees as JSON lines.
//
//   LGNB_URL=http://127.0.0.1:8123/lgnb LGNB_KEY=secret node drive.mjs SCENARIO ASSISTANT
//
// Only observes: the expectations stand in the Python test that starts it.

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
};

await scenarios[scenario]();
