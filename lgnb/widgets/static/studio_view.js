// The studio: all views behind one navigation. `router` keeps the place: the address of the page, or a cell's memory.

import { assistantsView } from "./assistants_view.js";
import { followChanges } from "./changes.js";
import { cronsView } from "./crons_view.js";
import { h, problem, replace } from "./dom.js";
import { interruptsView, waitingThreads } from "./interrupts_view.js";
import { storeView } from "./store_view.js";
import { threadsView } from "./threads_view.js";
import { workersView } from "./workers_view.js";

const PLACES = {
  threads: ["Threads", threadsView],
  interrupts: ["Interrupts", interruptsView],
  assistants: ["Assistants", assistantsView],
  store: ["Store", storeView],
  crons: ["Crons", cronsView],
  workers: ["Workers", workersView],
};
const ICONS = {
  threads: "M3 5h14v9H9l-4 3v-3H3z", interrupts: "M6 4h3v12H6zM11 4h3v12h-3z", assistants: "M5 8a5 5 0 0 1 10 0v5a5 5 0 0 1-10 0zM8 9h.01M12 9h.01M8 13h4",
  store: "M4 5c0-3 12-3 12 0v10c0 3-12 3-12 0zM4 5c0 3 12 3 12 0M4 10c0 3 12 3 12 0", crons: "M10 3a7 7 0 1 0 .01 0zM10 6v4l3 2",
  workers: "M4 4h12v5H4zM4 11h12v5H4zM7 6.5h.01M7 13.5h.01",
};

export function studioView(root, context, { router, header }) {
  const main = h("main", { class: "lg-main", id: "lg-main", tabindex: "-1" });
  const badge = h("span", { class: "lg-badge", hidden: true });
  const links = Object.entries(PLACES).map(([name, [title]]) =>
    h("a", { href: `#/${name}`, class: "lg-nav-link", "data-place": name, onclick: (event) => { event.preventDefault(); router.go(`/${name}`); } },
      icon(ICONS[name]), h("span", {}, title), name === "interrupts" && badge));
  const nav = h("nav", { class: "lg-nav", "aria-label": "Studio" }, h("div", { class: "lg-brand" }, h("span", { class: "lg-logo", "aria-hidden": "true" }, "◆"), "lgnb studio"), links, h("span", { class: "lg-space" }), header);
  const element = h("div", { class: "lg-studio" }, nav, main);
  root.append(element);

  const changes = followChanges(context.api);
  const inner = { ...context, changes, router, open: (path) => router.go(path) };
  let view;
  let shown;
  const show = () => {
    const [place, ...rest] = router.path.split("/").filter(Boolean);
    const name = place in PLACES ? place : "threads";
    for (const link of links) {
      if (link.dataset.place === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (shown === name && view?.moveTo?.(rest, router.query)) return;
    view?.destroy();
    replace(main);
    shown = name;
    try {
      view = PLACES[name][1](main, inner, { path: rest, query: router.query });
    } catch (error) {
      view = null;
      replace(main, problem(error));
    }
  };
  const stop = router.onchange(show);
  show();

  const count = async () => {
    const waiting = (await waitingThreads(context.api, ["interrupts"]).catch(() => [])).length;
    badge.hidden = !waiting;
    badge.textContent = String(waiting);
    badge.setAttribute("aria-label", `${waiting} waiting`);
  };
  const unsubscribe = changes.on("threads", count);
  count();

  return {
    destroy() {
      stop();
      unsubscribe();
      changes.destroy();
      view?.destroy();
      element.remove();
    },
  };
}

function icon(path) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 20 20", class: "lg-icon", "aria-hidden": "true" })) element.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  element.append(line);
  return element;
}

// The place within a cell: remembered, but no part of the notebook's address.
export function memoryRouter(path = "/threads") {
  const listeners = new Set();
  const router = {
    path,
    query: {},
    go(next) {
      const [where, query = ""] = next.split("?");
      Object.assign(router, { path: where, query: Object.fromEntries(new URLSearchParams(query)) });
      for (const listener of listeners) listener();
    },
    quietly: (next) => Object.assign(router, { path: next, query: {} }),
    onchange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return router;
}
