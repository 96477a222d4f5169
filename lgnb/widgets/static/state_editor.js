// Editing the state of a thread at a checkpoint: checked against the graph's schema, then written as a fork.

import { assistantOf } from "./api.js";
import { diff } from "./diff.js";
import { button, h, problem, replace } from "./dom.js";
import { schemaForm, schemaOf } from "./schema_form.js";
import { same } from "./validate.js";

// `state` is asked from the server where it is not given; `onsaved(checkpointId)` is told of the new checkpoint.
export function stateEditor(root, context, options) {
  const editor = new StateEditor(context, options);
  root.append(editor.element);
  editor.open();
  return editor;
}

class StateEditor {
  constructor({ api, live }, { thread, checkpoint, assistant, state, onsaved, oncancel, focus = false }) {
    Object.assign(this, { api, live, thread, checkpoint, assistant, state, onsaved, oncancel, focus });
    this.element = h("form", { class: "lg-editor", "aria-label": "Edit the state", onsubmit: (event) => { event.preventDefault(); this.save(); } }, h("p", { class: "lg-quiet" }, "Loading…"));
  }

  async open() {
    try {
      this.state ??= await this.api.state(this.thread, this.checkpoint && { checkpoint_id: this.checkpoint });
      this.assistant ??= assistantOf(await this.api.thread(this.thread));
      const [schemas, drawing] = this.assistant ? await Promise.all([this.schemas(), this.api.drawing(this.assistant).catch(() => null)]) : [{}, null];
      this.draw(schemas.state_schema ?? null, drawing);
    } catch (error) {
      replace(this.element, problem(error));
    }
  }

  async schemas() {
    // The metadata of a thread may name the graph only; schemas are asked by an assistant's id.
    const all = await this.api.assistants();
    const found = all.find((one) => one.assistant_id === this.assistant) ?? all.find((one) => one.graph_id === this.assistant);
    return found ? this.api.schemas(found.assistant_id).catch(() => ({})) : {};
  }

  draw(schema, drawing) {
    const values = this.state.values ?? {};
    this.form = schemaForm({ schema: schema ?? schemaOf(values), value: values, legend: "State" });
    const nodes = (drawing?.nodes ?? []).map((node) => node.id).filter((id) => !id.includes(":") && id !== "__end__");
    const outer = (drawing?.nodes ?? []).filter((node) => node.id.includes(":")).map((node) => node.id.split(":")[0]);
    this.asNode = h("select", { "aria-label": "Written as node" }, h("option", { value: "" }, "the node that wrote last"),
      [...new Set([...nodes, ...outer])].map((id) => h("option", { value: id }, id === "__start__" ? "__start__ (as input)" : id)));
    this.problems = h("div", {});
    this.submit = button("Save as a fork", () => {}, { kind: "primary", type: "submit" });
    replace(this.element, this.form.element,
      h("div", { class: "lg-compose-row" }, h("label", {}, "Written as ", this.asNode)),
      h("p", { class: "lg-hint" }, "The graph goes on after that node. The old checkpoint stays as it is."), this.problems,
      h("div", { class: "lg-buttons" }, this.submit, this.oncancel && button("Cancel", () => this.oncancel())));
    if (this.focus) this.form.focus();
  }

  async save() {
    const read = this.form.read();
    if (read.problems) return;
    const before = this.state.values ?? {};
    const changed = Object.fromEntries(Object.entries(read.value).filter(([key, value]) => !same(value, before[key])));
    if (!Object.keys(changed).length) {
      this.form.tell("Nothing was changed.");
      return;
    }
    await this.write(changed, read.value);
  }

  async write(changed, wanted) {
    this.submit.disabled = true;
    replace(this.problems);
    try {
      const { checkpoint_id: at } = this.state.checkpoint ?? {};
      const body = { values: changed, ...(this.asNode.value && { as_node: this.asNode.value }), ...(at && { checkpoint: { checkpoint_id: at, checkpoint_ns: "" } }) };
      const written = await this.api.updateState(this.thread, body);
      const id = written.checkpoint?.checkpoint_id ?? written.checkpoint_id;
      const after = await this.api.state(this.thread, { checkpoint_id: id });
      const combined = Object.keys(changed).filter((key) => diff(stripped(wanted[key]), stripped(after.values?.[key])).length > 0 && !changed[key]?.__overwrite__);
      this.live?.say("The state was written as a new checkpoint.");
      if (combined.length) this.explain(combined, wanted, changed, id);
      else this.onsaved?.(id);
    } catch (error) {
      replace(this.problems, problem(error));
    }
    this.submit.disabled = false;
  }

  // A reducer of the graph, such as one that appends to a list, has joined the edit with what stood there.
  explain(keys, wanted, changed, id) {
    const overwrite = () => this.write({ ...changed, ...Object.fromEntries(keys.map((key) => [key, { __overwrite__: wanted[key] }])) }, wanted);
    replace(this.problems, h("div", { class: "lg-note-box", role: "status" },
      `The graph combined your value of ${keys.join(", ")} with the old one, as its reducer does. `,
      h("div", { class: "lg-buttons" }, button("Keep that", () => this.onsaved?.(id)), button("Replace it instead", overwrite))));
  }

  destroy() {
    this.element.remove();
  }
}

// Messages get ids from the graph where they had none.
function stripped(value) {
  if (!Array.isArray(value)) return value;
  return value.map((one) => (one && typeof one === "object" && "content" in one && "type" in one ? { type: one.type, content: one.content } : one));
}
