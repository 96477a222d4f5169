// Which parts of a drawing a run has touched: nodes that work or have worked, and the edges it took. Pure.

export class GraphTrace {
  // `edges` of the drawing, whose ids say child:inner where a task's label says child/inner.
  constructor(edges) {
    this.incoming = new Map();
    for (const edge of edges) {
      if (!this.incoming.has(edge.target)) this.incoming.set(edge.target, []);
      this.incoming.get(edge.target).push(edge);
    }
    this.reset();
  }

  reset() {
    this.ended = new Map([["__start__", 0]]); // node → when it ended last, in steps of our own
    this.visited = new Set(); // edges as source→target
    this.states = new Map(); // node → {active, done, failed}
    this.step = 0;
    this.seen = 0;
    this.story = null;
    this.wasFinal = false;
  }

  // Takes what is new in a RunStory.
  follow(story) {
    if (story !== this.story) {
      this.reset();
      this.story = story;
    }
    for (; this.seen < story.log.length; this.seen += 1) {
      const { label, begins, hasFailed, restarts } = story.log[this.seen];
      if (restarts) this.rest();
      else if (begins) this.begin(nodeOf(label));
      else this.end(nodeOf(label), hasFailed);
    }
    if (story.isFinal && !this.wasFinal) {
      this.wasFinal = true;
      if (story.state === "success") this.begin("__end__");
      this.rest();
    }
    return this;
  }

  begin(node) {
    this.step += 1;
    this.stateOf("__start__").done = 1;
    this.enter(node, 0);
    const state = this.stateOf(node);
    // Tried again: what counts is how it ends this time. One of several tasks at once is not.
    if (state.active === 0) state.failed = false;
    if (node.endsWith("__end__")) state.done += 1;
    else state.active += 1;
  }

  // Nothing is at work any more.
  rest() {
    for (const state of this.states.values()) state.active = 0;
  }

  // Marks the edges that led here, through the small start and end nodes of subgraphs, which are no tasks.
  enter(node, depth) {
    const edges = this.incoming.get(node) ?? [];
    const silent = (id) => /:__(start|end)__$/.test(id);
    if (depth < 4) {
      for (const edge of edges.filter((one) => silent(one.source))) {
        if (this.ended.has(edge.source)) continue;
        this.enter(edge.source, depth + 1);
        this.ended.set(edge.source, this.step - 1);
        this.stateOf(edge.source).done += 1;
      }
    }
    const candidates = edges.filter((edge) => this.ended.has(edge.source));
    const latest = Math.max(...candidates.map((edge) => this.ended.get(edge.source)));
    for (const edge of candidates) {
      if (this.ended.get(edge.source) === latest) this.visited.add(`${edge.source}→${edge.target}`);
    }
  }

  end(node, hasFailed) {
    const state = this.stateOf(node);
    state.active = Math.max(0, state.active - 1);
    if (hasFailed) state.failed = true;
    else state.done += 1;
    // Tasks that end without a new one in between belong to one superstep.
    this.ended.set(node, this.step);
  }

  stateOf(node) {
    if (!this.states.has(node)) this.states.set(node, { active: 0, done: 0, failed: false });
    return this.states.get(node);
  }
}

export const nodeOf = (label) => label.replaceAll("/", ":");
