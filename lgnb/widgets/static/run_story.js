// What a person wants to see of one run, reduced from the events of its stream. Pure: no clock, no DOM.
// `lgnb.client.run_view` tells the same story in Python.

const FINAL = new Set(["success", "interrupted", "paused", "cancelled", "error", "timeout", "gone"]);
const MOST_NOTES = 200;

export class RunStory {
  constructor(runId = null) {
    this.state = "pending";
    this.runId = runId;
    this.attempt = 1;
    this.supersteps = 0;
    this.items = []; // {kind: said | tool | node | note, …} in the order of their appearance
    this.hiddenNotes = 0;
    this.active = new Map(); // task id → label, such as research/gather
    this.tasks = []; // {id, label, started, ended, error}
    this.log = []; // {label, begins, hasFailed}: beginnings and ends of tasks, in their order; {restarts} between attempts
    this.interrupts = new Map();
    this.values = null;
    this.failure = null;
    this.hasPaused = false;
    this.dirty = new Set(); // items to draw again
    this.said = new Map();
    this.calls = new Map();
    this.chunks = new Map();
    this.notes = [];
    this.earlier = null;
    this.lastFailed = "";
  }

  get isFinal() {
    return FINAL.has(this.state);
  }

  get text() {
    return this.items.findLast((item) => item.kind === "said" && item.text)?.text ?? "";
  }

  feed({ event, data, id }) {
    const [mode, ...namespace] = event.split("|");
    const path = namespace.map((segment) => segment.split(":")[0]);
    const at = id ? Number.parseInt(id, 10) : null;
    if (mode === "metadata" && data?.run_id) this.begin(data.run_id, data.attempt ?? 1);
    else if (mode === "messages" && Array.isArray(data)) this.message(data[0], label(path, data[1]?.langgraph_node));
    else if (mode === "tasks" && data?.id) this.task(data, label(path, data.name), path.length === 0, at);
    else if (mode === "updates" && data) this.updates(data, path);
    else if (mode === "values" && data) this.state_(data, path.length === 0);
    else if (mode === "custom") this.note(path.join("/"), data);
    else if (mode === "error" && data) this.fail(data);
  }

  // Settles the state from the run's own status once its stream has ended.
  finish(status) {
    this.active.clear();
    if (this.state === "error") return;
    if (status === "success") this.state = this.interrupts.size ? "interrupted" : this.hasPaused ? "paused" : "success";
    else if (status === "interrupted") this.state = "cancelled";
    else this.state = status === "error" || status === "timeout" ? status : "gone";
  }

  begin(runId, attempt) {
    this.runId = runId;
    this.state = "running";
    if (attempt <= this.attempt) return;
    this.attempt = attempt;
    this.active.clear();
    this.log.push({ restarts: true });
    // What the lost attempt had half said will be said again.
    const isKept = (item) => !(item.kind === "said" && !item.isWhole);
    for (const item of this.items) if (!isKept(item)) this.said.delete(item.id);
    this.items = this.items.filter(isKept);
    this.note("", `attempt ${attempt}: continues from the last checkpoint`);
  }

  message(message, node) {
    if (!message) return;
    if (message.type === "AIMessageChunk") {
      const text = textOf(message.content);
      const chunks = message.tool_call_chunks ?? [];
      if (text || !chunks.length) {
        const said = this.saying(message.id, node);
        said.text += text;
        said.isWhole = said.isWhole || message.chunk_position === "last";
        this.dirty.add(said);
      }
      for (const chunk of chunks) this.toolChunk(message.id, chunk);
    } else {
      this.whole(message, node);
    }
  }

  toolChunk(messageId, chunk) {
    const key = `${messageId} ${chunk.index ?? 0}`;
    let call = this.chunks.get(key);
    if (!call) {
      call = this.add({ kind: "tool", id: chunk.id ?? "", name: chunk.name ?? "", args: "", result: null, hasFailed: false });
      this.chunks.set(key, call);
      this.calls.set(call.id, call);
    }
    call.args += chunk.args ?? "";
    this.dirty.add(call);
  }

  whole(message, node) {
    // A subgraph hands its parent the whole conversation; what the thread already held is no news.
    if (this.earlier?.has(message.id)) return;
    if (message.type === "tool") this.toolResult(message);
    if (message.type !== "ai") return;
    const text = textOf(message.content);
    if (text || this.said.has(message.id)) {
      const said = this.saying(message.id, node);
      said.text = text || said.text;
      said.isWhole = true;
      this.dirty.add(said);
    }
    for (const { id, name, args } of message.tool_calls ?? []) {
      const call = this.calls.get(id) ?? this.add({ kind: "tool", id, name, result: null, hasFailed: false });
      this.calls.set(id, call);
      call.name = name || call.name;
      call.args = JSON.stringify(args ?? {});
      this.dirty.add(call);
    }
  }

  toolResult(message) {
    const id = message.tool_call_id ?? "";
    const call = this.calls.get(id) ?? this.add({ kind: "tool", id, name: message.name ?? "tool", args: "" });
    this.calls.set(id, call);
    call.result = textOf(message.content);
    call.hasFailed = message.status === "error";
    this.dirty.add(call);
  }

  task(data, where, isRoot, at) {
    if (this.state === "pending") this.state = "running";
    if (!("result" in data) && !("error" in data)) {
      if (isRoot && ![...this.active.values()].some((one) => !one.includes("/"))) this.supersteps += 1;
      this.active.set(data.id, where);
      this.log.push({ label: where, begins: true, hasFailed: false });
      this.tasks.push({ id: data.id, label: where, started: at, ended: null, error: null, superstep: this.supersteps });
      return;
    }
    this.active.delete(data.id);
    this.log.push({ label: where, begins: false, hasFailed: Boolean(data.error) });
    const task = this.tasks.findLast((one) => one.id === data.id);
    if (task) Object.assign(task, { ended: at ?? task.started, error: data.error ?? null });
    if (data.error) this.lastFailed = where;
    for (const raw of data.interrupts ?? []) this.ask(raw, where);
  }

  updates(data, path) {
    if (data.__metadata__?.cached) return; // an earlier run's work, repeated because the superstep is run again
    for (const [node, update] of Object.entries(data)) {
      if (node === "__interrupt__") {
        this.hasPaused = this.hasPaused || !update?.length;
        for (const raw of update ?? []) this.ask(raw, "");
        continue;
      }
      const changes = Object.assign({}, ...(Array.isArray(update) ? update : [update]).filter(isObject));
      const where = label(path, node);
      const rest = {};
      for (const [key, value] of Object.entries(changes)) {
        if (isMessages(value)) for (const message of [value].flat()) this.whole(message, where);
        else rest[key] = value;
      }
      if (Object.keys(rest).length) this.add({ kind: "node", node: where, changes: rest });
    }
  }

  state_(data, isRoot) {
    const { __interrupt__: asked, ...values } = data;
    if (isRoot) {
      this.earlier ??= new Set(messagesOf(values).map((message) => message.id));
      this.values = values;
    }
    for (const raw of asked ?? []) this.ask(raw, "");
  }

  note(node, value) {
    this.notes.push(this.add({ kind: "note", node, value }));
    // A node may write thousands of events; a person reads the last ones.
    if (this.notes.length <= MOST_NOTES) return;
    const oldest = this.notes.shift();
    this.items.splice(this.items.indexOf(oldest), 1);
    oldest.isGone = true;
    this.dirty.add(oldest);
    this.hiddenNotes += 1;
  }

  ask(raw, node) {
    const id = String(raw.id ?? this.interrupts.size);
    const known = this.interrupts.get(id);
    if (!known) this.interrupts.set(id, { ...raw, id, node });
    else if (node.length > known.node.length) known.node = node;
  }

  fail(data) {
    this.state = "error";
    this.failure = { error: data.error ?? "Error", message: data.message ?? "", traceback: data.traceback ?? "", node: this.lastFailed };
    this.active.clear();
  }

  saying(id, node) {
    let said = this.said.get(id);
    if (!said) {
      said = this.add({ kind: "said", id, node, text: "", isWhole: false });
      this.said.set(id, said);
    }
    return said;
  }

  add(item) {
    this.items.push(item);
    this.dirty.add(item);
    return item;
  }
}

export function textOf(content) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return content === null || content === undefined ? "" : JSON.stringify(content);
  return content.map((one) => (typeof one === "string" ? one : typeof one?.text === "string" ? one.text : "")).join("");
}

export function isMessages(value) {
  const found = [value].flat();
  return found.length > 0 && found.every((one) => isObject(one) && "type" in one && "content" in one);
}

export function messagesOf(values) {
  return Object.values(values ?? {}).filter(isMessages).flat();
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const label = (path, node) => [...path, ...(node ? [node] : [])].join("/");
