// Assistants: make one, edit its context by the graph's schema, and see its versions side by side.

import { ago, arrowKeys, brief, button, empty, h, listOf, problem, replace } from "./dom.js";
import { diff } from "./diff.js";
import { graphView } from "./graph_view.js";
import { jsonView } from "./json_view.js";
import { schemaForm, schemaOf } from "./schema_form.js";
import { diffView } from "./thread_view.js";

export function assistantsView(root, context, { path = [] } = {}) {
  const view = new AssistantsView(context);
  root.append(view.element);
  view.load(path[0]);
  return view;
}

const isSystem = (row) => row.metadata?.created_by === "system";

class AssistantsView {
  constructor(context) {
    Object.assign(this, { context, api: context.api });
    this.list = h("ul", { class: "lg-list", "aria-label": "Assistants" });
    this.detail = h("div", { class: "lg-detail" }, empty("Choose an assistant, or make one."));
    arrowKeys(this.list, "button");
    this.element = h("div", { class: "lg-split" },
      h("div", { class: "lg-split-list" }, h("div", { class: "lg-list-head" }, h("h1", {}, "Assistants"), button("New", () => this.create(), { kind: "primary" })), this.list), this.detail);
    this.stop = context.changes?.on("assistants", () => this.load(null));
  }

  async load(chosen = null) {
    try {
      this.rows = (await this.api.assistants()).sort((a, b) => a.graph_id.localeCompare(b.graph_id) || isSystem(b) - isSystem(a) || a.name.localeCompare(b.name));
      this.drawList();
      if (chosen) this.show(this.rows.find((row) => row.assistant_id === chosen || row.graph_id === chosen));
    } catch (error) {
      listOf(this.list, problem(error, button("Try again", () => this.load(chosen), { kind: "small" })));
    }
  }

  drawList() {
    listOf(this.list, this.rows.map((row) => (h("button", {
      type: "button", class: "lg-item", "aria-current": row.assistant_id === this.shown?.assistant_id ? "true" : null, onclick: () => this.show(row),
    }, h("span", { class: "lg-item-title" }, row.name), h("span", { class: "lg-item-under" }, h("span", {}, row.graph_id), isSystem(row) && h("span", { class: "lg-tag" }, "system"), h("span", { class: "lg-space" }), `v${row.version}`)))), !this.rows.length && empty("No graph is served here yet."));
  }

  moveTo([id]) {
    if (id && id !== this.shown?.assistant_id && this.rows) this.show(this.rows.find((row) => row.assistant_id === id || row.graph_id === id));
    return true;
  }

  async show(row) {
    if (!row) {
      replace(this.detail, empty("There is no such assistant."));
      return;
    }
    this.graph?.destroy();
    this.shown = row;
    this.element.classList.add("lg-has-detail");
    this.context.router?.quietly(`/assistants/${row.assistant_id}`);
    this.drawList();
    const body = h("div", { class: "lg-detail-body lg-two" });
    const form = h("div", { class: "lg-column" });
    const side = h("aside", { class: "lg-column", "aria-label": "Graph and versions" });
    body.append(form, side);
    const talk = this.context.open && button("New thread", () => this.context.open(`/threads/new?assistant=${row.assistant_id}`), { kind: "primary" });
    replace(this.detail, h("div", { class: "lg-detail-head" }, this.back(), h("h2", { title: row.assistant_id }, row.name), h("span", { class: "lg-space" }), talk), body);
    const versions = h("div", {});
    this.graph = graphView(side, this.context, { assistant: row.assistant_id, name: row.graph_id });
    side.append(versions);
    try {
      const [schemas, found] = await Promise.all([this.api.schemas(row.assistant_id).catch(() => ({})), this.api.versions(row.assistant_id)]);
      if (this.shown !== row) return;
      this.drawForm(form, row, schemas.context_schema);
      this.drawVersions(versions, row, found);
    } catch (error) {
      replace(form, problem(error));
    }
  }

  back() {
    return button("‹ Assistants", () => this.element.classList.remove("lg-has-detail"), { kind: "small", class: "lg-button lg-small lg-back" });
  }

  drawForm(root, row, schema) {
    const wrong = h("div", {});
    const name = h("input", { type: "text", value: row.name, id: "lg-assistant-name", required: true });
    const about = h("textarea", { rows: 2, value: row.description ?? "", id: "lg-assistant-about" });
    const limit = h("input", { type: "text", inputmode: "numeric", value: row.config?.recursion_limit ?? "", id: "lg-assistant-limit", placeholder: "the library's" });
    const context = schemaForm({ schema: schema ?? schemaOf(row.context ?? {}), value: row.context ?? {}, legend: "Context" });
    const save = button(isSystem(row) ? "Save as a new assistant" : "Save as a new version", () => {}, { kind: "primary", type: "submit" });
    const remove = !isSystem(row) && button("Delete", async () => {
      if (remove.dataset.sure !== "1") {
        remove.dataset.sure = "1";
        remove.textContent = "Delete it and its versions?";
        return;
      }
      try {
        await this.api.deleteAssistant(row.assistant_id);
        this.shown = null;
        replace(this.detail, empty("Deleted."));
        await this.load();
      } catch (error) {
        replace(wrong, problem(error));
      }
    });
    const submit = async () => {
      const read = context.read();
      if (read.problems) return;
      const most = limit.value.trim();
      if (most && !/^[1-9]\d*$/.test(most)) {
        replace(wrong, problem("The recursion limit is a whole number from 1 on."));
        return;
      }
      save.disabled = true;
      const { configurable: _, ...config } = row.config ?? {};
      if (most) config.recursion_limit = Number(most);
      const body = { name: name.value.trim() || row.name, description: about.value.trim() || null, context: read.value, ...(Object.keys(config).length && { config }) };
      try {
        const saved = isSystem(row)
          ? await this.api.createAssistant({ ...body, graph_id: row.graph_id, name: body.name === row.name ? `${row.name} 2` : body.name })
          : await this.api.updateAssistant(row.assistant_id, body);
        this.context.live?.say(`Saved ${saved.name}, version ${saved.version}.`);
        await this.load(saved.assistant_id);
      } catch (error) {
        replace(wrong, problem(error));
        save.disabled = false;
      }
    };
    replace(root, h("form", { class: "lg-editor", "aria-label": "Assistant", onsubmit: (event) => { event.preventDefault(); submit(); } },
      field("Name", name), field("Description", about), context.element, field("Recursion limit", limit), wrong,
      h("div", { class: "lg-buttons" }, save, remove)));
  }

  drawVersions(root, row, versions) {
    const table = h("div", { class: "lg-table-box", tabindex: "0" });
    const beside = h("div", { "aria-live": "polite" });
    const chosen = new Set(versions.slice(0, 2).map((one) => one.version));
    const compare = () => {
      const [b, a] = versions.filter((one) => chosen.has(one.version));
      if (!a || !b) return replace(beside, h("p", { class: "lg-quiet" }, "Tick two versions to see them side by side."));
      const told = ({ name, description, context, config, metadata }) => {
        const { configurable: _, ...rest } = config ?? {};
        return { name, description, context, config: rest, metadata };
      };
      return replace(beside, h("h4", { class: "lg-label" }, `Version ${a.version} → ${b.version}`), diffView(diff(told(a), told(b))));
    };
    replace(table, h("table", { class: "lg-table" },
      h("thead", {}, h("tr", {}, ["", "Version", "Context", "Made", ""].map((text, index) => h("th", { scope: "col" }, text || h("span", { class: "lg-only-heard" }, index ? "Use" : "Compare"))))),
      h("tbody", {}, versions.map((one) => h("tr", { class: one.version === row.version ? "lg-current" : "" },
        h("td", {}, h("input", { type: "checkbox", checked: chosen.has(one.version), "aria-label": `Compare version ${one.version}`, onchange: (event) => {
          if (event.target.checked) chosen.add(one.version);
          else chosen.delete(one.version);
          compare();
        } })),
        h("td", {}, `v${one.version}`), h("td", {}, brief(one.context ?? {}, 60)), h("td", {}, ago(one.created_at)),
        h("td", {}, one.version === row.version ? h("span", { class: "lg-tag" }, "in use") : button("Use", async () => {
          try {
            await this.api.useVersion(row.assistant_id, one.version);
            await this.load(row.assistant_id);
          } catch (error) {
            replace(beside, problem(error));
          }
        }, { kind: "small", "aria-label": `Use version ${one.version}` })))))));
    replace(root, h("h3", {}, "Versions"), table, beside);
    if (versions.length > 1) compare();
  }

  create() {
    const graphs = [...new Set((this.rows ?? []).map((row) => row.graph_id))];
    const system = (graph) => this.rows.find((row) => row.graph_id === graph && isSystem(row)) ?? this.rows.find((row) => row.graph_id === graph);
    this.graph?.destroy();
    this.shown = null;
    this.element.classList.add("lg-has-detail");
    this.drawList();
    const wrong = h("div", {});
    const graph = h("select", { id: "lg-new-graph", onchange: () => useGraph() }, graphs.map((one) => h("option", { value: one }, one)));
    const name = h("input", { type: "text", id: "lg-new-name", required: true });
    const contextAt = h("div", {});
    let context = null;
    let used = null;
    const useGraph = async () => {
      const chosen = graph.value;
      if (chosen === used) return;
      used = chosen;
      context = null;
      replace(contextAt, h("p", { class: "lg-quiet" }, "Loading…"));
      const schemas = await this.api.schemas(system(chosen).assistant_id).catch(() => ({}));
      if (chosen !== used) return;
      context = schemaForm({ schema: schemas.context_schema, value: {}, legend: "Context" });
      replace(contextAt, context.element);
    };
    const submit = async () => {
      const read = context?.read() ?? { value: {} };
      if (read.problems) return;
      try {
        const made = await this.api.createAssistant({ graph_id: graph.value, name: name.value.trim() || "Untitled", context: read.value });
        await this.load(made.assistant_id);
      } catch (error) {
        replace(wrong, problem(error));
      }
    };
    replace(this.detail, h("div", { class: "lg-detail-head" }, this.back(), h("h2", {}, "New assistant")),
      h("div", { class: "lg-detail-body lg-narrow" }, h("form", { class: "lg-editor", onsubmit: (event) => { event.preventDefault(); submit(); } },
        field("Name", name), field("Graph", graph), contextAt, wrong, h("div", { class: "lg-buttons" }, button("Create", () => {}, { kind: "primary", type: "submit" })))));
    if (graphs.length) useGraph();
    name.focus();
  }

  destroy() {
    this.stop?.();
    this.graph?.destroy();
    this.element.remove();
  }
}

function field(title, input) {
  return h("div", { class: "lg-field" }, h("label", { for: input.id }, title), input);
}
