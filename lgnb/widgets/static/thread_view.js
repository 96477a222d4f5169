// The history of a thread: its checkpoints as a tree of branches, each with what it changed; compare, edit, run again.

import { assistantOf } from "./api.js";
import { append, brief, button, clock, empty, h, problem, replace, short, svg } from "./dom.js";
import { diff, pathText } from "./diff.js";
import { idOf, rowsOf } from "./history_tree.js";
import { jsonView } from "./json_view.js";
import { runView } from "./run_view.js";
import { stateEditor } from "./state_editor.js";
import { VirtualList } from "./virtual_list.js";

const PAGE = 200;
const MOST = 5000;
const ROW = 34;
const LANE = 14;
const MOST_LANES = 7;
// Without the values, which may be large; they come with the checkpoint that is looked at.
const COLUMNS = ["checkpoint", "parent_checkpoint", "metadata", "next", "created_at", "tasks"];

// `onrun(run)` is told of a run started from a checkpoint; without it the run is shown here.
export function threadView(root, context, options) {
  const view = new ThreadView(context, options);
  root.append(view.element);
  view.open();
  return view;
}

class ThreadView {
  constructor(context, { thread, checkpoint, onrun }) {
    Object.assign(this, { context, api: context.api, thread, wanted: checkpoint, onrun });
    this.abort = new AbortController();
    this.states = [];
    this.cache = new Map();
    this.base = null; // the checkpoint that others are compared with
    this.list = new VirtualList({
      label: "Checkpoints, newest first", rowHeight: ROW, key: (row) => row.id, draw: (row) => this.drawRow(row), onchoose: (row) => this.select(row),
    });
    this.count = h("span", { class: "lg-quiet" });
    this.detail = h("div", { class: "lg-checkpoint", role: "region", "aria-label": "Checkpoint", tabindex: "0" }, empty("Choose a checkpoint."));
    this.element = h("div", { class: "lg-history" },
      h("div", { class: "lg-history-list" }, h("div", { class: "lg-list-head" }, h("h3", {}, "Checkpoints"), this.count), this.list.element),
      this.detail);
  }

  async open() {
    try {
      this.row = await this.api.thread(this.thread);
      await this.load();
      this.watch();
    } catch (error) {
      if (!this.abort.signal.aborted) replace(this.detail, problem(error, button("Try again", () => this.open(), { kind: "small" })));
    }
  }

  // Page by page, so that the newest are there at once and a long history never holds up the page.
  async load() {
    let before;
    const found = [];
    for (;;) {
      const page = await this.api.history(this.thread, { limit: PAGE, select: COLUMNS, ...(before && { before }) });
      if (this.abort.signal.aborted) return;
      found.push(...page);
      this.show(found);
      if (page.length < PAGE || found.length >= MOST) break;
      before = idOf(page.at(-1));
    }
  }

  show(states) {
    this.states = [...states];
    this.rows = rowsOf(this.states);
    this.byId = new Map(this.rows.map((row) => [row.id, row]));
    this.list.show(this.rows);
    this.count.textContent = `${this.rows.length}${this.rows.length >= MOST ? " (the newest)" : ""}`;
    if (!this.rows.length) {
      replace(this.detail, empty("This thread has no checkpoint yet."));
      return;
    }
    this.chooseWanted();
    if (this.list.chosen < 0 && !this.wanted) this.list.choose(0);
  }

  chooseWanted() {
    const at = this.rows.findIndex((row) => row.id === this.wanted);
    if (at < 0) return;
    this.wanted = null;
    this.list.choose(at);
  }

  async watch() {
    for await (const { event, data } of this.api.followThread(this.thread, { signal: this.abort.signal })) {
      if (this.abort.signal.aborted) return;
      if (event === "state_update" || data?.status === "run_done") await this.loadNewer().catch(() => {});
    }
  }

  // What has come since: from the newest back to the first one that is known.
  async loadNewer() {
    const newer = [];
    let before;
    for (;;) {
      const page = await this.api.history(this.thread, { limit: 50, select: COLUMNS, ...(before && { before }) });
      const known = page.findIndex((state) => this.byId?.has(idOf(state)));
      newer.push(...(known < 0 ? page : page.slice(0, known)));
      if (known >= 0 || page.length < 50) break;
      before = idOf(page.at(-1));
    }
    if (newer.length && !this.abort.signal.aborted) this.show([...newer, ...this.states]);
  }

  drawRow(row) {
    const isBase = this.base?.id === row.id;
    const next = row.state.next?.length ? `→ ${namesOf(row.state.next)}` : "end";
    return h("div", { class: `lg-cp${isBase ? " lg-cp-base" : ""}` }, lanes(row),
      h("span", { class: "lg-cp-step" }, row.step ?? ""), h("span", { class: "lg-cp-label" }, row.label),
      row.isWaiting && h("span", { class: "lg-cp-mark lg-warn-text", title: "waits for an answer" }, "❚❚", h("span", { class: "lg-only-heard" }, " waits for an answer")),
      row.hasFailed && h("span", { class: "lg-cp-mark lg-bad-text", title: "a node failed" }, "✕", h("span", { class: "lg-only-heard" }, " a node failed")),
      isBase && h("span", { class: "lg-tag" }, "compared"),
      h("span", { class: "lg-cp-next" }, next));
  }

  async select(row) {
    this.selected = row;
    // What stands there belongs to the one before.
    this.detail.inert = true;
    const isStill = () => this.selected === row && !this.abort.signal.aborted;
    try {
      // Walking through the list quickly asks only for where it stops.
      await new Promise((resolve) => setTimeout(resolve, 60));
      if (!isStill()) return;
      const base = this.base && this.base.id !== row.id ? this.base : this.byId.get(row.parent);
      const [state, before] = await Promise.all([this.stateAt(row.id), base ? this.stateAt(base.id) : null]);
      if (isStill()) this.drawDetail(row, state, base, before);
    } catch (error) {
      if (!isStill()) return;
      this.detail.inert = false;
      replace(this.detail, problem(error));
    }
  }

  async stateAt(id) {
    if (!this.cache.has(id)) {
      if (this.cache.size > 60) this.cache.delete(this.cache.keys().next().value);
      this.cache.set(id, await this.api.state(this.thread, { checkpoint_id: id }));
    }
    return this.cache.get(id);
  }

  drawDetail(row, state, base, before) {
    const isCompared = this.base && this.base.id !== row.id;
    const below = h("div", {});
    const edit = button("Edit and fork", () => this.edit(row, state, below));
    const rerun = button("Run from here", () => this.rerun(row, below), { disabled: !row.state.next?.length });
    const compare = button(this.base?.id === row.id ? "Stop comparing" : "Compare with…", () => {
      this.base = this.base?.id === row.id ? null : row;
      this.list.redraw();
      this.context.live?.say(this.base ? "Choose the checkpoint to compare with." : "Comparing ended.");
      this.select(row);
    }, { "aria-pressed": String(this.base?.id === row.id) });
    const stop = isCompared && button("Stop comparing", () => { this.base = null; this.list.redraw(); this.select(row); });
    const changes = before ? diff(before.values ?? {}, state.values ?? {}) : null;
    replace(this.detail,
      h("div", { class: "lg-cp-head" },
        h("h3", {}, `Step ${row.step ?? "?"} · ${row.label}`),
        h("p", { class: "lg-quiet" }, clock(state.created_at), " · ", h("code", { title: row.id }, short(row.id)), " · ", row.state.next?.length ? ["next: ", namesOf(row.state.next)] : "nothing comes next"),
        h("div", { class: "lg-buttons" }, edit, rerun, stop || compare)),
      this.base?.id === row.id && h("p", { class: "lg-note-box" }, "Now choose another checkpoint: it is shown beside this one."),
      below,
      tasksOf(state),
      changes && section(isCompared ? `Compared with step ${base.step} · ${base.label}` : "Changed since the step before", diffView(changes), true),
      section("State", Object.keys(state.values ?? {}).length ? jsonView(state.values, { open: 1 }) : h("p", { class: "lg-quiet" }, "empty"), true),
      section("Metadata", jsonView(state.metadata ?? {}, { open: 1 }), false));
    this.detail.inert = false;
    this.detail.scrollTop = 0;
  }

  async edit(row, state, below) {
    this.editor?.destroy();
    replace(below);
    this.editor = stateEditor(below, this.context, {
      thread: this.thread, assistant: assistantOf(this.row), state, focus: true,
      oncancel: () => { this.editor.destroy(); this.editor = null; },
      onsaved: async (id) => {
        this.wanted = id;
        await this.loadNewer();
        this.chooseWanted(); // the stream of the thread may have brought it before
      },
    });
  }

  async rerun(row, below) {
    try {
      const run = await this.api.start(this.thread, { assistant_id: assistantOf(this.row), input: null, checkpoint: { checkpoint_id: row.id, checkpoint_ns: "" } });
      this.context.live?.say("A run from this checkpoint has started.");
      if (this.onrun) return this.onrun(run);
      this.rerunView?.destroy();
      replace(below);
      this.rerunView = runView(below, this.context, { thread: this.thread, run: run.run_id, name: "run from here" });
    } catch (error) {
      replace(below, problem(error));
    }
  }

  destroy() {
    this.abort.abort();
    this.list.destroy();
    this.editor?.destroy();
    this.rerunView?.destroy();
    this.element.remove();
  }
}

// plan, research ×3
function namesOf(nodes) {
  const counts = new Map();
  for (const node of nodes) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts].map(([node, count]) => `${node === "__start__" ? "start" : node}${count > 1 ? ` ×${count}` : ""}`).join(", ");
}

function section(title, content, open) {
  return h("details", { class: "lg-section", open }, h("summary", {}, title), content);
}

function tasksOf(state) {
  const told = (state.tasks ?? []).filter((task) => task.error || task.interrupts?.length);
  if (!told.length) return null;
  return h("div", { class: "lg-tasks" }, told.map((task) => [
    task.error && h("div", { class: "lg-problem" }, h("strong", {}, task.name), ": ", brief(task.error, 400)),
    ...(task.interrupts ?? []).map((one) => h("div", { class: "lg-note-box" }, h("strong", {}, task.name), " asks: ", brief(one.value, 400))),
  ]));
}

const SIGNS = { added: "+", removed: "−", changed: "±" };

export function diffView(changes) {
  if (!changes.length) return h("p", { class: "lg-quiet" }, "nothing");
  const value = (one) => (typeof one === "object" && one !== null ? jsonView(one, { open: 0 }) : jsonView(one));
  const rows = changes.slice(0, 200).map(({ path, kind, before, after }) => h("div", { class: `lg-diff-row lg-diff-${kind}` },
    h("span", { class: "lg-diff-sign", "aria-hidden": "true" }, SIGNS[kind]), h("span", { class: "lg-only-heard" }, `${kind}: `),
    h("code", { class: "lg-diff-path" }, pathText(path) || "state"),
    h("div", { class: "lg-diff-values" }, kind !== "added" && h("div", { class: "lg-diff-before" }, h("span", { class: "lg-only-heard" }, "before "), value(before)), kind !== "removed" && h("div", { class: "lg-diff-after" }, h("span", { class: "lg-only-heard" }, "after "), value(after)))));
  return h("div", { class: "lg-diff" }, rows, changes.length > 200 && h("p", { class: "lg-quiet" }, `and ${changes.length - 200} more`));
}

// The part of the tree that belongs to one row: lanes that pass, lanes that end here, and the point itself.
function lanes(row) {
  const middle = ROW / 2;
  const x = (lane) => Math.min(lane, MOST_LANES) * LANE + LANE / 2;
  const width = (Math.min(Math.max(row.lane, ...row.lanes, ...row.ends, 0), MOST_LANES) + 1) * LANE;
  const line = (d, lane) => svg("path", { d, class: `lg-lane lg-lane-${lane % 6}` });
  return svg("svg", { class: "lg-lanes", width, height: ROW, viewBox: `0 0 ${width} ${ROW}`, "aria-hidden": "true" },
    row.lanes.filter((lane) => !row.ends.includes(lane)).map((lane) => line(`M${x(lane)},0 V${ROW}`, lane)),
    row.ends.map((lane) => line(`M${x(lane)},0 C${x(lane)},${middle} ${x(row.lane)},${middle / 2} ${x(row.lane)},${middle}`, lane)),
    !row.isTip && line(`M${x(row.lane)},0 V${middle}`, row.lane),
    row.hasParent && line(`M${x(row.lane)},${middle} V${ROW}`, row.lane),
    svg("circle", { cx: x(row.lane), cy: middle, r: 4.5, class: `lg-point lg-lane-${row.lane % 6}${row.source === "input" ? " lg-point-input" : ""}` }));
}
