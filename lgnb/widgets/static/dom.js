// Building DOM by hand: every text becomes a text node, so nothing a model says can turn into HTML.

const SVG = "http://www.w3.org/2000/svg";

// `attributes` hold attributes, `class`, properties (value, checked, …), dataset as `data-…`, and `on…` listeners.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "readOnly", "indeterminate"]);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) {
      if (PROPERTIES.has(name)) element[name] = value ?? "";
      continue;
    }
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

// Fills a <ul>: each child becomes an item.
export function listOf(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean).map((child) => h("li", {}, child)));
  return element;
}

// Gives the keyboard to an element, unless somebody types elsewhere at this moment.
export function takeFocus(element) {
  const active = document.activeElement;
  const types = active?.matches?.("input, textarea, select, [contenteditable='true']") ?? false;
  if (element && !types) element.focus();
}

let count = 0;

// An id that no other element of the document has.
export function uid(prefix = "lgnb") {
  count += 1;
  return `${prefix}-${Date.now().toString(36)}-${count}`;
}

export function button(text, onclick, attributes = {}) {
  const { kind, ...rest } = attributes;
  return h("button", { type: "button", class: `lg-button${kind ? ` lg-${kind}` : ""}`, onclick, ...rest }, text);
}

// A state is told by a word and a shape, never by colour alone.
const MARKS = {
  pending: "◌", running: "▶", busy: "▶", success: "✓", idle: "✓", interrupted: "❚❚", paused: "❚❚", error: "✕",
  timeout: "✕", cancelled: "■", gone: "?", lost: "?",
};
const KINDS = {
  running: "accent", busy: "accent", pending: "quiet", success: "good", idle: "good", interrupted: "warn",
  paused: "warn", error: "bad", timeout: "bad", cancelled: "warn", lost: "bad",
};

export function chip(state, text = state) {
  return h(
    "span",
    { class: `lg-chip lg-chip-${KINDS[state] ?? "quiet"}` },
    h("span", { class: "lg-chip-mark", "aria-hidden": "true" }, MARKS[state] ?? "•"),
    text,
  );
}

export function problem(error, ...actions) {
  const text = error instanceof Error ? error.message : String(error);
  return h("div", { class: "lg-problem", role: "alert" }, h("span", {}, text), ...actions);
}

export function empty(text, ...more) {
  return h("div", { class: "lg-empty" }, h("p", {}, text), ...more);
}

// `message` for screen readers only; politely, so that speech is not cut off.
export function liveRegion() {
  const element = h("div", { class: "lg-only-heard", role: "status", "aria-live": "polite" });
  let timer;
  return {
    element,
    say(message) {
      clearTimeout(timer);
      timer = setTimeout(() => (element.textContent = message), 150);
    },
    destroy: () => clearTimeout(timer),
  };
}

// Calls `draw` at most once a frame; where drawing is slow, less often, so that the page stays usable.
export function painter(draw) {
  let requested = false;
  let timer;
  let pause = 0;
  let stopped = false;
  const paint = () => {
    requested = false;
    if (stopped) return;
    const before = performance.now();
    draw();
    pause = Math.min(500, 4 * (performance.now() - before));
  };
  // A hidden tab gets no frames; a timer keeps it from falling behind for ever.
  const schedule = () => (document.hidden ? setTimeout(paint, 250) : requestAnimationFrame(paint));
  return {
    request() {
      if (requested || stopped) return;
      requested = true;
      if (pause > 16) timer = setTimeout(schedule, pause);
      else schedule();
    },
    now: paint,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

// Moves focus within a list by arrow keys; `items` are queried when a key is pressed.
export function arrowKeys(container, selector, { horizontal = false } = {}) {
  const back = horizontal ? "ArrowLeft" : "ArrowUp";
  const forth = horizontal ? "ArrowRight" : "ArrowDown";
  container.addEventListener("keydown", (event) => {
    if (![back, forth, "Home", "End"].includes(event.key)) return;
    const items = [...container.querySelectorAll(selector)];
    const at = items.indexOf(document.activeElement);
    if (at < 0) return;
    const next = { [back]: at - 1, [forth]: at + 1, Home: 0, End: items.length - 1 }[event.key];
    const item = items[Math.max(0, Math.min(items.length - 1, next))];
    event.preventDefault();
    item.focus();
    if (item.getAttribute("role") === "tab") item.click();
  });
}

// Tabs as WAI-ARIA describes them. `pages` maps a name to a function that fills the panel.
export function tabs(label, pages, { selected, onselect } = {}) {
  const list = h("div", { class: "lg-tabs", role: "tablist", "aria-label": label });
  const panel = h("div", { class: "lg-tab-panel", role: "tabpanel", id: uid("panel"), tabindex: "0" });
  let close = () => {};
  let current;
  const choose = (name) => {
    if (name === current) return;
    current = name;
    close();
    for (const tab of list.children) {
      const chosen = tab.dataset.name === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) panel.setAttribute("aria-labelledby", tab.id);
    }
    panel.replaceChildren();
    close = pages[name](panel) ?? (() => {});
    onselect?.(name);
  };
  for (const name of Object.keys(pages)) {
    list.append(
      h("button", {
        type: "button", role: "tab", class: "lg-tab", id: uid("tab"), "data-name": name, "aria-controls": panel.id,
        "aria-selected": "false", tabindex: "-1", onclick: () => choose(name),
      }, name),
    );
  }
  arrowKeys(list, "[role=tab]", { horizontal: true });
  choose(selected ?? Object.keys(pages)[0]);
  return { list, panel, choose, get current() { return current; }, destroy: () => close() };
}

export function clock(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  const today = new Date().toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return today ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

export function ago(iso, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(iso).getTime()) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(iso).toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}

// Ids begin with a time, so their ends tell them apart.
export const short = (id) => `…${String(id).slice(-6)}`;

export function brief(value, limit = 100) {
  if (Array.isArray(value) && value.length && value.every((one) => one && typeof one === "object" && "content" in one)) {
    return `${value.length} message${value.length > 1 ? "s" : ""}`;
  }
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
