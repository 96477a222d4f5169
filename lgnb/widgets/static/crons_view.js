// Crons: what runs by a schedule, when next; pause, resume, delete.

import { brief, button, chip, clock, empty, h, problem, replace, short } from "./dom.js";

export function cronsView(root, context) {
  const view = new CronsView(context);
  root.append(view.element);
  view.load();
  return view;
}

class CronsView {
  constructor(context) {
    Object.assign(this, { context, api: context.api });
    this.body = h("div", {});
    this.wrong = h("div", {});
    this.element = h("div", { class: "lg-page" }, h("div", { class: "lg-list-head" }, h("h1", {}, "Crons")), this.wrong, this.body);
    this.stop = context.changes?.on("crons", () => this.load());
  }

  async load() {
    try {
      const [rows, assistants] = await Promise.all([this.api.crons(), this.api.assistants()]);
      const names = new Map(assistants.map((one) => [one.assistant_id, one.name]));
      if (!rows.length) {
        replace(this.body, empty("No crons yet. Make one with the SDK's client.crons.create, or %lg cron create."));
        return;
      }
      replace(this.body, h("div", { class: "lg-table-box", tabindex: "0" }, h("table", { class: "lg-table" },
        h("thead", {}, h("tr", {}, ["State", "Schedule", "Assistant", "Thread", "Next run", "Input", "Actions"].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, rows.map((row) => this.row(row, names))))));
    } catch (error) {
      replace(this.wrong, problem(error, button("Try again", () => this.load(), { kind: "small" })));
    }
  }

  row(row, names) {
    const what = `cron ${row.schedule}`;
    const act = (change) => async () => {
      try {
        replace(this.wrong);
        await change();
        await this.load();
      } catch (error) {
        replace(this.wrong, problem(error));
      }
    };
    const remove = button("Delete", () => {
      if (remove.dataset.sure === "1") act(() => this.api.deleteCron(row.cron_id))();
      remove.dataset.sure = "1";
      remove.textContent = "Really delete?";
    }, { kind: "small", "aria-label": `Delete the ${what}` });
    return h("tr", {},
      h("td", {}, chip(row.enabled ? "running" : "paused", row.enabled ? "on" : "paused")),
      h("td", {}, h("code", {}, row.schedule), row.timezone && h("span", { class: "lg-quiet" }, ` ${row.timezone}`)),
      h("td", {}, names.get(row.assistant_id) ?? short(row.assistant_id)),
      h("td", {}, row.thread_id ? (this.context.open ? h("button", { type: "button", class: "lg-link", onclick: () => this.context.open(`/threads/${row.thread_id}`) }, short(row.thread_id)) : short(row.thread_id)) : "a new one"),
      h("td", {}, row.enabled && row.next_run_date ? clock(row.next_run_date) : "—"),
      h("td", {}, brief(row.payload?.input ?? null, 60)),
      h("td", {}, h("span", { class: "lg-buttons" },
        button(row.enabled ? "Pause" : "Resume", act(() => this.api.updateCron(row.cron_id, { enabled: !row.enabled })), { kind: "small", "aria-label": `${row.enabled ? "Pause" : "Resume"} the ${what}` }), remove)));
  }

  destroy() {
    this.stop?.();
    this.element.remove();
  }
}
