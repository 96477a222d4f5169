// The operations that the views use, in the words of the API, on whatever transport there is.

const STREAMED = {
  stream_mode: ["messages-tuple", "updates", "tasks", "values", "custom"],
  stream_subgraphs: true,
  // So that a view which is opened late, or whose connection broke, misses nothing.
  stream_resumable: true,
};
const RETRY_MS = [250, 500, 1000, 2000, 4000];

export class Api {
  constructor(transport) {
    this.transport = transport;
  }

  ask(method, path, options) {
    return this.transport.request(method, path, options);
  }

  info = () => this.ask("GET", "/info");
  workers = () => this.ask("GET", "/workers");

  assistants = (search = {}) => this.ask("POST", "/assistants/search", { body: { limit: 1000, ...search } });
  assistant = (id) => this.ask("GET", `/assistants/${id}`);
  createAssistant = (body) => this.ask("POST", "/assistants", { body });
  updateAssistant = (id, body) => this.ask("PATCH", `/assistants/${id}`, { body });
  deleteAssistant = (id) => this.ask("DELETE", `/assistants/${id}`);
  versions = (id) => this.ask("POST", `/assistants/${id}/versions`, { body: { limit: 100 } });
  useVersion = (id, version) => this.ask("POST", `/assistants/${id}/latest`, { body: { version } });
  drawing = (id) => this.ask("GET", `/assistants/${encodeURIComponent(id)}/graph`, { query: { xray: "true" } });
  schemas = (id) => this.ask("GET", `/assistants/${id}/schemas`);

  threads = (search = {}) => this.ask("POST", "/threads/search", { body: search });
  thread = (id) => this.ask("GET", `/threads/${id}`);
  createThread = (body = {}) => this.ask("POST", "/threads", { body });
  copyThread = (id) => this.ask("POST", `/threads/${id}/copy`);
  deleteThread = (id) => this.ask("DELETE", `/threads/${id}`);

  state = (id, checkpoint) =>
    checkpoint
      ? this.ask("POST", `/threads/${id}/state/checkpoint`, { body: { checkpoint, subgraphs: false } })
      : this.ask("GET", `/threads/${id}/state`);
  updateState = (id, body) => this.ask("POST", `/threads/${id}/state`, { body });
  history = (id, body) => this.ask("POST", `/threads/${id}/history`, { body });

  runs = (thread, query = {}) => this.ask("GET", `/threads/${thread}/runs`, { query: { limit: 100, ...query } });
  run = (thread, run) => this.ask("GET", `/threads/${thread}/runs/${run}`);
  start = (thread, body) => this.ask("POST", `/threads/${thread}/runs`, { body: { ...STREAMED, ...body } });
  cancel = (thread, run) =>
    this.ask("POST", `/threads/${thread}/runs/${run}/cancel`, { query: { action: "interrupt", wait: "false" } });

  // Every event of a run, from its first one on, across broken connections.
  followRun(thread, run, { signal } = {}) {
    return this.resuming(`/threads/${thread}/runs/${run}/stream`, { first: "-1", signal });
  }

  // What happens on a thread from now on: runs that begin and end, and states written by request. Never ends by itself.
  followThread(thread, { signal } = {}) {
    const query = { stream_modes: "lifecycle,state_update" };
    return this.resuming(`/threads/${thread}/stream`, { query, signal, forever: true });
  }

  // Names what has changed on the server, such as threads or crons. Never ends by itself.
  followChanges({ signal } = {}) {
    return this.resuming("/changes", { signal, forever: true });
  }

  async *resuming(path, { first, query, signal, forever = false }) {
    let last = first;
    let failures = 0;
    while (!signal?.aborted) {
      try {
        for await (const event of this.transport.stream("GET", path, { query, lastEventId: last, signal })) {
          failures = 0;
          if (event.id) last = event.id;
          yield event;
        }
        if (!forever) return;
      } catch (error) {
        if (signal?.aborted) return;
        // What the server refuses stays refused; only a broken connection is worth another try.
        const isRefused = error.status >= 400 && error.status < 500 && error.status !== 429;
        if (isRefused || (!forever && failures >= RETRY_MS.length)) throw error;
      }
      await pause(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)], signal);
      failures += 1;
    }
  }

  crons = () => this.ask("POST", "/runs/crons/search", { body: { limit: 1000 } });
  updateCron = (id, body) => this.ask("PATCH", `/runs/crons/${id}`, { body });
  deleteCron = (id) => this.ask("DELETE", `/runs/crons/${id}`);

  namespaces = () => this.ask("POST", "/store/namespaces", { body: { limit: 1000 } });
  items = (body) => this.ask("POST", "/store/items/search", { body });
  putItem = (body) => this.ask("PUT", "/store/items", { body });
  deleteItem = (body) => this.ask("DELETE", "/store/items", { body });
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

// The assistant that continues a thread: the one that used it last.
export function assistantOf(thread) {
  return thread?.metadata?.assistant_id ?? thread?.metadata?.graph_id ?? null;
}

// What a thread waits for, in one order everywhere: interrupts with the node that asks, from its state.
export function interruptsOf(state) {
  const found = new Map();
  for (const task of state.tasks ?? []) {
    for (const one of task.interrupts ?? []) found.set(one.id, { ...one, node: task.name });
  }
  for (const one of state.interrupts ?? []) if (!found.has(one.id)) found.set(one.id, { ...one, node: "" });
  return [...found.values()];
}
