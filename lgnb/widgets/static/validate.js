// Checking a value against a JSON Schema before it is sent: the words that schemas of graphs use. Pure.

import { isMessages } from "./run_story.js";

const TYPES = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: Array.isArray,
  object: (value) => value !== null && typeof value === "object" && !Array.isArray(value),
};

// The problems of a value, each with the place where it is: [{path, message}].
export function validate(schema, value, { root = schema, path = "" } = {}) {
  const found = resolve(schema, root);
  if (found === true || found === undefined || found === null) return [];
  if (found === false) return [{ path, message: "is not allowed" }];
  if (isMessageList(found, root)) return messageProblems(value, path);
  const below = (part, inner, at) => validate(part, inner, { root, path: at });
  const problems = [];
  const wrong = (message, at = path) => problems.push({ path: at, message });

  const types = [found.type ?? []].flat();
  if (types.length && !types.some((type) => TYPES[type]?.(value))) return [{ path, message: `must be ${types.map(article).join(" or ")}` }];
  if (found.enum && !found.enum.some((one) => same(one, value))) wrong(`must be one of ${found.enum.map((one) => JSON.stringify(one)).join(", ")}`);
  if ("const" in found && !same(found.const, value)) wrong(`must be ${JSON.stringify(found.const)}`);
  for (const part of found.allOf ?? []) problems.push(...below(part, value, path));
  for (const word of ["anyOf", "oneOf"]) {
    if (!found[word]) continue;
    const tries = found[word].map((part) => below(part, value, path));
    if (tries.some((one) => one.length === 0)) continue;
    // The nearest alternative says most: the one that got the furthest.
    problems.push(...tries.reduce((best, one) => (depth(one) > depth(best) ? one : best)));
  }
  if (typeof value === "number") {
    if (value < found.minimum) wrong(`must be at least ${found.minimum}`);
    if (value > found.maximum) wrong(`must be at most ${found.maximum}`);
    if (value <= found.exclusiveMinimum) wrong(`must be more than ${found.exclusiveMinimum}`);
    if (value >= found.exclusiveMaximum) wrong(`must be less than ${found.exclusiveMaximum}`);
  }
  if (typeof value === "string") {
    if (value.length < found.minLength) wrong(`needs at least ${found.minLength} characters`);
    if (value.length > found.maxLength) wrong(`allows at most ${found.maxLength} characters`);
    if (found.pattern && !matches(found.pattern, value)) wrong(`must match ${found.pattern}`);
  }
  if (Array.isArray(value)) {
    if (value.length < found.minItems) wrong(`needs at least ${found.minItems} items`);
    if (value.length > found.maxItems) wrong(`allows at most ${found.maxItems} items`);
    value.forEach((one, index) => {
      const part = found.prefixItems?.[index] ?? found.items;
      if (part !== undefined) problems.push(...below(part, one, `${path}[${index}]`));
    });
  }
  if (TYPES.object(value)) {
    for (const name of found.required ?? []) if (!(name in value)) wrong("is missing", join(path, name));
    for (const [name, one] of Object.entries(value)) {
      const part = found.properties?.[name] ?? (found.properties?.[name] === undefined ? found.additionalProperties : undefined);
      if (part !== undefined) problems.push(...below(part, one, join(path, name)));
    }
  }
  return problems;
}

// Follows references into the root's definitions, and drops a wrapper around one alternative.
export function resolve(schema, root) {
  let found = schema;
  for (let steps = 0; found?.$ref && steps < 20; steps += 1) {
    const { $ref, ...rest } = found;
    const target = $ref.split("/").slice(1).reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], root);
    found = { ...target, ...rest };
  }
  return found;
}

// The schema without its "or null", and whether null is allowed.
export function withoutNull(schema, root) {
  const found = resolve(schema, root) ?? {};
  const word = found.anyOf ? "anyOf" : found.oneOf ? "oneOf" : null;
  if (Array.isArray(found.type) && found.type.includes("null")) {
    const rest = found.type.filter((type) => type !== "null");
    return { schema: { ...found, type: rest.length === 1 ? rest[0] : rest }, isNullable: true };
  }
  if (!word) return { schema: found, isNullable: false };
  const parts = found[word].filter((part) => resolve(part, root)?.type !== "null");
  const isNullable = parts.length < found[word].length;
  if (parts.length !== 1) return { schema: { ...found, [word]: parts }, isNullable };
  const { [word]: _, ...rest } = found;
  return { schema: { ...resolve(parts[0], root), ...rest }, isNullable };
}

// Whether a schema describes a list of LangChain messages, which the server also takes in shorter forms.
export function isMessageList(schema, root) {
  const found = withoutNull(schema, root).schema;
  if (found.type !== "array" || !found.items) return false;
  const parts = found.items.oneOf ?? found.items.anyOf ?? [found.items];
  return parts.some((part) => /\/HumanMessage(-Input|-Output)?$/.test(part.$ref ?? ""));
}

function messageProblems(value, path) {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) return [{ path, message: "must be a list of messages" }];
  return value.flatMap((one, index) =>
    typeof one === "string" || isMessages(one) || (one && "role" in one && "content" in one)
      ? []
      : [{ path: `${path}[${index}]`, message: "must be a message with a type and a content" }],
  );
}

const depth = (problems) => Math.max(0, ...problems.map(({ path }) => path.split(/[.[]/).length));
const join = (path, name) => (path ? `${path}.${name}` : name);
const article = (type) => (type === "null" ? "null" : `${/^[aeio]/.test(type) ? "an" : "a"} ${type === "string" ? "text" : type === "array" ? "list" : type}`);
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function matches(pattern, value) {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true; // a pattern of another language; the server has the last word
  }
}
