// The store: namespaces, the items in them, and one item to read, change or delete.

import { ago, arrowKeys, brief, button, empty, h, listOf, problem, replace } from "./dom.js";
import { jsonField } from "./schema_form.js";

const PAGE = 50;

export function storeView(root, context) {
  const view = new StoreView(context);
  root.append(view.element);
  view.loadNamespaces();
  return view;
}

class StoreView {
  constructor(context) {
    Object.assign(this, { context, api: context.api, prefix: [], offset: 0 });
    this.query = h("input", { type: "search", placeholder: "Search by meaning or leave empty", "aria-label": "Search items" });
    this.namespaces = h("select", { "aria-label": "Namespace", onchange: () => { this.prefix = JSON.parse(this.namespaces.value); this.offset = 0; this.load(); } });
    this.list = h("ul", { class: "lg-list", "aria-label": "Items" });
    this.detail = h("div", { class: "lg-detail" }, empty("Choose an item, or make one."));
    arrowKeys(this.list, "button");
    this.element = h("div", { class: "lg-split" },
      h("div", { class: "lg-split-list" }, h("div", { class: "lg-list-head" }, h("h1", {}, "Store"), button("New", () => this.show(null), { kind: "primary" })),
        h("form", { class: "lg-filter", onsubmit: (event) => { event.preventDefault(); this.offset = 0; this.load(); } }, this.namespaces, this.query), this.list),
      this.detail);
    this.stop = context.changes?.on("store", () => this.loadNamespaces());
  }

  async loadNamespaces() {
    try {
      const { namespaces } = await this.api.namespaces();
      const all = [[], ...namespaces];
      replace(this.namespaces, all.map((one) => h("option", { value: JSON.stringify(one), selected: JSON.stringify(one) === JSON.stringify(this.prefix) }, one.length ? one.join(" / ") : "all namespaces")));
      await this.load();
    } catch (error) {
      listOf(this.list, problem(error, button("Try again", () => this.loadNamespaces(), { kind: "small" })));
    }
  }

  async load() {
    try {
      const query = this.query.value.trim();
      const { items } = await this.api.items({ namespace_prefix: this.prefix, limit: PAGE + 1, offset: this.offset, ...(query && { query }), refresh_ttl: false });
      listOf(this.list, items.slice(0, PAGE).map((item) => (h("button", { type: "button", class: "lg-item", onclick: () => this.show(item) },
        h("span", { class: "lg-item-title" }, item.key), h("span", { class: "lg-item-under" }, h("span", {}, item.namespace.join(" / ")), h("span", { class: "lg-space" }), item.score === null || item.score === undefined ? ago(item.updated_at) : item.score.toFixed(2)),
        h("span", { class: "lg-item-under lg-item-value" }, brief(item.value, 80))))),
        (this.offset > 0 || items.length > PAGE) && h("div", { class: "lg-buttons" },
          button("Newer", () => { this.offset -= PAGE; this.load(); }, { kind: "small", disabled: this.offset === 0 }),
          button("Older", () => { this.offset += PAGE; this.load(); }, { kind: "small", disabled: items.length <= PAGE })),
        !items.length && empty("No items here. Graphs put what they remember into the store."));
    } catch (error) {
      listOf(this.list, problem(error));
    }
  }

  show(item) {
    this.element.classList.add("lg-has-detail");
    const wrong = h("div", {});
    const namespace = h("input", { type: "text", id: "lg-item-ns", value: (item?.namespace ?? this.prefix).join(" / "), readOnly: Boolean(item), placeholder: "users / alice" });
    const key = h("input", { type: "text", id: "lg-item-key", value: item?.key ?? "", readOnly: Boolean(item), required: true });
    const value = jsonField(item?.value ?? {}, "Value");
    value.element.id = "lg-item-value";
    const save = async () => {
      try {
        const labels = namespace.value.split("/").map((one) => one.trim()).filter(Boolean);
        if (!labels.length) throw new Error("An item needs a namespace, such as users / alice.");
        const read = value.read();
        if (read === null || typeof read !== "object" || Array.isArray(read)) throw new Error("The value must be an object.");
        await this.api.putItem({ namespace: labels, key: key.value.trim(), value: read });
        this.context.live?.say("The item was saved.");
        replace(wrong, h("p", { class: "lg-quiet", role: "status" }, "Saved."));
        await this.loadNamespaces();
      } catch (error) {
        replace(wrong, problem(error));
      }
    };
    const remove = item && button("Delete", async () => {
      if (remove.dataset.sure !== "1") {
        remove.dataset.sure = "1";
        remove.textContent = "Delete for ever?";
        return;
      }
      try {
        await this.api.deleteItem({ namespace: item.namespace, key: item.key });
        replace(this.detail, empty("Deleted."));
        await this.loadNamespaces();
      } catch (error) {
        replace(wrong, problem(error));
      }
    });
    const field = (title, input) => h("div", { class: "lg-field" }, h("label", { for: input.id }, title), input);
    replace(this.detail, h("div", { class: "lg-detail-head" }, button("‹ Store", () => this.element.classList.remove("lg-has-detail"), { kind: "small", class: "lg-button lg-small lg-back" }), h("h2", {}, item ? item.key : "New item")),
      h("div", { class: "lg-detail-body lg-narrow" }, h("form", { class: "lg-editor", "aria-label": "Item", onsubmit: (event) => { event.preventDefault(); save(); } },
        field("Namespace", namespace), field("Key", key), field("Value", value.element), wrong, h("div", { class: "lg-buttons" }, button("Save", () => {}, { kind: "primary", type: "submit" }), remove))));
    if (!item) (this.prefix.length ? key : namespace).focus();
  }

  destroy() {
    this.stop?.();
    this.element.remove();
  }
}
