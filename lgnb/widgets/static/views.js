// Every view by its name, as the shells open them: each is called with an element, a context and its options.

import { assistantsView } from "./assistants_view.js";
import { cronsView } from "./crons_view.js";
import { graphView } from "./graph_view.js";
import { interruptForm } from "./interrupt_form.js";
import { interruptsView } from "./interrupts_view.js";
import { runView } from "./run_view.js";
import { stateEditor } from "./state_editor.js";
import { storeView } from "./store_view.js";
import { memoryRouter, studioView } from "./studio_view.js";
import { threadView } from "./thread_view.js";
import { workersView } from "./workers_view.js";

// The form of a question in a cell: once it is answered, the run that continues is shown in its place.
function interruptWithRun(root, context, options) {
  let run = null;
  const form = interruptForm(root, context, {
    ...options,
    onanswered(started) {
      form.destroy();
      run = runView(root, context, { thread: options.thread, run: started.run_id, name: options.name });
    },
  });
  return {
    destroy() {
      form.destroy();
      run?.destroy();
    },
  };
}

export const VIEWS = {
  run: runView,
  graph: graphView,
  thread: threadView,
  state_editor: (root, context, options) =>
    stateEditor(root, context, { ...options, onsaved: (id) => root.append(document.createTextNode(`Saved as checkpoint ${id}.`)) }),
  interrupt_form: interruptWithRun,
  interrupts: (root, context) => interruptsView(root, context),
  assistants: (root, context, options) => assistantsView(root, context, { path: [options.assistant] }),
  store: storeView,
  crons: cronsView,
  workers: workersView,
  studio: (root, context, { path } = {}) => studioView(root, context, { router: memoryRouter(path) }),
};
