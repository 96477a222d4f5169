// The drawing of a graph: our own SVG, with the nodes that work lit, the way that was taken, and subgraphs that open
// and close in place.

import { button, h, problem, replace, svg, uid } from "./dom.js";
import { GraphTrace } from "./graph_trace.js";
import { labelPoint, layout, parentOf, pathOf } from "./layout.js";

const NAMES = { __start__: "start", __end__: "end" };
const ZOOMS = [0.25, 0.4, 0.6, 0.8, 1, 1.25, 1.6, 2];

// `graph` is {nodes, edges} as the API draws it, or a promise of it.
export function graphView(root, { api }, { assistant, graph, name, closed = false }) {
  const view = new GraphView(name ?? assistant ?? "graph");
  root.append(view.element);
  Promise.resolve(graph ?? api.drawing(assistant)).then(
    (found) => view.show(found, { closed }),
    (error) => replace(view.canvas, problem(error)),
  );
  return view;
}

class GraphView {
  constructor(name) {
    this.name = name;
    this.collapsed = new Set();
    this.trace = null;
    this.story = null;
    this.marked = new Map();
    this.zoom = null;
    this.markerId = uid("arrow");
    this.canvas = h("div", { class: "lg-graph-canvas", tabindex: "0", role: "region", "aria-label": `Drawing of ${name}` });
    this.tools = h("div", { class: "lg-graph-tools", role: "group", "aria-label": "Size of the drawing" },
      button("−", () => this.scale(-1), { "aria-label": "Smaller", kind: "small" }),
      button("Fit", () => this.scale(0), { kind: "small" }),
      button("+", () => this.scale(1), { "aria-label": "Larger", kind: "small" }),
    );
    this.element = h("div", { class: "lg-graph" }, this.canvas, this.tools);
  }

  show(graph, { closed = false } = {}) {
    this.graph = graph;
    if (closed) for (const { id } of graph.nodes) if (id.includes(":")) this.collapsed.add(id.split(":")[0]);
    this.trace = new GraphTrace(graph.edges);
    this.draw();
    if (this.story) this.follow(this.story);
  }

  // Lights up what a run does; call it as often as the run moves.
  follow(story) {
    this.story = story;
    if (!this.trace) return;
    this.trace.follow(story);
    this.paint();
  }

  // Marks nodes without a run: {node: "next" | "done"}, for a checkpoint that is looked at.
  mark(nodes) {
    this.marked = new Map(Object.entries(nodes));
    if (this.graph) this.paint();
  }

  draw() {
    const { nodes, edges, subgraphs } = visible(this.graph, this.collapsed);
    this.shown = nodes;
    const placed = layout(nodes.map((node) => ({ ...node, ...sizeOf(node) })), edges);
    const byId = new Map(nodes.map((node) => [node.id, node]));
    this.parts = { nodes: new Map(), edges: new Map(), clusters: new Map() };
    const layer = svg("g");
    for (const box of placed.clusters) layer.append(this.drawCluster(box));
    for (const edge of placed.edges) layer.append(this.drawEdge(edge));
    for (const at of placed.nodes) layer.append(this.drawNode(byId.get(at.id), at, subgraphs));
    for (const edge of placed.edges) if (edge.data) layer.append(drawLabel(edge));
    const [width, height] = [Math.ceil(placed.width), Math.ceil(placed.height)];
    this.size = { width, height };
    this.svg = svg("svg", { class: "lg-graph-svg", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": outline(this.name, nodes, edges) },
      svg("defs", {}, marker(this.markerId, "lg-arrow"), marker(`${this.markerId}-taken`, "lg-arrow lg-taken")),
      layer,
    );
    replace(this.canvas, this.svg);
    this.scale(null);
    this.paint();
  }

  drawCluster(box) {
    const name = box.id.split(":").at(-1);
    const left = box.x - box.width / 2;
    const top = box.y - box.height / 2;
    const group = svg("g", { class: "lg-cluster" },
      svg("rect", { x: left, y: top, width: box.width, height: box.height, rx: 12 }),
      this.toggle(box.id, svg("text", { x: left + 14, y: top + 20 }, `▾ ${name}`), `Close the subgraph ${name}`),
    );
    this.parts.clusters.set(box.id, group);
    return group;
  }

  drawEdge(edge) {
    const path = svg("path", { d: pathOf(edge), class: `lg-edge${edge.conditional ? " lg-conditional" : ""}`, "marker-end": `url(#${this.markerId})` });
    this.parts.edges.set(`${edge.source}→${edge.target}`, { path, edge });
    return path;
  }

  drawNode(node, { x, y, width, height }, subgraphs) {
    const last = node.id.split(":").at(-1);
    const isEnd = last in NAMES;
    const isInner = isEnd && node.id.includes(":");
    const shape = isInner
      ? svg("circle", { cx: x, cy: y, r: 5 })
      : svg("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: isEnd ? height / 2 : 8 });
    const tools = toolsOf(node);
    const title = isInner ? null : svg("text", { x, y: tools ? y - 4 : y + 4.5, class: "lg-node-name" }, nameOf(node));
    const group = svg("g", { class: `lg-node${isEnd ? " lg-node-end" : ""}`, "data-node": node.id }, shape, title,
      tools && svg("text", { x, y: y + 12, class: "lg-node-tools" }, tools),
      svg("text", { x: x + width / 2 - 2, y: y - height / 2 - 3, class: "lg-node-mark" }),
      isInner && svg("title", {}, NAMES[last]),
    );
    this.parts.nodes.set(node.id, group);
    if (!subgraphs.has(node.id)) return group;
    title.textContent = `▸ ${nameOf(node)}`;
    return this.toggle(node.id, group, `Open the subgraph ${nameOf(node)}`);
  }

  toggle(id, element, label) {
    const flip = () => {
      if (!this.collapsed.delete(id)) this.collapsed.add(id);
      this.draw();
      this.canvas.querySelector(`[data-toggle="${CSS.escape(id)}"]`)?.focus();
    };
    const onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      flip();
    };
    const attributes = { role: "button", tabindex: "0", "aria-label": label, "data-toggle": id };
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.classList.add("lg-toggle");
    element.addEventListener("click", flip);
    element.addEventListener("keydown", onkeydown);
    return element;
  }

  paint() {
    if (!this.parts) return;
    const states = this.trace.states;
    const shown = (node) => {
      let id = node;
      while (id && !this.parts.nodes.has(id) && !this.parts.clusters.has(id)) id = parentOf(id);
      return id;
    };
    const sums = new Map();
    for (const [node, state] of states) {
      const id = shown(node);
      const sum = sums.get(id) ?? { active: 0, done: 0, failed: false };
      sums.set(id, { active: Math.max(sum.active, state.active), done: Math.max(sum.done, state.done), failed: sum.failed || state.failed });
    }
    for (const [id, group] of [...this.parts.nodes, ...this.parts.clusters]) {
      const { active, done, failed } = sums.get(id) ?? { active: 0, done: 0, failed: false };
      const marked = this.marked.get(id);
      group.classList.toggle("lg-active", active > 0 || marked === "next");
      group.classList.toggle("lg-done", (done > 0 || marked === "done") && active === 0);
      group.classList.toggle("lg-failed", failed);
      const mark = group.querySelector(".lg-node-mark");
      if (mark) mark.textContent = active > 1 ? `×${active}` : failed ? "✕" : done > 1 ? `${done}×` : "";
    }
    const taken = new Set([...this.trace.visited].map((key) => key.split("→").map(shown).join("→")));
    for (const [key, { path }] of this.parts.edges) {
      const isTaken = taken.has(key);
      path.classList.toggle("lg-taken", isTaken);
      path.setAttribute("marker-end", `url(#${this.markerId}${isTaken ? "-taken" : ""})`);
    }
  }

  // -1 and 1 change the size, 0 fits the drawing to its place, null keeps what was chosen.
  scale(step) {
    if (!this.svg) return;
    if (step === 0) this.zoom = null;
    else if (step) {
      const current = this.svg.getBoundingClientRect().width / this.size.width || 1;
      const nearest = ZOOMS.reduce((best, one) => (Math.abs(one - current) < Math.abs(best - current) ? one : best));
      this.zoom = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, ZOOMS.indexOf(nearest) + step))];
    }
    this.canvas.classList.toggle("lg-fit", this.zoom === null);
    this.svg.setAttribute("width", this.size.width * (this.zoom ?? 1));
    this.svg.setAttribute("height", this.size.height * (this.zoom ?? 1));
  }

  destroy() {
    this.element.remove();
  }
}

// What is drawn while some subgraphs are closed: their nodes become one, and so do edges that then say the same.
export function visible({ nodes, edges }, collapsed) {
  const home = (id) => {
    const parts = id.split(":");
    for (let index = 1; index < parts.length; index += 1) {
      const outer = parts.slice(0, index).join(":");
      if (collapsed.has(outer)) return outer;
    }
    return id;
  };
  const kept = new Map();
  for (const node of nodes) {
    const id = home(node.id);
    if (!kept.has(id)) kept.set(id, id === node.id ? node : { id, type: "subgraph" });
  }
  const joined = new Map();
  for (const edge of edges) {
    const [source, target] = [home(edge.source), home(edge.target)];
    const isInside = source === target && (source !== edge.source || target !== edge.target);
    const key = `${source}→${target}`;
    if (!isInside && !joined.has(key)) joined.set(key, { ...edge, source, target });
  }
  return { nodes: [...kept.values()], edges: [...joined.values()], subgraphs: collapsed };
}

function nameOf(node) {
  const last = node.id.split(":").at(-1);
  return NAMES[last] ?? last;
}

function toolsOf(node) {
  const tools = node.metadata?.__tools;
  if (!Array.isArray(tools) || !tools.length) return null;
  const text = tools.join(", ");
  return text.length > 40 ? `${tools.length} tools` : text;
}

function sizeOf(node) {
  const name = nameOf(node);
  const isEnd = node.id.split(":").at(-1) in NAMES;
  if (isEnd && node.id.includes(":")) return { width: 10, height: 10 };
  if (isEnd) return { width: 64, height: 28 };
  const tools = toolsOf(node);
  const width = Math.max(84, name.length * 7.6 + 34, (tools?.length ?? 0) * 5.8 + 24);
  return { width, height: tools ? 46 : 36 };
}

function marker(id, kind) {
  return svg("marker", { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
    svg("path", { d: "M0,1 L9,5 L0,9 z", class: kind }));
}

function drawLabel(edge) {
  const { x, y } = labelPoint(edge);
  return svg("text", { x, y: y + 4, class: "lg-edge-label" }, String(edge.data));
}

// The same as the drawing in words.
function outline(name, nodes, edges) {
  const lines = nodes.map((node) => {
    const after = edges.filter((edge) => edge.source === node.id).map((edge) => `${nameOf({ id: edge.target })}${edge.conditional ? " on a condition" : ""}`);
    return after.length ? `${nameOf(node)} goes to ${after.join(", ")}` : null;
  });
  return `${name}: ${lines.filter(Boolean).join("; ")}`;
}
