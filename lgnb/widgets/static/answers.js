// What an interrupt asks for and which answers fit: the middleware of LangChain, inboxes of agents, a response schema,
// choices, or anything at all. Pure.

const WORDS = { approve: "Approve", edit: "Edit", reject: "Reject", respond: "Respond", accept: "Accept", ignore: "Ignore", response: "Respond" };

// {kind, …}: "review" with actions, "inbox", "schema", "choices" or "free".
export function reading(interrupt) {
  const { value } = interrupt;
  if (Array.isArray(value?.action_requests) && value.action_requests.length) {
    return { kind: "review", actions: value.action_requests.map((action, index) => reviewed(action, index, value.review_configs ?? [])) };
  }
  const requests = Array.isArray(value) ? value : [value];
  if (requests.length && requests.every((one) => one?.action_request)) {
    return { kind: "inbox", isList: Array.isArray(value), actions: requests.map(inboxed) };
  }
  const schema = interrupt.response_schema ?? value?.response_schema;
  if (schema && typeof schema === "object") return { kind: "schema", schema };
  const choices = value?.options ?? value?.choices;
  if (Array.isArray(choices) && choices.length) return { kind: "choices", choices };
  return { kind: "free" };
}

function reviewed(action, index, configs) {
  const config = configs.find((one) => one.action_name === action.name) ?? configs[index] ?? {};
  return {
    name: action.name ?? action.action ?? "action",
    args: action.args ?? action.arguments ?? {},
    description: action.description ?? "",
    decisions: config.allowed_decisions ?? ["approve", "edit", "reject"],
    schema: config.args_schema ?? null,
  };
}

function inboxed(request) {
  const { action_request: action, config = {}, description = "" } = request;
  const allowed = [
    ["accept", config.allow_accept], ["edit", config.allow_edit], ["response", config.allow_respond], ["ignore", config.allow_ignore],
  ].filter(([, isAllowed]) => isAllowed ?? true);
  return { name: action.action, args: action.args ?? {}, description, decisions: allowed.map(([name]) => name), schema: null };
}

export const wordFor = (decision) => WORDS[decision] ?? decision;

// Which decisions need more than a click.
export const needs = (decision) => ({ edit: "args", reject: "reason", respond: "text", response: "text" })[decision] ?? null;

// The answer to a review or an inbox, from one decision per action: {decision, args?, text?}.
export function answerOf(form, decided) {
  if (form.kind === "review") {
    return {
      decisions: decided.map(({ decision, args, text }, index) => {
        if (decision === "edit") return { type: "edit", edited_action: { name: form.actions[index].name, args } };
        if (decision === "reject" || decision === "respond") return text ? { type: decision, message: text } : { type: decision };
        return { type: decision };
      }),
    };
  }
  const answers = decided.map(({ decision, args, text }, index) => {
    if (decision === "edit") return { type: "edit", args: { action: form.actions[index].name, args } };
    if (decision === "response") return { type: "response", args: text ?? "" };
    return { type: decision, args: null };
  });
  return form.isList ? answers : answers[0];
}

// A typed answer: JSON where it is some, else the text itself.
export function readFree(text) {
  const trimmed = text.trim();
  try {
    return JSON.parse(trimmed);
  } catch {
    return text;
  }
}
