// A form from a JSON Schema, with the JSON itself one click away. `read()` gives the value only when it fits the schema.

import { button, h, replace, uid } from "./dom.js";
import { isMessageList, resolve, validate, withoutNull } from "./validate.js";

const LONG = 60;

// `value` fills the form. Answers {element, read, focus}; read() answers {value} or, after showing them, {problems}.
export function schemaForm({ schema, value, legend, only }) {
  const root = schema ?? {};
  const canForm = only !== "json" && resolve(root, root)?.type === "object" && Object.keys(resolve(root, root).properties ?? {}).length > 0;
  let mode = canForm ? "form" : "json";
  let field;
  const body = h("div", { class: "lg-form-body" });
  const problems = h("div", { class: "lg-form-problems", role: "alert" });
  const modes = h("div", { class: "lg-segments", role: "group", "aria-label": "How to edit" });
  const element = h("fieldset", { class: "lg-form" }, legend && h("legend", {}, legend), canForm && modes, body, problems);

  const show = (next, current) => {
    mode = next;
    field = mode === "form" ? objectField(root, current, root) : jsonField(current, legend ?? "JSON");
    replace(body, field.element);
    replace(modes, ["form", "json"].map((one) => h("button", {
      type: "button", class: "lg-segment", "aria-pressed": String(one === mode),
      onclick: () => one !== mode && change(one),
    }, one === "form" ? "Form" : "JSON")));
  };
  const change = (next) => {
    try {
      show(next, field.read());
      problems.replaceChildren();
    } catch (error) {
      tell([{ path: "", message: error.message }]);
    }
  };
  const tell = (found) => {
    replace(problems, found.length > 0 && h("ul", {}, found.slice(0, 8).map(({ path, message }) => h("li", {}, path ? h("code", {}, path) : null, path ? " " : "", message))));
  };
  show(mode, value);

  return {
    element,
    read() {
      let read;
      try {
        read = field.read();
      } catch (error) {
        const found = [{ path: "", message: error.message }];
        tell(found);
        return { problems: found };
      }
      const found = schema ? validate(root, read ?? {}) : [];
      tell(found);
      return found.length ? { problems: found } : { value: read };
    },
    tell: (message) => tell([{ path: "", message }]),
    focus: () => element.querySelector("input, textarea, select")?.focus(),
  };
}

function fieldFor(schema, value, root, name) {
  const { schema: found, isNullable } = withoutNull(schema, root);
  if (isMessageList(found, root)) return messagesField(value, name);
  if (found.enum || "const" in found) return choiceField(found.enum ?? [found.const], value, isNullable, found);
  if (found.type === "boolean") return booleanField(value, isNullable);
  if (found.type === "number" || found.type === "integer") return numberField(found, value);
  if (found.type === "string" && (value === null || value === undefined || typeof value === "string")) return textField(value, isNullable, found);
  if (found.type === "array" && isSimple(found.items, root) && (value ?? []).every?.((one) => typeof one !== "object")) return listField(found, value, root);
  if (found.type === "object" && Object.keys(found.properties ?? {}).length && (value === null || value === undefined || typeof value === "object")) {
    return objectField(found, value, root);
  }
  return jsonField(value, name, { isOptional: true });
}

function objectField(schema, value, root) {
  const found = resolve(schema, root);
  const original = value ?? {};
  const required = new Set(found.required ?? []);
  const names = Object.keys(found.properties ?? {});
  const rest = Object.fromEntries(Object.entries(original).filter(([name]) => !names.includes(name)));
  const fields = names.map((name) => {
    const part = found.properties[name];
    const about = withoutNull(part, root).schema;
    const fallback = name in original ? original[name] : part.default ?? about.default;
    return { name, about, field: fieldFor(part, fallback, root, name), isRequired: required.has(name), wasGiven: name in original };
  });
  const element = h("div", { class: "lg-fields" }, fields.map(({ name, about, field, isRequired }) => labelled(name, about, field, isRequired)));
  return {
    element,
    read() {
      const result = { ...rest };
      for (const { name, field, wasGiven } of fields) {
        const one = reading(field, name);
        if (one !== undefined) result[name] = one;
        else if (wasGiven && original[name] === null) result[name] = null;
      }
      return result;
    },
  };
}

function labelled(name, about, field, isRequired) {
  const hint = about.description ? h("span", { class: "lg-hint", id: uid("hint") }, about.description) : null;
  const title = [name, isRequired && h("span", { class: "lg-required", title: "required" }, " *")];
  if (field.isGroup) return h("fieldset", { class: "lg-group" }, h("legend", {}, title), hint, field.element);
  const input = field.input ?? field.element;
  input.id ||= uid("field");
  if (hint) input.setAttribute("aria-describedby", hint.id);
  return h("div", { class: "lg-field" }, h("label", { for: input.id }, title), field.element, hint);
}

function reading(field, name) {
  try {
    return field.read();
  } catch (error) {
    throw error.message.startsWith(name) ? error : new Error(`${name}: ${error.message}`);
  }
}

function textField(value, isNullable, found) {
  const isLong = (value ?? "").length > LONG || /\n/.test(value ?? "") || found.format === "textarea";
  const input = isLong
    ? h("textarea", { rows: Math.min(10, 2 + Math.ceil((value ?? "").length / 80)), value: value ?? "" })
    : h("input", { type: "text", value: value ?? "", autocomplete: "off", spellcheck: "false" });
  // An empty field says nothing, unless an empty text stood there.
  return { element: input, read: () => (input.value === "" && value !== "" ? undefined : input.value) };
}

function numberField(found, value) {
  const isWhole = found.type === "integer";
  const input = h("input", { type: "text", inputmode: isWhole ? "numeric" : "decimal", value: value ?? "", autocomplete: "off" });
  return {
    element: input,
    read() {
      const text = input.value.trim();
      if (text === "") return undefined;
      const number = Number(text);
      if (!Number.isFinite(number)) throw new Error(`${text} is not a number`);
      return number;
    },
  };
}

function booleanField(value, isNullable) {
  if (isNullable) return choiceField([true, false], value, true);
  const input = h("input", { type: "checkbox", checked: value === true });
  return { element: input, read: () => input.checked };
}

function choiceField(choices, value, isNullable) {
  const at = choices.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
  const select = h("select", {},
    (isNullable || at < 0) && h("option", { value: "" }, "—"),
    choices.map((one, index) => h("option", { value: String(index), selected: index === at }, typeof one === "string" ? one : JSON.stringify(one))),
  );
  return { element: select, read: () => (select.value === "" ? undefined : choices[Number(select.value)]) };
}

function listField(found, value, root) {
  const rows = h("div", { class: "lg-rows" });
  const entries = [];
  const add = (one) => {
    const entry = { field: fieldFor(found.items ?? { type: "string" }, one, root, "item") };
    entry.row = h("div", { class: "lg-row" }, entry.field.element, button("✕", () => {
      entries.splice(entries.indexOf(entry), 1);
      entry.row.remove();
    }, { "aria-label": "Remove this item", kind: "small" }));
    (entry.field.input ?? entry.field.element).setAttribute("aria-label", `Item ${entries.length + 1}`);
    entries.push(entry);
    rows.append(entry.row);
  };
  for (const one of value ?? []) add(one);
  const element = h("div", {}, rows, button("Add", () => { add(); entries.at(-1).row.querySelector("input, select, textarea").focus(); }, { kind: "small" }));
  return {
    element,
    isGroup: true,
    read: () => (entries.length || value ? entries.map(({ field }) => field.read() ?? "") : undefined),
  };
}

const KINDS = ["human", "ai", "system", "tool"];

function messagesField(value, name) {
  const rows = h("div", { class: "lg-rows" });
  const entries = [];
  const add = (message) => {
    const isNew = message === undefined;
    const given = message ?? { type: "human", content: "" };
    const isText = typeof given.content === "string";
    const kind = h("select", { "aria-label": `Who says message ${entries.length + 1}`, disabled: !isNew },
      KINDS.concat(KINDS.includes(given.type ?? "human") ? [] : [given.type]).map((one) => h("option", { value: one, selected: one === (given.type ?? given.role) }, one)));
    const content = h("textarea", { rows: 2, "aria-label": `Message ${entries.length + 1}`, value: isText ? given.content : JSON.stringify(given.content, null, 2) });
    const entry = {
      read() {
        const text = isText ? content.value : JSON.parse(content.value);
        return isNew ? { type: kind.value, content: text } : { ...given, content: text };
      },
    };
    const calls = given.tool_calls?.length ? h("span", { class: "lg-hint" }, `calls ${given.tool_calls.map((one) => one.name).join(", ")}`) : null;
    entry.row = h("div", { class: "lg-row lg-message-row" }, kind, h("div", {}, content, calls), button("✕", () => {
      entries.splice(entries.indexOf(entry), 1);
      entry.row.remove();
    }, { "aria-label": `Remove message ${entries.length + 1}`, kind: "small" }));
    entries.push(entry);
    rows.append(entry.row);
  };
  for (const one of Array.isArray(value) ? value : []) add(one);
  if (!entries.length && value === undefined) add();
  const element = h("div", { "aria-label": name }, rows, button("Add a message", () => { add(); entries.at(-1).row.querySelector("textarea").focus(); }, { kind: "small" }));
  return { element, isGroup: true, read: () => entries.map((entry) => entry.read()) };
}

export function jsonField(value, name, { isOptional = false } = {}) {
  const text = value === undefined ? "" : JSON.stringify(value, null, 2);
  const input = h("textarea", { class: "lg-code", rows: Math.max(3, Math.min(18, text.split("\n").length)), value: text, spellcheck: "false", "aria-label": `${name} as JSON` });
  return {
    element: input,
    read() {
      if (input.value.trim() === "") return isOptional ? undefined : {};
      try {
        return JSON.parse(input.value);
      } catch (error) {
        throw new Error(`This is not JSON: ${error.message}`);
      }
    },
  };
}

function isSimple(schema, root) {
  const found = schema ? withoutNull(schema, root).schema : {};
  return ["string", "number", "integer", "boolean"].includes(found.type) || Boolean(found.enum);
}

// The schema that a value seems to have, for values that came without one.
export function schemaOf(value) {
  if (value === null || value === undefined) return {};
  if (Array.isArray(value)) return { type: "array", items: value.length ? schemaOf(value[0]) : {} };
  if (typeof value === "object") {
    return { type: "object", properties: Object.fromEntries(Object.entries(value).map(([name, one]) => [name, schemaOf(one)])) };
  }
  return { type: typeof value };
}
