// The shell as a page of its own: {base_url}lgnb/studio. Its address names what is shown.

import { Api } from "./api.js";
import { DirectTransport } from "./direct.js";
import { button, h, liveRegion } from "./dom.js";
import { studioView } from "./studio_view.js";

const THEMES = ["auto", "light", "dark"];

function hashRouter() {
  const listeners = new Set();
  const router = {
    path: "/threads",
    query: {},
    go(next) {
      if (location.hash === `#${next}`) read();
      else location.hash = next;
    },
    // Another address for what is shown already.
    quietly(next) {
      history.replaceState(null, "", `#${next}`);
      Object.assign(router, { path: next, query: {} });
    },
    onchange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const take = () => {
    const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
    Object.assign(router, { path: path || "/threads", query: Object.fromEntries(new URLSearchParams(query)) });
  };
  const read = () => {
    take();
    for (const listener of listeners) listener();
  };
  window.addEventListener("hashchange", read);
  take();
  return router;
}

// A link may name its goal in the query too: ?thread=…, ?thread=…&run=…, ?assistant=…. A token in the address has done
// its work once the page is there; it must not stay where it can be seen or copied.
export function cleanAddress(href, hash) {
  const url = new URL(href);
  const { thread, run, assistant } = Object.fromEntries(url.searchParams);
  for (const name of ["token", "thread", "run", "assistant"]) url.searchParams.delete(name);
  if (!hash || hash === "#") {
    if (thread) url.hash = `/threads/${encodeURIComponent(thread)}${run ? `/runs/${encodeURIComponent(run)}` : ""}`;
    else if (assistant) url.hash = `/assistants/${encodeURIComponent(assistant)}`;
  }
  return url.href;
}

function themeButton(root) {
  let theme = localStorage.getItem("lgnb-theme") ?? "auto";
  const use = () => {
    root.dataset.theme = theme;
    choice.textContent = `Theme: ${theme}`;
  };
  const choice = button("", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("lgnb-theme", theme);
    use();
  }, { kind: "small" });
  use();
  return choice;
}

function start() {
  history.replaceState(null, "", cleanAddress(location.href, location.hash));
  const root = document.getElementById("lgnb");
  // The page lies at {base_url}lgnb/studio.
  const transport = new DirectTransport(location.pathname.replace(/\/studio\/?$/, ""));
  const live = liveRegion();
  const docs = h("a", { class: "lg-nav-link", href: "docs", target: "_blank", rel: "noopener" }, "API reference");
  root.replaceChildren();
  root.append(live.element);
  studioView(root, { api: new Api(transport), live }, { router: hashRouter(), header: [docs, themeButton(root)] });
}

if (typeof document !== "undefined" && document.getElementById("lgnb")) start();
