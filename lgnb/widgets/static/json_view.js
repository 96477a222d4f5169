// A JSON value for reading: collapsed where it is large, complete when opened, drawn only as far as it is open.

import { brief, h } from "./dom.js";

const PAGE = 100;
const LONG_TEXT = 2000;

export function jsonView(value, { open = 1 } = {}) {
  return h("div", { class: "lg-json" }, draw(value, open));
}

function draw(value, open) {
  if (typeof value === "string") return textValue(value);
  if (value === null || typeof value !== "object") return h("span", { class: `lg-json-${value === null ? "null" : typeof value}` }, String(value));
  const entries = Array.isArray(value) ? value.map((one, index) => [index, one]) : Object.entries(value);
  const [left, right] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (!entries.length) return h("span", { class: "lg-json-null" }, left + right);
  const body = h("div", { class: "lg-json-body" });
  let from = 0;
  const more = () => {
    const upTo = Math.min(from + PAGE, entries.length);
    for (; from < upTo; from += 1) body.append(row(...entries[from], open - 1));
    if (from < entries.length) {
      const rest = h("button", { type: "button", class: "lg-link", onclick: () => { rest.remove(); more(); } }, `${entries.length - from} more`);
      body.append(rest);
    }
  };
  const details = h("details", { class: "lg-json-node" }, h("summary", {}, h("span", { class: "lg-json-hint" }, hint(value, entries))), body);
  details.addEventListener("toggle", () => details.open && from === 0 && more());
  if (open > 0) {
    more();
    details.open = true;
  }
  return details;
}

function row(key, value, open) {
  return h("div", { class: "lg-json-row" }, h("span", { class: "lg-json-key" }, key), draw(value, open));
}

function hint(value, entries) {
  if (Array.isArray(value)) return `list of ${entries.length}`;
  if ("content" in value && "type" in value) return `${value.type}: ${brief(value.content, 60)}`;
  return `{ ${entries.slice(0, 4).map(([key]) => key).join(", ")}${entries.length > 4 ? ", …" : ""} }`;
}

function textValue(text) {
  if (text.length <= LONG_TEXT) return h("span", { class: "lg-json-string" }, text === "" ? "“”" : text);
  const shown = h("span", { class: "lg-json-string" }, `${text.slice(0, LONG_TEXT)}…`);
  const rest = h("button", { type: "button", class: "lg-link", onclick: () => { shown.textContent = text; rest.remove(); } }, `all ${text.length} characters`);
  return h("span", {}, shown, " ", rest);
}
