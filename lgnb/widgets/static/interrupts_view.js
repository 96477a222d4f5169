// The inbox: every thread that waits for a person, and the form that answers it.

import { ago, arrowKeys, brief, button, empty, h, listOf, problem, replace, short } from "./dom.js";
import { followChanges } from "./changes.js";
import { interruptForm } from "./interrupt_form.js";
import { runView } from "./run_view.js";

export function interruptsView(root, context, { path = [] } = {}) {
  const view = new InterruptsView(context);
  root.append(view.element);
  view.moveTo(path);
  view.load();
  return view;
}

class InterruptsView {
  constructor(context) {
    Object.assign(this, { context, api: context.api });
    this.list = h("ul", { class: "lg-list", "aria-label": "Threads that wait" });
    this.detail = h("div", { class: "lg-detail" }, empty("Choose a question to answer it."));
    arrowKeys(this.list, "button");
    this.element = h("div", { class: "lg-split" },
      h("div", { class: "lg-split-list" }, h("div", { class: "lg-list-head" }, h("h1", {}, "Interrupts")), this.list), this.detail);
    this.ownChanges = context.changes ? null : followChanges(this.api);
    this.stop = (context.changes ?? this.ownChanges).on("threads", () => this.load());
  }

  async load() {
    try {
      this.rows = await waitingThreads(this.api);
      listOf(this.list, this.rows.map((row) => this.row(row)), !this.rows.length && empty("Nothing waits for you."));
    } catch (error) {
      listOf(this.list, problem(error, button("Try again", () => this.load(), { kind: "small" })));
    }
  }

  row(row) {
    const asked = Object.values(row.interrupts ?? {}).flat();
    return (h("button", {
      type: "button", class: "lg-item", "aria-current": row.thread_id === this.thread ? "true" : null, onclick: () => this.choose(row.thread_id),
    },
      h("span", { class: "lg-item-title" }, questionOf(asked)),
      h("span", { class: "lg-item-under" }, h("span", {}, row.metadata?.graph_id ?? "", " ", h("code", {}, short(row.thread_id))), asked.length > 1 && h("span", { class: "lg-tag" }, `${asked.length} questions`), h("span", { class: "lg-space" }), h("span", { class: "lg-ago" }, ago(row.updated_at)))));
  }

  choose(thread) {
    this.context.router?.quietly(`/interrupts/${thread}`);
    this.open(thread);
  }

  moveTo([thread]) {
    if (thread && thread !== this.thread) this.open(thread);
    return true;
  }

  open(thread) {
    this.close();
    this.thread = thread;
    this.element.classList.add("lg-has-detail");
    if (this.rows) listOf(this.list, this.rows.map((row) => this.row(row)));
    const body = h("div", { class: "lg-detail-body lg-narrow" });
    const link = this.context.open && button("Open the thread", () => this.context.open(`/threads/${thread}`), { kind: "small" });
    replace(this.detail, h("div", { class: "lg-detail-head" }, button("‹ Interrupts", () => this.element.classList.remove("lg-has-detail"), { kind: "small", class: "lg-button lg-small lg-back" }),
      h("h2", { title: thread }, "Thread ", h("code", {}, short(thread))), h("span", { class: "lg-space" }), link), body);
    this.form = interruptForm(body, this.context, {
      thread, focus: true,
      onanswered: (run) => {
        this.form.destroy();
        this.run = runView(body, this.context, { thread, run: run.run_id, name: "answered" });
      },
    });
  }

  close() {
    this.form?.destroy();
    this.run?.destroy();
    this.run = null;
  }

  destroy() {
    this.stop();
    this.ownChanges?.destroy();
    this.close();
    this.element.remove();
  }
}

// Threads with a question. Those whose run was cancelled are called interrupted too, but ask nothing.
export async function waitingThreads(api, select = ["thread_id", "metadata", "updated_at", "interrupts"]) {
  const rows = await api.threads({ status: "interrupted", limit: 1000, sort_by: "updated_at", sort_order: "desc", select });
  return rows.filter((row) => Object.values(row.interrupts ?? {}).flat().length > 0);
}

function questionOf(asked) {
  const value = asked[0]?.value;
  if (Array.isArray(value?.action_requests)) {
    const [action] = value.action_requests;
    return brief(action?.description || `Approve ${action?.name}?`, 90);
  }
  const text = value?.question ?? value?.description ?? value?.[0]?.description ?? value;
  return text === undefined ? "Waits" : brief(text, 90);
}
