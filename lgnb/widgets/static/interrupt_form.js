// The questions of a thread that waits for a person, as forms; several at once, each answer goes to its own interrupt.

import { interruptsOf, assistantOf } from "./api.js";
import { answerOf, needs, readFree, reading, wordFor } from "./answers.js";
import { append, button, empty, h, problem, replace, takeFocus, uid } from "./dom.js";
import { jsonView } from "./json_view.js";
import { markdown } from "./markdown.js";
import { schemaForm, schemaOf } from "./schema_form.js";

// `interrupts` and `assistant` are asked from the server where they are not given; `onanswered(run)` gets the run that
// continues. With `focus` the form takes the keyboard when it appears.
export function interruptForm(root, context, options) {
  const form = new InterruptForm(context, options);
  root.append(form.element);
  form.load();
  return form;
}

class InterruptForm {
  constructor({ api, live }, { thread, assistant, interrupts, onanswered, focus = false }) {
    Object.assign(this, { api, live, thread, assistant, interrupts, onanswered, focus });
    this.element = h("form", { class: "lg-ask", "aria-label": "The graph waits for an answer", onsubmit: (event) => { event.preventDefault(); this.send(); } });
  }

  async load() {
    try {
      if (!this.interrupts) this.interrupts = interruptsOf(await this.api.state(this.thread));
      this.draw();
    } catch (error) {
      replace(this.element, problem(error));
    }
  }

  draw() {
    if (!this.interrupts.length) {
      replace(this.element, empty("Nothing waits for an answer here."));
      return;
    }
    const isOne = this.interrupts.length === 1;
    this.submit = button("Send", () => {}, { kind: "primary", type: "submit" });
    this.problems = h("div", {});
    this.questions = this.interrupts.map((one, index) => question(one, { number: isOne ? null : index + 1, onchange: () => this.label() }));
    replace(this.element,
      h("p", { class: "lg-ask-title" }, h("span", { "aria-hidden": "true", class: "lg-ask-mark" }, "❚❚"), isOne ? "Waits for your answer" : `${this.interrupts.length} questions wait for your answer`),
      this.questions.map(({ element }) => element), this.problems, h("div", { class: "lg-buttons" }, this.submit));
    this.label();
    this.live?.say(isOne ? "The graph waits for your answer." : `The graph waits for ${this.interrupts.length} answers.`);
    if (this.focus) takeFocus(this.element.querySelector(".lg-ask-body :is(input, select, textarea)"));
  }

  // The button says what it will do.
  label() {
    const given = this.questions?.filter((one) => !one.isLater) ?? [];
    this.submit.textContent = this.interrupts.length === 1 ? this.questions[0].word : `Send ${given.length} answer${given.length === 1 ? "" : "s"}`;
    this.submit.disabled = given.length === 0;
  }

  async send() {
    const resume = {};
    for (const one of this.questions.filter(({ isLater }) => !isLater)) {
      const read = one.read();
      if (read.problems) {
        one.focus();
        return;
      }
      resume[one.id] = read.value;
    }
    this.submit.disabled = true;
    try {
      const assistant = this.assistant ?? assistantOf(await this.api.thread(this.thread));
      const run = await this.api.start(this.thread, { assistant_id: assistant, command: { resume } });
      this.live?.say("Your answer was sent.");
      this.onanswered?.(run);
    } catch (error) {
      replace(this.problems, problem(error));
      this.submit.disabled = false;
    }
  }

  destroy() {
    this.element.remove();
  }
}

function question(interrupt, { number, onchange }) {
  const form = reading(interrupt);
  const title = [number && `${number}. `, interrupt.node ? `${interrupt.node} asks` : "The graph asks"];
  const body = h("div", { class: "lg-ask-body" });
  const made = form.kind === "review" || form.kind === "inbox" ? review(form, body, onchange)
    : form.kind === "schema" ? bySchema(interrupt, form, body)
    : form.kind === "choices" ? byChoice(interrupt, form, body)
    : free(interrupt, body);
  const later = number && h("input", { type: "checkbox", onchange: () => { body.hidden = later.checked; onchange(); } });
  const element = h("fieldset", { class: "lg-ask-one" }, h("legend", {}, title), later && h("label", { class: "lg-later" }, later, " Answer later"), body);
  return {
    id: interrupt.id,
    element,
    get isLater() { return Boolean(later?.checked); },
    get word() { return made.word?.() ?? "Send answer"; },
    read: made.read,
    focus: () => body.querySelector("input:not([type=radio]), textarea, select, input")?.focus(),
  };
}

// Approve, edit, reject, respond: one decision for each action.
function review(form, body, onchange) {
  const actions = form.actions.map((action) => {
    const name = uid("decision");
    const extra = h("div", { class: "lg-ask-extra" });
    const state = { decision: action.decisions[0], read: () => ({}) };
    const choose = (decision) => {
      state.decision = decision;
      const need = needs(decision);
      state.read = () => ({});
      if (need === "args") {
        const fields = schemaForm({ schema: action.schema ?? schemaOf(action.args), value: action.args, legend: "Arguments" });
        replace(extra, fields.element);
        state.read = () => {
          const read = fields.read();
          return read.problems ? read : { args: read.value };
        };
      } else if (need) {
        const label = need === "reason" ? "Why (optional)" : "What to tell the agent";
        const input = h("textarea", { rows: 2, id: uid("text") });
        const wrong = h("div", { class: "lg-form-problems", role: "alert" });
        replace(extra, h("div", { class: "lg-field" }, h("label", { for: input.id }, label), input, wrong));
        state.read = () => {
          if (need === "text" && !input.value.trim()) {
            wrong.textContent = "Write what the agent is told.";
            return { problems: [{ message: wrong.textContent }] };
          }
          return { text: input.value.trim() };
        };
      } else replace(extra);
      onchange();
    };
    const radios = action.decisions.map((decision) => {
      const input = h("input", { type: "radio", name, value: decision, checked: decision === state.decision, onchange: () => choose(decision) });
      return h("label", { class: "lg-choice" }, input, h("span", {}, wordFor(decision)));
    });
    append(body, [h("div", { class: "lg-action" },
      h("div", { class: "lg-action-name" }, h("code", {}, action.name), action.description && h("div", { class: "lg-action-about" }, markdown(String(action.description)))),
      Object.keys(action.args).length > 0 && h("dl", { class: "lg-args" }, Object.entries(action.args).map(([key, value]) => [h("dt", {}, key), h("dd", {}, typeof value === "string" ? value : jsonView(value, { open: 1 }))])),
      h("div", { class: "lg-choices", role: "radiogroup", "aria-label": `Decision on ${action.name}` }, radios), extra)]);
    state.name = action.name;
    return state;
  });
  return {
    word: () => (actions.length === 1 ? { edit: "Send the edit", respond: "Send", response: "Send" }[actions[0].decision] ?? wordFor(actions[0].decision) : "Send the decisions"),
    read() {
      const decided = [];
      for (const state of actions) {
        const read = state.read();
        if (read.problems) return read;
        decided.push({ decision: state.decision, ...read });
      }
      return { value: answerOf(form, decided) };
    },
  };
}

function bySchema(interrupt, form, body) {
  const { $defs, ...schema } = form.schema;
  const isObject = schema.type === "object";
  const wrapped = isObject ? form.schema : { type: "object", properties: { answer: schema }, required: ["answer"], $defs };
  const { response_schema: _, ...told } = interrupt.value && typeof interrupt.value === "object" && !Array.isArray(interrupt.value) ? interrupt.value : { question: interrupt.value };
  append(body, [asked(Object.keys(told).length === 1 && "question" in told ? told.question : told)]);
  const fields = schemaForm({ schema: wrapped, value: undefined, legend: "Answer" });
  body.append(fields.element);
  return {
    read() {
      const read = fields.read();
      return read.problems || isObject ? read : { value: read.value.answer };
    },
  };
}

function byChoice(interrupt, form, body) {
  const { options: _, choices: __, ...told } = interrupt.value;
  const name = uid("choice");
  const radios = form.choices.map((choice, index) => h("label", { class: "lg-choice" },
    h("input", { type: "radio", name, value: String(index), checked: index === 0 }), h("span", {}, typeof choice === "string" ? choice : JSON.stringify(choice))));
  append(body, [asked(told), h("div", { class: "lg-choices", role: "radiogroup", "aria-label": "Answer" }, radios)]);
  return { read: () => ({ value: form.choices[Number(body.querySelector(`input[name="${name}"]:checked`).value)] }) };
}

function free(interrupt, body) {
  const input = h("textarea", { rows: 2, id: uid("answer") });
  const read = h("span", { class: "lg-hint", "aria-live": "polite" });
  const asText = h("input", { type: "checkbox", onchange: () => input.dispatchEvent(new Event("input")) });
  input.addEventListener("input", () => {
    const value = asText.checked ? input.value : readFree(input.value);
    read.textContent = input.value.trim() === "" ? "" : typeof value === "string" ? "sent as text" : `sent as JSON: ${Array.isArray(value) ? "a list" : value === null ? "null" : typeof value}`;
  });
  append(body, [asked(interrupt.value), h("div", { class: "lg-field" }, h("label", { for: input.id }, "Answer, as text or JSON"), input,
    h("div", { class: "lg-under" }, h("label", {}, asText, " always text"), read))]);
  return { read: () => ({ value: asText.checked ? input.value : readFree(input.value) }) };
}

function asked(value) {
  if (typeof value === "string") return h("div", { class: "lg-question" }, markdown(value));
  if (value && typeof value === "object" && !Array.isArray(value)) {
    const { question: text, ...rest } = value;
    return h("div", { class: "lg-question" }, typeof text === "string" && markdown(text), typeof text !== "string" && text !== undefined && jsonView(text), Object.keys(rest).length > 0 && jsonView(rest, { open: 1 }));
  }
  return value === undefined ? null : h("div", { class: "lg-question" }, jsonView(value));
}
