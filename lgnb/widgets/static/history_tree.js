// The checkpoints of a thread as a tree of branches, drawn like the history of a repository. Pure.

// `states` newest first, as the API lists them. Answers a row per state: {id, parent, lane, lanes, ends, label, …}.
// `lanes` are the lanes that pass by, `ends` those that come from above and end in this row.
export function rowsOf(states) {
  const byId = new Map(states.map((state) => [idOf(state), state]));
  const open = []; // lane → id of the checkpoint it leads to
  return states.map((state) => {
    const id = idOf(state);
    const parent = state.parent_checkpoint?.checkpoint_id ?? null;
    const waiting = open.flatMap((one, lane) => (one === id ? [lane] : []));
    const isTip = waiting.length === 0;
    const lane = isTip ? freeLane(open) : waiting[0];
    for (const one of waiting) open[one] = undefined;
    const lanes = open.flatMap((one, index) => (one === undefined || index === lane ? [] : [index]));
    open[lane] = parent ?? undefined;
    while (open.length && open.at(-1) === undefined) open.pop();
    return {
      id, parent, lane, lanes, ends: waiting.slice(1), isTip, hasParent: parent !== null, state,
      step: state.metadata?.step ?? null, source: state.metadata?.source ?? "", label: labelOf(state, byId.get(parent)),
      isWaiting: (state.tasks ?? []).some((task) => task.interrupts?.length), hasFailed: (state.tasks ?? []).some((task) => task.error),
    };
  });
}

function freeLane(open) {
  const at = open.indexOf(undefined);
  return at < 0 ? open.length : at;
}

export const idOf = (state) => state.checkpoint?.checkpoint_id ?? state.checkpoint_id;

// What made this checkpoint, in a word: the nodes that ran, the input, or an edit.
function labelOf(state, parent) {
  const source = state.metadata?.source;
  if (source === "input") return "input";
  if (source === "update") return "edited";
  if (source === "fork") return "fork";
  const ran = [...new Set(parent?.next ?? [])];
  if (!ran.length) return source ?? "checkpoint";
  return ran.map((node) => (node === "__start__" ? "start" : node)).join(", ");
}
