// Drawings of graphs: nothing overlaps, edges meet their nodes, subgraphs hold what is theirs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { visible } from "../../../lgnb/widgets/static/graph_view.js";
import { layout, pathOf } from "../../../lgnb/widgets/static/layout.js";

const box = (id) => ({ id, width: 90, height: 36 });
const edges = (...pairs) => pairs.map(([source, target]) => ({ source, target }));
const overlap = (a, b) => Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2;

function check({ nodes, clusters, edges: drawn, width, height }) {
  for (const [index, a] of nodes.entries()) {
    for (const b of nodes.slice(index + 1)) assert.ok(!overlap(a, b), `${a.id} covers ${b.id}`);
    assert.ok(a.x - a.width / 2 >= 0 && a.x + a.width / 2 <= width && a.y + a.height / 2 <= height, `${a.id} is outside`);
    for (const cluster of clusters) {
      const isInside = a.id.startsWith(`${cluster.id}:`);
      assert.equal(overlap(a, cluster), isInside, `${a.id} and ${cluster.id}`);
    }
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const edge of drawn) {
    assert.match(pathOf(edge), /^M[\d.,-]+ [LC]/);
    if (edge.isLoop) continue;
    for (const [point, id] of [[edge.points[0], edge.source], [edge.points.at(-1), edge.target]]) {
      const node = byId.get(id);
      assert.ok(Math.abs(point.x - node.x) <= node.width / 2 + 1, `${edge.source}→${edge.target} misses ${id}`);
      assert.ok(Math.abs(Math.abs(point.y - node.y) - node.height / 2) < 1, `${edge.source}→${edge.target} does not touch ${id}`);
    }
  }
}

test("a chain goes straight down", () => {
  const placed = layout(["__start__", "a", "__end__"].map(box), edges(["__start__", "a"], ["a", "__end__"]));

  check(placed);
  assert.equal(new Set(placed.nodes.map((node) => Math.round(node.x))).size, 1);
});

test("a loop of tools points back up", () => {
  const placed = layout(["__start__", "model", "tools", "__end__"].map(box), edges(["__start__", "model"], ["model", "tools"], ["tools", "model"], ["model", "__end__"]));
  const back = placed.edges.find((edge) => edge.source === "tools");

  check(placed);
  assert.ok(back.isBack);
  assert.ok(back.points[0].y > back.points.at(-1).y);
});

test("destinations of a command, a loop to itself, and a long way around", () => {
  const placed = layout(["__start__", "draft", "review", "send", "__end__"].map(box), edges(["__start__", "draft"], ["draft", "review"], ["review", "__end__"], ["review", "draft"], ["review", "review"], ["review", "send"], ["send", "__end__"]));

  check(placed);
  assert.ok(placed.edges.find((edge) => edge.isLoop));
});

test("subgraphs within subgraphs are boxes within boxes", () => {
  const nodes = ["__start__", "a:x", "a:b:y", "a:b:z", "c", "__end__"].map(box);
  const placed = layout(nodes, edges(["__start__", "a:x"], ["a:x", "a:b:y"], ["a:b:y", "a:b:z"], ["a:b:z", "c"], ["c", "a:x"], ["a:x", "c"], ["c", "__end__"]));

  check(placed);
  assert.deepEqual(placed.clusters.map((cluster) => cluster.id).sort(), ["a", "a:b"]);
});

test("two hundred nodes take less than a blink", () => {
  const nodes = Array.from({ length: 200 }, (_, index) => box(`n${index}`));
  const pairs = nodes.slice(1).map((node, index) => [`n${Math.floor(index / 3)}`, node.id]);
  const more = Array.from({ length: 100 }, (_, index) => [`n${index}`, `n${(index * 7) % 200}`]);
  const before = performance.now();
  const placed = layout(nodes, edges(...pairs, ...more));

  check(placed);
  assert.ok(performance.now() - before < 3000);
});

test("nodes without edges are drawn as well", () => {
  check(layout(["a", "b"].map(box), []));
  assert.deepEqual(layout([], []).nodes, []);
});

test("a closed subgraph is one node, and its edges become edges of that node", () => {
  const graph = { nodes: ["__start__", "s:a", "s:b", "__end__"].map((id) => ({ id })), edges: edges(["__start__", "s:a"], ["s:a", "s:b"], ["s:b", "__end__"]) };
  const closed = visible(graph, new Set(["s"]));

  assert.deepEqual(closed.nodes.map((node) => node.id), ["__start__", "s", "__end__"]);
  assert.deepEqual(closed.edges.map(({ source, target }) => `${source}→${target}`), ["__start__→s", "s→__end__"]);
});
