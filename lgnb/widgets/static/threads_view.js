// Threads: the list, and one of them as a conversation or as its history.

import { ago, append, arrowKeys, brief, button, chip, empty, h, listOf, problem, replace, short, tabs } from "./dom.js";
import { chatView } from "./chat_view.js";
import { threadView } from "./thread_view.js";

const PAGE = 50;
const STATUSES = ["idle", "busy", "interrupted", "error"];

export function threadsView(root, context, { path, query }) {
  const view = new ThreadsView(context);
  root.append(view.element);
  view.moveTo(path, query);
  view.load();
  return view;
}

class ThreadsView {
  constructor(context) {
    Object.assign(this, { context, api: context.api, limit: PAGE });
    this.list = h("ul", { class: "lg-list", "aria-label": "Threads" });
    this.filter = h("select", { "aria-label": "Status", onchange: () => this.load() },
      h("option", { value: "" }, "all"), STATUSES.map((one) => h("option", { value: one }, one)));
    this.detail = h("div", { class: "lg-detail" });
    arrowKeys(this.list, "a");
    this.element = h("div", { class: "lg-split" },
      h("div", { class: "lg-split-list" },
        h("div", { class: "lg-list-head" }, h("h1", {}, "Threads"), this.filter, button("New", () => context.open("/threads/new"), { kind: "primary" })),
        this.list),
      this.detail);
    this.stop = context.changes.on("threads", () => this.load());
    this.context.changed = () => context.changes.tell("threads");
  }

  async load() {
    try {
      const rows = await this.api.threads({
        limit: this.limit + 1, sort_by: "updated_at", sort_order: "desc", ...(this.filter.value && { status: this.filter.value }),
        select: ["thread_id", "status", "metadata", "updated_at"], extract: { first: "values.messages[0].content", topic: "values.topic" },
      });
      const had = document.activeElement?.closest?.("a[data-thread]")?.dataset.thread;
      listOf(this.list, rows.slice(0, this.limit).map((row) => this.row(row)),
        rows.length > this.limit && button("More", () => { this.limit += PAGE; this.load(); }, { kind: "small" }),
        !rows.length && empty("No threads here yet.", button("Start one", () => this.context.open("/threads/new"))));
      if (had) this.list.querySelector(`[data-thread="${CSS.escape(had)}"]`)?.focus();
    } catch (error) {
      listOf(this.list, problem(error, button("Try again", () => this.load(), { kind: "small" })));
    }
  }

  row(row) {
    const title = titleOf(row);
    return (h("a", {
      class: "lg-item", href: `#/threads/${row.thread_id}`, "data-thread": row.thread_id, "aria-current": row.thread_id === this.thread ? "true" : null,
      onclick: (event) => { event.preventDefault(); this.context.open(`/threads/${row.thread_id}`); },
    }, h("span", { class: "lg-item-title" }, title), h("span", { class: "lg-item-under" }, chip(row.status), h("span", {}, row.metadata?.graph_id ?? ""), h("span", { class: "lg-space" }), h("span", { class: "lg-ago" }, ago(row.updated_at)))));
  }

  // Shows another thread without drawing the list anew.
  moveTo([thread, place, run], query = {}) {
    const key = JSON.stringify([thread, place, run, query]);
    if (key === this.shown) return true;
    this.shown = key;
    this.close();
    this.thread = thread;
    for (const item of this.list.querySelectorAll("a[data-thread]")) {
      if (item.dataset.thread === thread) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
    this.element.classList.toggle("lg-has-detail", Boolean(thread));
    if (!thread) replace(this.detail, empty("Choose a thread, or start a new one."));
    else this.openThread(thread === "new" ? null : thread, place, run, query);
    return true;
  }

  // `thread` is null for one that begins with what is sent first.
  openThread(thread, place, run, query) {
    let current = thread;
    const pages = {
      Run: (panel) => {
        const view = chatView(panel, this.context, {
          thread: current, run: place === "runs" ? run : query.run, assistant: query.assistant,
          onthread: (made) => {
            current = this.thread = made;
            this.shown = JSON.stringify([made, undefined, undefined, {}]);
            this.context.router.quietly(`/threads/${made}`);
            this.headAt.replaceWith(this.head(this.titleOf(made), opened.list, this.actions(made)));
            this.context.changed();
          },
        });
        return () => view.destroy();
      },
      History: (panel) => {
        if (!current) {
          panel.append(empty("A new thread has no history yet."));
          return () => {};
        }
        const view = threadView(panel, this.context, {
          thread: current, checkpoint: place === "checkpoints" ? run : undefined,
          onrun: (started) => this.context.open(`/threads/${current}/runs/${started.run_id}`),
        });
        return () => view.destroy();
      },
    };
    const opened = tabs("Thread", pages, { selected: place === "history" || place === "checkpoints" ? "History" : "Run" });
    replace(this.detail, this.head(thread ? this.titleOf(thread) : h("h2", {}, "New thread"), opened.list, thread && this.actions(thread)), opened.panel);
    opened.panel.classList.add("lg-detail-body");
    this.view = opened;
  }

  head(...parts) {
    this.headAt = h("div", { class: "lg-detail-head" }, button("‹ Threads", () => this.context.open("/threads"), { kind: "small", class: "lg-button lg-small lg-back" }), parts);
    return this.headAt;
  }

  titleOf(thread) {
    return h("h2", { title: thread }, "Thread ", h("code", {}, short(thread)));
  }

  actions(thread) {
    const copied = h("span", { class: "lg-only-heard", role: "status" });
    const remove = button("Delete", async () => {
      if (remove.dataset.sure !== "1") {
        remove.dataset.sure = "1";
        remove.textContent = "Delete for ever?";
        setTimeout(() => { remove.dataset.sure = ""; remove.textContent = "Delete"; }, 4000);
        return;
      }
      try {
        await this.api.deleteThread(thread);
        this.context.changed();
        this.context.open("/threads");
      } catch (error) {
        append(this.headAt, [problem(error)]);
      }
    }, { kind: "small" });
    return h("span", { class: "lg-buttons lg-head-actions" },
      button("Copy id", async () => { await navigator.clipboard?.writeText(thread).catch(() => {}); copied.textContent = "Copied."; }, { kind: "small" }), copied,
      button("Duplicate", async () => {
        try {
          const made = await this.api.copyThread(thread);
          this.context.changed();
          this.context.open(`/threads/${made.thread_id}`);
        } catch (error) {
          append(this.headAt, [problem(error)]);
        }
      }, { kind: "small" }),
      remove);
  }

  close() {
    this.view?.destroy();
    this.view = null;
  }

  destroy() {
    this.stop();
    this.close();
    this.element.remove();
  }
}

export function titleOf(row) {
  const first = row.extracted?.first ?? row.extracted?.topic;
  if (typeof first === "string" && first.trim()) return brief(first.trim(), 70);
  return row.metadata?.title ?? `Thread ${short(row.thread_id)}`;
}
