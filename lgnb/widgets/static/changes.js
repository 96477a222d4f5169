// What changes on the server, told to whoever shows it: one stream for all views of a studio.

export function followChanges(api) {
  const listeners = new Map();
  const abort = new AbortController();
  const state = { isLive: false };
  const tell = (name) => {
    for (const listener of listeners.get(name) ?? []) listener();
  };
  const read = async () => {
    try {
      for await (const { event, data } of api.followChanges({ signal: abort.signal })) {
        state.isLive = true;
        if (event === "changes") for (const name of data) tell(name);
      }
    } catch {
      state.isLive = false; // a server without this stream: views read anew when the window gets the focus
    }
  };
  read();
  const onfocus = () => !state.isLive && [...listeners.keys()].forEach(tell);
  window.addEventListener("focus", onfocus);
  return {
    on(name, listener) {
      if (!listeners.has(name)) listeners.set(name, new Set());
      // Several changes at once are one reason to read.
      let timer;
      const late = () => {
        clearTimeout(timer);
        timer = setTimeout(listener, 120);
      };
      listeners.get(name).add(late);
      return () => {
        clearTimeout(timer);
        listeners.get(name).delete(late);
      };
    },
    tell,
    destroy() {
      abort.abort();
      window.removeEventListener("focus", onfocus);
    },
  };
}
