// The shell in a notebook's cell: one view in an output, on the transport that works here.

import { Api } from "./api.js";
import { CommTransport } from "./comm.js";
import { jupyterBase, probe } from "./direct.js";
import { h, liveRegion, problem } from "./dom.js";
import { VIEWS } from "./views.js";

// Called by the loader with the widget's model and its element; answers what ends the view.
export async function mount({ model, el }) {
  const live = liveRegion();
  const waiting = h("div", { class: "lg-kernel-busy", role: "status", hidden: true }, "The kernel is busy; this goes on when it is free.");
  const body = h("div", { class: "lg-body" });
  // Letters typed here must not reach JupyterLab's shortcuts, where two of them delete a cell.
  const root = h("div", { class: "lgnb lg-cell", "data-lm-suppress-shortcuts": "true", "data-view": model.get("view") }, waiting, body, live.element);
  for (const name of ["keydown", "keypress", "keyup"]) root.addEventListener(name, (event) => event.stopPropagation());
  el.append(root);

  const { instance } = model.get("server") ?? {};
  const direct = await probe(jupyterBase(), instance);
  const transport = direct ?? new CommTransport(model, { onwaiting: (isWaiting) => (waiting.hidden = !isWaiting) });
  root.dataset.transport = transport.name;
  let view = null;
  try {
    view = VIEWS[model.get("view")](body, { api: new Api(transport), live }, model.get("options") ?? {});
  } catch (error) {
    body.append(problem(error));
  }
  return () => {
    view?.destroy();
    transport.destroy();
    live.destroy();
    root.remove();
  };
}
