// A list that draws only the rows in sight, for thousands of them; a listbox for the keyboard and for screen readers.

import { h, uid } from "./dom.js";

const EXTRA = 8;
const JUMP = 10;

// `draw(item, index)` gives the content of a row; `onchoose(item)` is told of the chosen one.
export class VirtualList {
  constructor({ label, rowHeight, draw, key, onchoose }) {
    Object.assign(this, { rowHeight, draw, key, onchoose });
    this.items = [];
    this.rows = new Map();
    this.chosen = -1;
    this.prefix = uid("row");
    this.space = h("div", { class: "lg-virtual-space", role: "presentation" });
    this.element = h("div", { class: "lg-virtual", role: "listbox", "aria-label": label, tabindex: "0" }, this.space);
    this.element.addEventListener("scroll", () => this.request(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.observer = new ResizeObserver(() => this.request());
    this.observer.observe(this.element);
  }

  // Takes the items anew; rows with a known key keep their choice.
  show(items) {
    const chosen = this.items[this.chosen];
    this.items = items;
    this.chosen = chosen === undefined ? -1 : items.findIndex((one) => this.key(one) === this.key(chosen));
    this.space.style.height = `${items.length * this.rowHeight}px`;
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.paint();
  }

  request() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.paint();
    });
  }

  paint() {
    const { scrollTop, clientHeight } = this.element;
    const from = Math.max(0, Math.floor(scrollTop / this.rowHeight) - EXTRA);
    const to = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + EXTRA);
    for (const [index, row] of this.rows) {
      if (index >= from && index < to) continue;
      row.remove();
      this.rows.delete(index);
    }
    for (let index = from; index < to; index += 1) {
      if (this.rows.has(index)) continue;
      const row = h("div", {
        class: "lg-virtual-row", role: "option", id: `${this.prefix}-${index}`, "aria-selected": String(index === this.chosen),
        "aria-setsize": this.items.length, "aria-posinset": index + 1, onclick: () => this.choose(index),
      }, this.draw(this.items[index], index));
      row.style.transform = `translateY(${index * this.rowHeight}px)`;
      row.style.height = `${this.rowHeight}px`;
      this.rows.set(index, row);
      this.space.append(row);
    }
    if (this.rows.has(this.chosen)) this.element.setAttribute("aria-activedescendant", `${this.prefix}-${this.chosen}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  choose(index, { quietly = false } = {}) {
    if (index < 0 || index >= this.items.length) return;
    this.rows.get(this.chosen)?.setAttribute("aria-selected", "false");
    this.chosen = index;
    const top = index * this.rowHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > this.element.scrollTop + this.element.clientHeight) {
      this.element.scrollTop = top + this.rowHeight - this.element.clientHeight;
    }
    this.paint();
    this.rows.get(index)?.setAttribute("aria-selected", "true");
    if (!quietly) this.onchoose(this.items[index], index);
  }

  // Draws the rows in sight again, after something about them changed.
  redraw() {
    for (const [index, row] of this.rows) row.replaceChildren(this.draw(this.items[index], index));
  }

  press(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: Math.max(page, JUMP), PageUp: -Math.max(page, JUMP), Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(this.items.length - 1, this.chosen + steps[event.key])));
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.element.remove();
  }
}
