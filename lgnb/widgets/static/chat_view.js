// A thread as a conversation: what was said, the runs that work now, the questions that wait, and a place to go on.

import { assistantOf, interruptsOf } from "./api.js";
import { append, brief, button, empty, h, problem, replace } from "./dom.js";
import { graphView } from "./graph_view.js";
import { interruptForm } from "./interrupt_form.js";
import { jsonView } from "./json_view.js";
import { messageCard, runView } from "./run_view.js";
import { isMessages, messagesOf } from "./run_story.js";
import { schemaForm } from "./schema_form.js";
import { isMessageList } from "./validate.js";

const SHOWN_MESSAGES = 60;
const STRATEGIES = ["enqueue", "reject", "interrupt", "rollback"];

// Without a `thread` the first input makes one; `onthread(id)` is told.
export function chatView(root, context, options) {
  const view = new ChatView(context, options);
  root.append(view.element);
  view.open();
  return view;
}

class ChatView {
  constructor(context, { thread, run, assistant, onthread }) {
    Object.assign(this, { context, api: context.api, thread, wantedRun: run, assistant, onthread });
    this.abort = new AbortController();
    this.shownRuns = new Map();
    this.pastIds = new Set();
    this.past = h("div", { class: "lg-past" });
    this.present = h("div", { class: "lg-present" });
    this.waiting = h("div", {});
    this.scroll = h("div", { class: "lg-talk", tabindex: "0", role: "region", "aria-label": "Conversation" }, this.past, this.present, this.waiting);
    this.composer = h("div", { class: "lg-composer" });
    this.graphAt = h("aside", { class: "lg-side", "aria-label": "Graph" });
    this.element = h("div", { class: "lg-chat" }, h("div", { class: "lg-chat-main" }, this.scroll, this.composer), this.graphAt);
  }

  async open() {
    try {
      this.assistants = (await this.api.assistants()).sort((a, b) => a.name.localeCompare(b.name));
      if (!this.assistants.length) {
        replace(this.past, empty("This server has no assistants yet. Serve a graph with a langgraph.json, or from a notebook."));
        return;
      }
      await this.reload();
      this.chosen = this.choose(this.assistant ?? assistantOf(this.row) ?? this.context.lastAssistant);
      await this.useAssistant(this.chosen);
      if (this.thread) this.watch();
      await this.attachOpenRuns();
    } catch (error) {
      if (!this.abort.signal.aborted) replace(this.past, problem(error));
    }
  }

  choose(id) {
    const find = (key) => this.assistants.find((one) => one[key] === id);
    return find("assistant_id") ?? find("graph_id") ?? this.assistants[0];
  }

  async reload() {
    if (!this.thread) {
      replace(this.past, empty("A new thread begins with what you send."));
      return;
    }
    [this.row, this.state] = await Promise.all([this.api.thread(this.thread), this.api.state(this.thread)]);
    this.drawPast();
  }

  drawPast() {
    const { values } = this.state;
    const messages = Array.isArray(values?.messages) && isMessages(values.messages) ? values.messages : [];
    this.pastIds = new Set(messages.map((one) => one.id));
    const results = new Map(messages.filter((one) => one.type === "tool").map((one) => [one.tool_call_id, one]));
    let from = Math.max(0, messages.length - SHOWN_MESSAGES);
    const cards = (list) => list.map((one) => messageCard(one, results));
    const earlier = button(`${from} earlier messages`, () => {
      earlier.replaceWith(...cards(messages.slice(0, from)).filter(Boolean));
      from = 0;
    }, { kind: "small" });
    const rest = Object.fromEntries(Object.entries(values ?? {}).filter(([key]) => key !== "messages" || !messages.length));
    replace(this.past, from > 0 && earlier, cards(messages.slice(from)),
      Object.keys(rest).length > 0 && h("details", { class: "lg-result", open: !messages.length }, h("summary", {}, messages.length ? "More of the state" : "State"), jsonView(rest, { open: 1 })),
      !messages.length && !Object.keys(rest).length && empty("Nothing has happened on this thread yet."));
    this.toEnd();
    this.drawWaiting();
  }

  drawWaiting() {
    this.form?.destroy();
    this.form = null;
    replace(this.waiting);
    const interrupts = interruptsOf(this.state);
    const isBusy = this.row.status === "busy";
    const hasFailed = this.row.status === "error";
    // A run that has just ended tells of its own end, and offers to go on.
    const shown = [...this.shownRuns.values()].map((view) => view.story);
    if (interrupts.length && !isBusy) {
      this.form = interruptForm(this.waiting, this.context, {
        thread: this.thread, interrupts, assistant: assistantOf(this.row), focus: this.context.wasAskedFor, onanswered: (run) => this.attach(run),
      });
    } else if (this.state.next?.length && !isBusy && !shown.some((story) => story.state === "paused")) {
      const nodes = this.state.next.join(", ");
      append(this.waiting, [h("p", { class: "lg-quiet" }, hasFailed ? `Stopped in ${nodes}. ` : `Paused before ${nodes}. `,
        button(hasFailed ? "Try again" : "Continue", () => this.send({ input: null }), { kind: "small" }))]);
    }
    if (hasFailed && this.row.error && !shown.some((story) => story.failure)) {
      const { error, message } = this.row.error;
      append(this.waiting, [h("div", { class: "lg-problem" }, h("strong", {}, error ?? "Error"), ": ", message ?? brief(this.row.error))]);
    }
  }

  async useAssistant(assistant) {
    this.chosen = assistant;
    this.context.lastAssistant = assistant.assistant_id;
    this.graph?.destroy();
    replace(this.graphAt);
    this.graph = graphView(this.graphAt, this.context, { assistant: assistant.assistant_id, name: assistant.name });
    this.markGraph();
    const arriving = this.api.schemas(assistant.assistant_id).catch(() => ({}));
    this.arriving = arriving;
    const schemas = await arriving;
    if (this.arriving !== arriving || this.abort.signal.aborted) return; // another one was chosen meanwhile
    this.arriving = null;
    this.drawComposer(schemas.input_schema ?? null);
  }

  markGraph() {
    if (this.state) this.graph.mark(Object.fromEntries((this.state.next ?? []).map((node) => [node, "next"])));
  }

  drawComposer(schema) {
    // Whoever chooses another assistant may have begun to write.
    const typed = this.composer.querySelector("form > textarea")?.value ?? "";
    const focused = this.composer.contains(this.composer.getRootNode().activeElement) && this.composer.getRootNode().activeElement.tagName;
    const select = h("select", { "aria-label": "Assistant", onchange: () => this.useAssistant(this.assistants[Number(select.value)]) },
      this.assistants.map((one, index) => h("option", { value: String(index), selected: one === this.chosen }, one.name === one.graph_id ? one.name : `${one.name} (${one.graph_id})`)));
    const send = button("Run", () => submit(), { kind: "primary", type: "submit" });
    const strategy = h("select", { "aria-label": "When the thread is busy" }, STRATEGIES.map((one) => h("option", { value: one }, one)));
    const before = h("input", { type: "text", placeholder: "node, node or *", "aria-label": "Pause before these nodes" });
    const after = h("input", { type: "text", placeholder: "node, node or *", "aria-label": "Pause after these nodes" });
    const options = h("details", { class: "lg-options" }, h("summary", {}, "Options"),
      h("div", { class: "lg-options-body" },
        h("label", {}, "Pause before ", before), h("label", {}, "Pause after ", after), h("label", {}, "When busy ", strategy)));
    const properties = schema?.properties ?? {};
    const names = Object.keys(properties);
    const isTalk = names.length >= 1 && "messages" in properties && isMessageList(properties.messages, schema) && names.length === 1;
    const isText = !isTalk && names.length === 1 && properties[names[0]].type === "string";
    let read;
    let field;
    if (isTalk || isText) {
      const label = isTalk ? "Message" : names[0];
      const input = h("textarea", { rows: 2, value: typed, "aria-label": label, placeholder: isTalk ? "Message — Enter sends, Shift+Enter makes a new line" : label });
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          submit();
        }
      });
      field = input;
      read = () => {
        const text = input.value.trim();
        if (!text) return { problems: true };
        return { value: isTalk ? { messages: [{ type: "human", content: text }] } : { [names[0]]: text }, clear: () => (input.value = "") };
      };
    } else {
      const form = schemaForm({ schema, value: undefined, legend: "Input" });
      field = form.element;
      read = () => form.read();
    }
    const submit = async () => {
      if (this.arriving) {
        await this.arriving; // what is asked for is not known yet
        return this.submit();
      }
      const given = read();
      if (given.problems) return;
      send.disabled = true;
      const nodes = (input) => (input.value.trim() === "*" ? "*" : input.value.split(",").map((one) => one.trim()).filter(Boolean));
      const sent = await this.send({
        input: given.value, multitask_strategy: strategy.value,
        ...(before.value.trim() && { interrupt_before: nodes(before) }), ...(after.value.trim() && { interrupt_after: nodes(after) }),
      });
      send.disabled = false;
      if (sent) given.clear?.();
    };
    this.submit = submit;
    this.wrong = h("div", {});
    replace(this.composer, h("form", { class: "lg-compose", onsubmit: (event) => { event.preventDefault(); submit(); } },
      field, this.wrong, h("div", { class: "lg-compose-row" }, select, options, h("span", { class: "lg-space" }), send)));
    if (focused) this.composer.querySelector(focused)?.focus({ preventScroll: true });
    else if (!this.thread) this.composer.querySelector("textarea, input")?.focus({ preventScroll: true });
  }

  // Starts a run; on a new thread where there is none yet.
  async send(body) {
    try {
      const isNew = !this.thread;
      if (isNew) this.thread = (await this.api.createThread()).thread_id;
      const run = await this.api.start(this.thread, { assistant_id: this.chosen.assistant_id, ...body });
      replace(this.wrong);
      if (isNew) {
        this.row = await this.api.thread(this.thread);
        this.state = { values: {}, next: [] };
        replace(this.past);
        this.watch();
        this.onthread?.(this.thread);
      }
      this.attach(run);
      return true;
    } catch (error) {
      replace(this.wrong, problem(error));
      return false;
    }
  }

  async attachOpenRuns() {
    if (!this.thread) return;
    const runs = await this.api.runs(this.thread);
    for (const run of runs.reverse()) {
      if (run.status === "pending" || run.status === "running" || run.run_id === this.wantedRun) this.attach(run, { isFirst: true });
    }
  }

  attach(run, { isFirst = false } = {}) {
    if (this.shownRuns.has(run.run_id) || this.abort.signal.aborted) return;
    // What has ended above becomes part of the past.
    if (!isFirst && [...this.shownRuns.values()].every((one) => one.isOver)) this.settle();
    this.form?.destroy();
    this.form = null;
    replace(this.waiting);
    const name = this.assistants.find((one) => one.assistant_id === run.assistant_id)?.name ?? "run";
    const asked = h("div", {});
    this.present.append(asked);
    const view = runView(this.present, this.context, {
      thread: this.thread, run: run.run_id, name, graph: this.graph, answers: false,
      onstory: (story) => this.showAsked(asked, story),
      onend: (story) => this.ended(story),
    });
    this.shownRuns.set(run.run_id, Object.assign(view, { asked }));
    this.toEnd();
  }

  // The person's own words come back with the first values of the run.
  showAsked(element, story) {
    this.stick();
    if (element.dataset.done || !story.values) return;
    element.dataset.done = "1";
    const said = messagesOf(story.values).filter((one) => one.type === "human" && !this.pastIds.has(one.id));
    append(element, [said.map((one) => messageCard(one, new Map()))]);
  }

  async ended(story) {
    this.context.changed?.();
    try {
      [this.row, this.state] = await Promise.all([this.api.thread(this.thread), this.api.state(this.thread)]);
    } catch {
      return; // the thread was deleted meanwhile; its page says so
    }
    if (this.abort.signal.aborted) return;
    this.context.wasAskedFor = story.state === "interrupted";
    this.drawWaiting();
    this.context.wasAskedFor = false;
    this.markGraph();
    this.stick();
  }

  settle() {
    for (const view of this.shownRuns.values()) {
      view.asked.remove();
      view.destroy();
    }
    if (this.shownRuns.size && this.state) this.drawPast();
    this.shownRuns.clear();
  }

  // Runs that somebody else starts, and states that somebody else writes.
  async watch() {
    for await (const { event, data } of this.api.followThread(this.thread, { signal: this.abort.signal })) {
      if (this.abort.signal.aborted) return;
      if (event === "state_update") {
        if ([...this.shownRuns.values()].every((one) => one.isOver)) {
          this.settle();
          await this.reload().catch(() => {});
          this.markGraph();
        }
      } else if (data?.run_id && data.attempt && !this.isShown(data.run_id)) {
        const run = await this.api.run(this.thread, data.run_id).catch(() => null);
        if (run) this.attach(run);
      }
    }
  }

  isShown(run) {
    return this.shownRuns.has(run) || this.element.querySelector(`[data-run="${CSS.escape(run)}"]`) !== null;
  }

  stick() {
    const { scroll } = this;
    if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 160) this.toEnd();
  }

  toEnd() {
    requestAnimationFrame(() => (this.scroll.scrollTop = this.scroll.scrollHeight));
  }

  destroy() {
    this.abort.abort();
    this.form?.destroy();
    for (const view of this.shownRuns.values()) view.destroy();
    this.graph?.destroy();
    this.element.remove();
  }
}
