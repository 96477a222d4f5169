// Where the nodes and edges of a graph go: layers from top to bottom, as Sugiyama describes them, and subgraphs as boxes
// that are laid out first and then stand in their parent like one wide node. Pure: numbers in, numbers out.

const RANK_GAP = 44;
const NODE_GAP = 26;
const PADDING = 16;
const TITLE = 22;
const SWEEPS = 8;
const SPREAD = 18; // between the ends of edges at one node

// `nodes`: {id, width, height}; an id such as child:inner lies in the subgraph child. `edges`: {source, target}.
// Answers {width, height, nodes: {id, x, y, width, height}, clusters: likewise, edges: {…edge, points, isBack}}.
export function layout(nodes, edges) {
  const root = { id: "", children: [], leaves: new Map() };
  const clusters = new Map([["", root]]);
  const cluster = (id) => {
    if (!clusters.has(id)) {
      const made = { id, children: [] };
      clusters.set(id, made);
      cluster(parentOf(id)).children.push(made);
    }
    return clusters.get(id);
  };
  const known = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) cluster(parentOf(node.id)).children.push({ ...node, isLeaf: true });

  // Each edge becomes one piece per box whose border it crosses.
  const pieces = new Map([...clusters.keys()].map((id) => [id, new Map()]));
  const piece = (level, from, to, edge) => {
    const key = JSON.stringify([from, to]);
    const found = pieces.get(level).get(key) ?? { from, to, isLoop: from === to, edges: [] };
    found.edges.push(edge);
    pieces.get(level).set(key, found);
    return found;
  };
  const drawn = edges.filter((edge) => known.has(edge.source) && known.has(edge.target)).map((edge) => {
    const up = chain(edge.source);
    const down = chain(edge.target);
    let common = 0;
    while (common < up.length - 1 && common < down.length - 1 && up[common] === down[common]) common += 1;
    const levelOf = (index, ids) => (index === 0 ? "" : ids[index - 1]);
    const parts = [];
    for (let index = up.length - 1; index > common; index -= 1) {
      parts.push([levelOf(index, up), piece(levelOf(index, up), up[index], OUT, edge)]);
    }
    parts.push([levelOf(common, up), piece(levelOf(common, up), up[common], down[common], edge)]);
    for (let index = common + 1; index < down.length; index += 1) {
      parts.push([levelOf(index, down), piece(levelOf(index, down), IN, down[index], edge)]);
    }
    return { edge, parts };
  });

  place(root, pieces);
  const result = { width: root.width, height: root.height, nodes: [], clusters: [], edges: [] };
  const offsets = new Map();
  collect(root, 0, 0, result, offsets);
  for (const { edge, parts } of drawn) {
    const points = parts.flatMap(([level, one]) => {
      const { x, y } = offsets.get(level);
      return one.points.map((point) => ({ ...point, x: point.x + x, y: point.y + y }));
    });
    result.edges.push({ ...edge, points, isBack: parts.some(([, one]) => one.isBack), isLoop: edge.source === edge.target });
  }
  return result;
}

const IN = "\u0000in";
const OUT = "\u0000out";

export function parentOf(id) {
  const at = id.lastIndexOf(":");
  return at < 0 ? "" : id.slice(0, at);
}

// a:b:c → a, a:b, a:b:c
function chain(id) {
  const parts = id.split(":");
  return parts.map((_, index) => parts.slice(0, index + 1).join(":"));
}

function collect(box, x, y, result, offsets) {
  offsets.set(box.id, { x, y });
  for (const child of box.children) {
    const at = { id: child.id, x: x + child.x, y: y + child.y, width: child.width, height: child.height };
    if (child.isLeaf) result.nodes.push(at);
    else {
      result.clusters.push(at);
      collect(child, at.x - child.width / 2, at.y - child.height / 2, result, offsets);
    }
  }
}

// Lays out the inside of a box: gives every child x and y (of its centre, within the box) and the box its size.
function place(box, pieces) {
  for (const child of box.children) if (!child.isLeaf) place(child, pieces);
  const edges = [...pieces.get(box.id).values()];
  const loops = new Set(edges.filter((edge) => edge.isLoop).map((edge) => edge.from));
  const items = box.children.map((child) => ({ id: child.id, child, width: child.width + (loops.has(child.id) ? 56 : 0), height: child.height }));
  for (const port of [IN, OUT]) {
    if (edges.some((edge) => edge.from === port || edge.to === port)) items.push({ id: port, width: 0, height: 0, port });
  }
  const { width, height } = layered(items, edges.filter((edge) => !edge.isLoop));
  const isRoot = box.id === "";
  const top = isRoot ? PADDING : PADDING + TITLE;
  box.width = Math.max(width + 2 * PADDING, isRoot ? 0 : 2 * (box.id.split(":").at(-1).length * 7.2 + 40));
  box.height = height + top + PADDING;
  const shift = (box.width - width) / 2;
  for (const item of items) {
    item.x += shift;
    item.y += top;
    if (item.child) Object.assign(item.child, { x: item.x, y: item.y });
    // Where edges enter and leave: on the border itself.
    if (item.port === IN) box.inX = item.x;
    if (item.port === OUT) box.outX = item.x;
  }
  for (const edge of edges) {
    if (edge.isLoop) {
      const { x, y, width: wide, height: high } = items.find((item) => item.id === edge.from).child;
      const right = x + wide / 2;
      edge.points = [{ x: right, y: y + high / 4 }, { x: right + 26, y }, { x: right, y: y - high / 4 }];
      continue;
    }
    edge.points = edge.points.map((point) => ({ x: point.x + shift, y: point.y + top }));
    if (edge.from === IN) edge.points[0].y = 0;
    if (edge.to === OUT) edge.points.at(-1).y = box.height;
  }
}

// -- One level --------------------------------------------------------------------------------------------------------

function layered(items, edges) {
  if (!items.length) return { width: 0, height: 0 };
  const byId = new Map(items.map((item) => [item.id, item]));
  turnBackEdges(items, edges, byId);
  rank(items, edges, byId);
  const layers = withDummies(items, edges, byId);
  order(layers);
  const width = coordinates(layers);
  const height = heights(layers);
  for (const edge of edges) edge.points = pointsOf(edge, byId);
  spreadEnds(items, edges);
  for (const edge of edges) if (edge.isBack) edge.points.reverse();
  return { width, height };
}

// Edges that close a cycle are laid out as if they pointed the other way.
function turnBackEdges(items, edges, byId) {
  const out = new Map(items.map((item) => [item.id, []]));
  for (const edge of edges) out.get(edge.from).push(edge);
  const state = new Map();
  const first = (item) => (item.id === IN || /(^|:)__start__$/.test(item.id) ? 0 : 1);
  for (const start of [...items].sort((a, b) => first(a) - first(b))) {
    if (state.has(start.id)) continue;
    // By hand, because a chain of many nodes would be deep.
    const stack = [[start.id, 0]];
    state.set(start.id, "open");
    while (stack.length) {
      const top = stack.at(-1);
      const edge = out.get(top[0])[top[1]];
      top[1] += 1;
      if (!edge) {
        state.set(top[0], "done");
        stack.pop();
      } else if (state.get(edge.to) === "open") {
        edge.isBack = true;
      } else if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        stack.push([edge.to, 0]);
      }
    }
  }
  for (const edge of edges) {
    edge.isBack = Boolean(edge.isBack);
    edge.upper = byId.get(edge.isBack ? edge.to : edge.from);
    edge.lower = byId.get(edge.isBack ? edge.from : edge.to);
  }
}

function rank(items, edges) {
  const incoming = new Map(items.map((item) => [item, []]));
  const outgoing = new Map(items.map((item) => [item, []]));
  for (const edge of edges) {
    incoming.get(edge.lower).push(edge.upper);
    outgoing.get(edge.upper).push(edge.lower);
  }
  const waiting = new Map(items.map((item) => [item, incoming.get(item).length]));
  const ready = items.filter((item) => waiting.get(item) === 0);
  const sorted = [];
  while (ready.length) {
    const item = ready.shift();
    item.rank = Math.max(0, ...incoming.get(item).map((one) => one.rank + 1));
    sorted.push(item);
    for (const next of outgoing.get(item)) {
      waiting.set(next, waiting.get(next) - 1);
      if (waiting.get(next) === 0) ready.push(next);
    }
  }
  const last = Math.max(...items.map((item) => item.rank));
  for (const item of sorted.reverse()) {
    const after = outgoing.get(item);
    if (item.port === OUT || (/(^|:)__end__$/.test(item.id) && !after.length)) item.rank = last;
    // A source stands just above what it feeds, unless it is where everything begins.
    else if (!incoming.get(item).length && after.length && item.port !== IN && !/(^|:)__start__$/.test(item.id)) {
      item.rank = Math.min(...after.map((one) => one.rank)) - 1;
    }
  }
}

function withDummies(items, edges) {
  const layers = [];
  const into = (item) => (layers[item.rank] ??= []).push(item);
  for (const item of items) {
    item.above = [];
    item.below = [];
    into(item);
  }
  for (const edge of edges) {
    edge.dummies = [];
    let before = edge.upper;
    for (let at = edge.upper.rank + 1; at < edge.lower.rank; at += 1) {
      const dummy = { rank: at, width: 8, height: 0, isDummy: true, above: [], below: [] };
      edge.dummies.push(dummy);
      into(dummy);
      connect(before, dummy);
      before = dummy;
    }
    connect(before, edge.lower);
  }
  return layers.map((layer) => layer ?? []);
}

function connect(upper, lower) {
  upper.below.push(lower);
  lower.above.push(upper);
}

function order(layers) {
  const number = () => layers.forEach((layer) => layer.forEach((item, index) => (item.index = index)));
  number();
  let best = crossings(layers);
  let kept = layers.map((layer) => [...layer]);
  for (let sweep = 0; sweep < SWEEPS && best > 0; sweep += 1) {
    const isDown = sweep % 2 === 0;
    const sequence = isDown ? layers.slice(1) : layers.slice(0, -1).reverse();
    for (const layer of sequence) {
      for (const item of layer) {
        const near = isDown ? item.above : item.below;
        item.weight = near.length ? near.reduce((sum, one) => sum + one.index, 0) / near.length : item.index;
      }
      layer.sort((a, b) => a.weight - b.weight || a.index - b.index);
      layer.forEach((item, index) => (item.index = index));
    }
    const found = crossings(layers);
    if (found < best) {
      best = found;
      kept = layers.map((layer) => [...layer]);
    }
  }
  kept.forEach((layer, index) => layers[index].splice(0, layer.length, ...layer));
  number();
}

function crossings(layers) {
  let count = 0;
  for (const layer of layers) {
    const ends = layer.flatMap((item) => item.below.map((one) => one.index).sort((a, b) => a - b));
    for (let i = 0; i < ends.length; i += 1) for (let j = i + 1; j < ends.length; j += 1) if (ends[i] > ends[j]) count += 1;
  }
  return count;
}

// Each item wants to stand in the middle of its neighbours; items of a layer keep their order and their distance.
function coordinates(layers) {
  for (const layer of layers) {
    let x = 0;
    for (const item of layer) {
      item.x = x + item.width / 2;
      x += item.width + NODE_GAP;
    }
    const middle = (x - NODE_GAP) / 2;
    for (const item of layer) item.x -= middle;
  }
  for (let round = 0; round < 12; round += 1) {
    const sequence = round % 2 ? [...layers].reverse() : layers;
    for (const layer of sequence) {
      const wanted = layer.map((item) => {
        const side = round % 2 ? item.below : item.above;
        const near = round > 8 || !side.length ? [...item.above, ...item.below] : side;
        return near.length ? near.reduce((sum, one) => sum + one.x, 0) / near.length : item.x;
      });
      settle(layer, wanted);
    }
  }
  const left = Math.min(...layers.flat().map((item) => item.x - item.width / 2));
  const right = Math.max(...layers.flat().map((item) => item.x + item.width / 2));
  for (const item of layers.flat()) item.x -= left;
  return right - left;
}

// The positions nearest to the wanted ones that keep all distances: isotonic regression by pooling neighbours.
function settle(layer, wanted) {
  const blocks = [];
  let offset = 0;
  layer.forEach((item, index) => {
    if (index > 0) offset += (layer[index - 1].width + item.width) / 2 + NODE_GAP;
    const weight = item.isDummy ? 4 : 1;
    blocks.push({ sum: (wanted[index] - offset) * weight, weight, items: [[item, offset]] });
    while (blocks.length > 1 && blocks.at(-2).sum / blocks.at(-2).weight > blocks.at(-1).sum / blocks.at(-1).weight) {
      const last = blocks.pop();
      const before = blocks.at(-1);
      before.sum += last.sum;
      before.weight += last.weight;
      before.items.push(...last.items);
    }
  });
  for (const { sum, weight, items } of blocks) for (const [item, shift] of items) item.x = sum / weight + shift;
}

function heights(layers) {
  let y = 0;
  for (const [index, layer] of layers.entries()) {
    const height = Math.max(...layer.map((item) => item.height), 0);
    for (const item of layer) {
      item.y = y + height / 2;
      item.band = [y, y + height];
    }
    y += height;
    if (index === layers.length - 1) break;
    // The ports of a box take no room of their own.
    const isByPorts = [layer, layers[index + 1]].some((one) => one.every((item) => item.port));
    y += isByPorts ? RANK_GAP / 2 : RANK_GAP;
  }
  return y;
}

function pointsOf(edge) {
  const { upper, lower, dummies } = edge;
  return [
    { x: upper.x + portShift(upper, "outX"), y: upper.y + upper.height / 2 },
    ...dummies.flatMap((dummy) => dummy.band.map((y) => ({ x: dummy.x, y }))),
    { x: lower.x + portShift(lower, "inX"), y: lower.y - lower.height / 2 },
  ];
}

// A box is entered and left where its inside says.
function portShift(item, side) {
  return item.child && !item.child.isLeaf && item.child[side] !== undefined ? item.child[side] - item.child.width / 2 : 0;
}

// Several edges at one side of a node begin beside each other, in the order of where they go.
function spreadEnds(items, edges) {
  for (const item of items) {
    if (!item.child?.isLeaf) continue;
    for (const [isTop, ends] of [
      [false, edges.filter((edge) => edge.upper === item)],
      [true, edges.filter((edge) => edge.lower === item)],
    ]) {
      const step = Math.min(SPREAD, (item.child.width - 16) / Math.max(1, ends.length));
      const towards = (edge) => edge.points.at(isTop ? -2 : 1).x;
      ends.sort((a, b) => towards(a) - towards(b) || Number(a.isBack) - Number(b.isBack));
      ends.forEach((edge, index) => {
        edge.points.at(isTop ? -1 : 0).x += (index - (ends.length - 1) / 2) * step;
      });
    }
  }
}

// The line through points as an SVG path with vertical ends; a loop is an arc beside its node.
export function pathOf({ points, isLoop }) {
  const at = ({ x, y }) => `${round(x)},${round(y)}`;
  if (isLoop) {
    const [from, far, to] = points;
    return `M${at(from)} C${at({ x: far.x + 6, y: from.y + 4 })} ${at({ x: far.x + 6, y: to.y - 4 })} ${at(to)}`;
  }
  let path = `M${at(points[0])}`;
  for (let index = 1; index < points.length; index += 1) {
    const a = points[index - 1];
    const b = points[index];
    if (Math.abs(a.x - b.x) < 0.5) path += ` L${at(b)}`;
    else {
      const middle = (a.y + b.y) / 2;
      path += ` C${at({ x: a.x, y: middle })} ${at({ x: b.x, y: middle })} ${at(b)}`;
    }
  }
  return path;
}

// Where the label of an edge stands: in the middle of its first longer piece.
export function labelPoint({ points, isLoop }) {
  if (isLoop) return { x: points[1].x + 6, y: points[1].y };
  for (let index = 1; index < points.length; index += 1) {
    const [a, b] = [points[index - 1], points[index]];
    if (Math.abs(a.y - b.y) > RANK_GAP / 2) return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  }
  return points[0];
}

const round = (value) => Math.round(value * 10) / 10;
