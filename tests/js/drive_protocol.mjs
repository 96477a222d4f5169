// Drives a server through the controller that `useStream` of the JavaScript SDK stands on, and prints what it sees.
//
//   LGNB_URL=http://127.0.0.1:8123/lgnb LGNB_KEY=secret node drive_protocol.mjs SCENARIO ASSISTANT
//
// Only observes: the expectations stand in the Python test that starts it.

import "./requests.mjs";
import { Client } from "langgraph-sdk-protocol";
import { StreamController } from "langgraph-sdk-protocol/stream";

const [scenario, assistantId] = process.argv.slice(2);
const client = new Client({ apiUrl: process.env.LGNB_URL, apiKey: process.env.LGNB_KEY });
const input = { messages: [{ type: "human", content: process.env.LGNB_QUESTION }] };

function report(kind, data) {
  console.log(JSON.stringify({ kind, ...data }));
}

function controllerOf(threadId = null) {
  return new StreamController({ client, assistantId, threadId, transport: "sse" });
}

const now = (controller) => controller.rootStore.getSnapshot();
const shown = (message) => ({ id: message.id, type: message.getType(), text: message.text });

async function until(controller, holds) {
  for (const deadline = Date.now() + 20000; !holds(now(controller)); ) {
    if (Date.now() > deadline) throw new Error("it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// The controller shows a question as soon as it has the state, but takes an answer only after the stream repeated it.
async function answer(controller, response) {
  for (const deadline = Date.now() + 20000; ; ) {
    try {
      return await controller.respond(response);
    } catch (error) {
      if (!String(error).includes("No pending interrupt") || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function summary(controller) {
  const { messages, toolCalls, values, interrupt, isLoading, error } = now(controller);
  report("summary", {
    messages: messages.map(shown),
    tools: toolCalls.map(({ name, args, status, output }) => ({ name, args, status, output })),
    values,
    interrupt,
    isLoading,
    error: error && String(error),
  });
}

const scenarios = {
  // Each text of the last message, as a page would render it, and whether the run was still going on.
  async stream() {
    const controller = controllerOf();
    controller.rootStore.subscribe(() => {
      const last = now(controller).messages.at(-1);
      if (last) report("rendered", { ...shown(last), isLoading: now(controller).isLoading });
    });
    await controller.submit(input);
    summary(controller);
  },

  // A question to a person; a second page, opened later, sees it and answers.
  async approval() {
    const first = controllerOf();
    await first.submit(input);
    summary(first);
    const second = controllerOf(now(first).threadId);
    await second.hydrate(now(first).threadId);
    await until(second, ({ interrupt }) => interrupt != null);
    summary(second);
    await answer(second, process.env.LGNB_ANSWER);
    await until(second, ({ values }) => values.outcome != null);
    summary(second);
  },

  async failure() {
    const controller = controllerOf();
    await controller.submit({ text: "a" });
    summary(controller);
  },
};

await scenarios[scenario]();
process.exit(0);
