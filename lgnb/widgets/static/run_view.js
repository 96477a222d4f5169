// One run while it works and after: what the model says, tools, nodes, queue, cancel; and what it ended with.

import { interruptsOf } from "./api.js";
import { append, brief, button, chip, h, painter, problem, replace } from "./dom.js";
import { interruptForm } from "./interrupt_form.js";
import { jsonView } from "./json_view.js";
import { MarkdownText } from "./markdown.js";
import { RunStory, textOf } from "./run_story.js";

const QUEUE_MS = 2000;
const TRAIL = 8;
const WORDS = { interrupted: "waits for an answer", gone: "no longer on the server", lost: "connection lost", pending: "in the queue" };

// Follows a run from its first event. `graph` is a graph view to light up; `onend(story)` tells of its end;
// with `answers` a question is answered in place and the run that continues is shown below.
export function runView(root, context, options) {
  const view = new RunView(context, options);
  root.append(view.element);
  view.follow();
  return view;
}

class RunView {
  constructor({ api, live, open }, { thread, run, name, graph, onstory, onend, answers = true, focus = true }) {
    Object.assign(this, { api, live, thread, run, graph, onstory, onend, answers, focus });
    this.context = { api, live, open };
    this.name = name ?? "";
    this.story = new RunStory(run);
    this.abort = new AbortController();
    this.drawn = new Map(); // item → {element, update}
    this.painter = painter(() => this.paint());
    this.begun = performance.now();
    this.head = h("div", { class: "lg-run-head" });
    this.body = h("div", { class: "lg-run-body", role: "log", tabindex: "0", "aria-live": "off", "aria-label": "What the run says and does" });
    this.hidden = h("p", { class: "lg-quiet", hidden: true });
    this.tail = h("div", { class: "lg-run-tail" });
    this.after = h("div", { class: "lg-run-after" });
    this.body.append(this.hidden);
    this.cancelButton = button("Cancel", () => this.cancel(), { kind: "small", "aria-label": "Cancel the run" });
    this.title = h("span", { class: "lg-run-name" }, this.name);
    this.stateAt = h("span", { class: "lg-run-state" });
    this.trail = h("span", { class: "lg-trail" });
    this.timeAt = h("span", { class: "lg-run-time" });
    append(this.head, [this.title, this.stateAt, this.trail, h("span", { class: "lg-space" }), this.timeAt, this.cancelButton]);
    this.element = h("section", { class: "lg-run", "data-run": run, "aria-label": `Run ${this.name}` }, this.head, this.body, this.tail, this.after);
    // A quiet run still shows that it lives.
    this.ticker = setInterval(() => !this.isOver && this.paintHead(), 1000);
  }

  async follow() {
    this.paint();
    try {
      this.watchQueue();
      for await (const event of this.api.followRun(this.thread, this.run, { signal: this.abort.signal })) {
        this.story.feed(event);
        this.painter.request();
      }
      if (!this.abort.signal.aborted) await this.end();
    } catch (error) {
      if (this.abort.signal.aborted) return;
      if (error.status === 404) this.story.state = "gone";
      else {
        this.story.state = "lost";
        replace(this.tail, problem(error, button("Follow again", () => this.again(), { kind: "small" })));
      }
      this.finished();
    }
  }

  again() {
    replace(this.tail);
    for (const { element } of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.story = new RunStory(this.run);
    this.isOver = false;
    this.follow();
  }

  // The stream does not tell a timeout, a cancel, or a run whose events have expired: the rows do.
  async end() {
    const row = await this.api.run(this.thread, this.run);
    this.row = row;
    if (row.status === "pending" || row.status === "running") return this.again();
    const isTold = this.story.values !== null || this.story.items.length > 0 || this.story.failure;
    if (!isTold || (row.status === "success" && this.story.values === null) || this.story.interrupts.size > 0) await this.readState(isTold);
    if (row.status === "error" && !this.story.failure) {
      const { error } = await this.api.thread(this.thread);
      if (error && typeof error === "object") this.story.fail(error);
    }
    this.story.finish(row.status);
    this.finished();
  }

  async readState(isTold) {
    const [state, [newest]] = await Promise.all([this.api.state(this.thread), this.api.runs(this.thread, { limit: 1 })]);
    if (newest?.run_id !== this.run) return;
    if (!isTold) {
      for (const message of lastTurn(state.values?.messages)) this.story.whole(message, "");
      for (const one of interruptsOf(state)) this.story.ask(one, one.node);
    }
    this.story.values ??= state.values;
    // Only what still waits can be answered; response schemas are in the state alone.
    const waiting = new Map(interruptsOf(state).map((one) => [one.id, one]));
    for (const [id, one] of this.story.interrupts) {
      if (waiting.has(id)) Object.assign(one, waiting.get(id), { node: waiting.get(id).node || one.node });
      else one.isAnswered = true;
    }
  }

  finished() {
    this.isOver = true;
    this.ended = performance.now();
    this.painter.now();
    this.paintEnd();
    this.live?.say(`Run ${this.name}: ${WORDS[this.story.state] ?? this.story.state}. ${brief(this.story.text, 400)}`);
    this.onend?.(this.story);
  }

  // While the run waits for a worker: how many come before it.
  async watchQueue() {
    while (this.story.state === "pending" && !this.isOver && !this.abort.signal.aborted) {
      try {
        const rows = await this.api.runs(this.thread);
        const open = rows.filter((row) => row.status === "pending" || row.status === "running");
        this.row = rows.find((row) => row.run_id === this.run) ?? this.row;
        const before = open.filter((row) => row.run_id !== this.run && row.created_at < (this.row?.created_at ?? "")).length;
        this.queue = before ? `behind ${before} run${before > 1 ? "s" : ""} of this thread` : "waits for a worker";
      } catch {
        this.queue = "";
      }
      this.paintHead();
      await new Promise((resolve) => setTimeout(resolve, QUEUE_MS));
    }
  }

  async cancel() {
    this.cancelButton.disabled = true;
    this.isCancelling = true;
    this.paintHead();
    try {
      await this.api.cancel(this.thread, this.run);
      this.live?.say("The run is being cancelled.");
    } catch (error) {
      if (error.status !== 404) replace(this.tail, problem(error)); // 404: it has ended in the meantime
    }
  }

  paint() {
    const { story } = this;
    const isAtEnd = this.body.scrollHeight - this.body.scrollTop - this.body.clientHeight < 40;
    for (const item of story.dirty) {
      if (item.isGone) {
        this.drawn.get(item)?.element.remove();
        this.drawn.delete(item);
        continue;
      }
      let drawn = this.drawn.get(item);
      if (!drawn) {
        drawn = ITEMS[item.kind](item);
        this.drawn.set(item, drawn);
        this.body.append(drawn.element);
      }
      drawn.update(item);
    }
    story.dirty.clear();
    for (const [item, { element }] of this.drawn) {
      // A lost attempt took back what it had half said.
      if (item.kind === "said" && !item.isWhole && !story.said.has(item.id)) {
        element.remove();
        this.drawn.delete(item);
      }
    }
    this.hidden.hidden = story.hiddenNotes === 0;
    this.hidden.textContent = `${story.hiddenNotes} earlier custom events are not shown`;
    this.paintHead();
    if (isAtEnd) this.body.scrollTop = this.body.scrollHeight;
    this.graph?.follow(story);
    this.onstory?.(story);
  }

  paintHead() {
    const { story } = this;
    const word = this.isCancelling && !this.isOver ? "cancelling" : (WORDS[story.state] ?? story.state);
    replace(this.stateAt, chip(story.state, word));
    replace(this.trail, story.state === "pending" ? (this.queue ?? "") : trailOf(story));
    const seconds = this.row?.updated_at && this.isOver
      ? (new Date(this.row.updated_at) - new Date(this.row.created_at)) / 1000
      : ((this.ended ?? performance.now()) - this.begun) / 1000;
    this.timeAt.textContent = seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    const hadFocus = document.activeElement === this.cancelButton;
    this.cancelButton.hidden = this.isOver || story.isFinal;
    if (hadFocus && this.cancelButton.hidden) {
      this.element.tabIndex = -1;
      this.element.focus({ preventScroll: true });
    }
  }

  paintEnd() {
    const { story } = this;
    if (story.failure) {
      const { error, message, traceback, node } = story.failure;
      append(this.tail, [h("div", { class: "lg-problem lg-failure", role: "alert" },
        h("strong", {}, error), node && ` in node ${node}`, ": ", message,
        traceback && h("details", {}, h("summary", {}, "Traceback"), h("pre", { tabindex: "0" }, traceback)))]);
    }
    if (story.state === "timeout") append(this.tail, [h("p", { class: "lg-quiet" }, "The run took longer than the server allows.")]);
    if (story.state === "paused") {
      const next = button("Continue", async () => {
        next.disabled = true;
        await this.goOn({ input: null });
      });
      append(this.tail, [h("p", { class: "lg-quiet" }, "The run paused where it was told to. ", next)]);
    }
    const hasText = story.items.some((item) => item.kind === "said");
    if (story.state === "success" && !hasText && story.values && Object.keys(story.values).length) {
      append(this.tail, [h("details", { class: "lg-result", open: true }, h("summary", {}, "Result"), jsonView(story.values, { open: 1 }))]);
    }
    const waiting = [...story.interrupts.values()].filter((one) => !one.isAnswered);
    if (story.state === "interrupted" && waiting.length && this.answers) {
      this.form = interruptForm(this.after, this.context, {
        thread: this.thread, assistant: this.row?.assistant_id, interrupts: waiting, focus: this.focus,
        onanswered: (run) => this.continued(run),
      });
    }
  }

  async goOn(body) {
    try {
      this.continued(await this.api.start(this.thread, { assistant_id: this.row.assistant_id, ...body }));
    } catch (error) {
      append(this.tail, [problem(error)]);
    }
  }

  continued(run) {
    this.form?.destroy();
    this.next = runView(this.after, this.context, {
      thread: this.thread, run: run.run_id, name: this.name, graph: this.graph, onstory: this.onstory, onend: this.onend,
    });
  }

  destroy() {
    this.abort.abort();
    clearInterval(this.ticker);
    this.painter.stop();
    this.form?.destroy();
    this.next?.destroy();
    this.element.remove();
  }
}

// The nodes that worked last, one mark per superstep and node.
function trailOf(story) {
  const groups = [];
  for (let index = story.tasks.length - 1; index >= 0 && groups.length <= TRAIL; index -= 1) {
    const task = story.tasks[index];
    if (task.label.includes("/")) continue;
    const known = groups.find((one) => one.label === task.label && one.superstep === task.superstep);
    if (known) known.tasks.push(task);
    else groups.push({ label: task.label, superstep: task.superstep, tasks: [task] });
  }
  const shown = groups.slice(0, TRAIL).reverse();
  const marks = shown.map(({ label, tasks }) => {
    const isActive = tasks.some((task) => story.active.has(task.id));
    const hasFailed = tasks.some((task) => task.error);
    return h("span", { class: `lg-step${isActive ? " lg-step-active" : ""}${hasFailed ? " lg-step-failed" : ""}` },
      label, tasks.length > 1 && ` ×${tasks.length}`, h("span", { class: "lg-only-heard" }, isActive ? " works" : hasFailed ? " failed" : " done"));
  });
  const inner = [...new Set(story.active.values())].filter((one) => one.includes("/"));
  return [groups.length > TRAIL && h("span", { class: "lg-quiet" }, "…"), marks, inner.length > 0 && h("span", { class: "lg-quiet" }, inner.join(", "))];
}

const ITEMS = {
  said: (item) => {
    const text = new MarkdownText();
    const who = h("div", { class: "lg-who" }, item.node || "ai");
    const element = h("div", { class: "lg-said" }, who, text.element);
    return {
      element,
      update() {
        element.hidden = item.text === "";
        element.classList.toggle("lg-growing", !item.isWhole);
        text.update(item.text);
      },
    };
  },
  tool: (item) => toolCard(item),
  node: (item) => {
    const keys = Object.keys(item.changes);
    const element = h("details", { class: "lg-line" },
      h("summary", {}, h("span", { class: "lg-line-who" }, item.node), h("span", { class: "lg-line-what" }, keys.map((key) => `${key} = ${brief(item.changes[key], 70)}`).join(", "))));
    element.addEventListener("toggle", () => element.open && element.children.length === 1 && element.append(jsonView(item.changes)));
    return { element, update() {} };
  },
  note: (item) => {
    const { value } = item;
    const text = typeof value?.text === "string" ? value.text : typeof value === "string" ? value : brief(value, 160);
    const progress = typeof value?.progress === "number" ? h("progress", { max: "1", value: Math.max(0, Math.min(1, value.progress)), "aria-label": "Progress" }) : null;
    return { element: h("div", { class: "lg-line lg-note" }, h("span", { class: "lg-line-who" }, item.node || "note"), h("span", { class: "lg-line-what" }, text), progress), update() {} };
  },
};

export function toolCard(item) {
  const name = h("span", { class: "lg-tool-name" });
  const args = h("span", { class: "lg-tool-args" });
  const result = h("span", { class: "lg-tool-result" });
  const more = h("div", { class: "lg-tool-more" });
  const element = h("details", { class: "lg-tool" }, h("summary", {}, h("span", { class: "lg-tool-mark", "aria-hidden": "true" }, "ƒ"), name, args, result), more);
  const fillMore = () => element.open && replace(more,
    h("div", { class: "lg-label" }, "Arguments"), h("pre", { tabindex: "0" }, pretty(item.args)),
    item.result !== null && item.result !== undefined && [h("div", { class: "lg-label" }, item.hasFailed ? "Error" : "Result"), h("pre", { tabindex: "0" }, item.result)]);
  element.addEventListener("toggle", fillMore);
  return {
    element,
    update() {
      name.textContent = item.name;
      args.textContent = `(${inner(item.args)})`;
      const isKnown = item.result !== null && item.result !== undefined;
      result.textContent = isKnown ? `${item.hasFailed ? "✕" : "→"} ${brief(item.result, 120)}` : "…";
      element.classList.toggle("lg-tool-failed", Boolean(item.hasFailed));
      fillMore();
    },
  };
}

function inner(args) {
  try {
    return Object.entries(JSON.parse(args || "{}")).map(([key, value]) => `${key}: ${brief(value, 60)}`).join(", ");
  } catch {
    return args;
  }
}

function pretty(args) {
  try {
    return JSON.stringify(JSON.parse(args), null, 2);
  } catch {
    return args;
  }
}

// What was said since the person spoke last.
export function lastTurn(messages) {
  if (!Array.isArray(messages)) return [];
  return messages.slice(messages.findLastIndex((message) => message.type === "human") + 1);
}

// A message that is over, as part of a conversation.
export function messageCard(message, results) {
  if (message.type === "tool") return null;
  const parts = [];
  const text = textOf(message.content);
  if (text) {
    const drawn = new MarkdownText();
    drawn.update(text);
    parts.push(drawn.element);
  }
  for (const call of message.tool_calls ?? []) {
    const found = results.get(call.id);
    const card = toolCard({ name: call.name, args: JSON.stringify(call.args ?? {}), result: found ? textOf(found.content) : null, hasFailed: found?.status === "error" });
    card.update();
    parts.push(card.element);
  }
  if (!parts.length) return null;
  const who = message.type === "human" ? "You" : (message.name ?? message.type);
  return h("div", { class: `lg-said lg-said-${message.type}` }, h("div", { class: "lg-who" }, who), parts);
}
