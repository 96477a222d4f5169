// What travels in the widget itself: it fetches the views from the Jupyter server behind the page and, where there is
// none (VS Code, Colab), asks the kernel for the very same files. DIGEST names their version.

const DIGEST = "__DIGEST__";
const WAIT_MS = 60_000;

function shell(model) {
  const key = Symbol.for(`lgnb.${DIGEST}`);
  globalThis[key] ??= fromServer()
    .catch(() => fromKernel(model))
    .catch((error) => {
      delete globalThis[key];
      throw error;
    });
  return globalThis[key];
}

async function fromServer() {
  const { baseUrl } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  const folder = `${baseUrl}lgnb/static/${DIGEST}`;
  const module = await import(`${location.origin}${folder}/cell.js`);
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${folder}/lgnb.css` });
  await new Promise((resolve, reject) => {
    Object.assign(link, { onload: resolve, onerror: reject });
    document.head.append(link);
  });
  return module;
}

async function fromKernel(model) {
  const files = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The kernel did not send the views; run the cell again.")), WAIT_MS);
    const receive = (message) => {
      if (message?.lgnb !== "files") return;
      clearTimeout(timer);
      model.off("msg:custom", receive);
      resolve(message.files);
    };
    model.on("msg:custom", receive);
    model.send({ lgnb: "files" });
  });
  const style = document.createElement("style");
  style.textContent = files["lgnb.css"];
  document.head.append(style);
  // Each file becomes an address of its own, and its imports are pointed at those of the others.
  const addresses = new Map();
  const addressOf = (name) => {
    if (!addresses.has(name)) {
      const text = files[name].replace(/(from|import) "\.\/([\w.]+)"/g, (_, word, other) => `${word} "${addressOf(other)}"`);
      addresses.set(name, URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    }
    return addresses.get(name);
  };
  return import(addressOf("cell.js"));
}

export default {
  async render({ model, el }) {
    try {
      const { mount } = await shell(model);
      return await mount({ model, el });
    } catch (error) {
      el.textContent = `lgnb: ${error.message}`;
    }
  },
};
