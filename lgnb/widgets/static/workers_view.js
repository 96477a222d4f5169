// Workers: who executes what, and what waits.

import { ago, button, empty, h, problem, replace, short } from "./dom.js";
import { followChanges } from "./changes.js";

export function workersView(root, context) {
  const view = new WorkersView(context);
  root.append(view.element);
  view.load();
  return view;
}

class WorkersView {
  constructor(context) {
    Object.assign(this, { context, api: context.api });
    this.body = h("div", { class: "lg-workers" });
    this.wrong = h("div", {});
    this.element = h("div", { class: "lg-page" }, h("div", { class: "lg-list-head" }, h("h1", {}, "Workers")), this.wrong, this.body);
    this.ownChanges = context.changes ? null : followChanges(this.api);
    const changes = context.changes ?? this.ownChanges;
    this.stops = [changes.on("runs", () => this.load()), changes.on("workers", () => this.load())];
  }

  async load() {
    try {
      const { workers, waiting, n_pending } = await this.api.workers();
      replace(this.wrong);
      const jobs = workers.reduce((sum, one) => sum + one.jobs, 0);
      const busy = workers.reduce((sum, one) => sum + one.runs.length, 0);
      replace(this.body,
        h("dl", { class: "lg-figures" }, figure("Workers", workers.length), figure("Slots in use", `${busy} of ${jobs}`), figure("Runs that wait", n_pending)),
        workers.length === 0 && problem("No worker is alive, so no run can start. lgnb doctor says why."),
        h("div", { class: "lg-cards" }, workers.map((one) => this.card(one))),
        h("h2", {}, "Queue"), waiting.length ? this.queue(waiting, n_pending) : h("p", { class: "lg-quiet" }, "Nothing waits."));
    } catch (error) {
      replace(this.wrong, problem(error, button("Try again", () => this.load(), { kind: "small" })));
    }
  }

  card(worker) {
    const free = worker.jobs - worker.runs.length;
    return h("section", { class: "lg-card", "aria-label": `Worker on ${worker.host_name}` },
      h("h3", {}, worker.host_name, h("span", { class: "lg-quiet" }, ` · process ${worker.pid} · since ${ago(worker.started_at)}`)),
      h("meter", { min: 0, max: worker.jobs, value: worker.runs.length, "aria-label": `${worker.runs.length} of ${worker.jobs} slots in use` }),
      h("p", { class: "lg-quiet" }, `${worker.runs.length} of ${worker.jobs} slots in use, ${free} free · serves ${worker.graph_ids.join(", ") || "no graph"}`),
      worker.runs.length > 0 && h("ul", { class: "lg-plain" }, worker.runs.map((run) => h("li", {}, this.link(run), ` ${run.graph_id ?? ""} · since ${ago(run.created_at)}${run.attempt > 1 ? ` · attempt ${run.attempt}` : ""}`))));
  }

  queue(waiting, count) {
    return h("div", { class: "lg-table-box", tabindex: "0" }, h("table", { class: "lg-table" },
      h("thead", {}, h("tr", {}, ["Place", "Run", "Graph", "Waits since"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, waiting.map((run, index) => h("tr", {}, h("td", {}, String(index + 1)), h("td", {}, this.link(run)), h("td", {}, run.graph_id ?? ""), h("td", {}, ago(run.created_at))))),
      count > waiting.length && h("caption", {}, `and ${count - waiting.length} more`)));
  }

  link(run) {
    const text = `run ${short(run.run_id)}`;
    return this.context.open && run.thread_id
      ? h("button", { type: "button", class: "lg-link", onclick: () => this.context.open(`/threads/${run.thread_id}/runs/${run.run_id}`) }, text)
      : h("code", {}, text);
  }

  destroy() {
    for (const stop of this.stops) stop();
    this.ownChanges?.destroy();
    this.element.remove();
  }
}

function figure(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, String(value)));
}
