// What differs between two values, place by place. Pure.

// [{path, kind: "added" | "removed" | "changed", before, after}]
export function diff(before, after, path = []) {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) return lists(before, after, path);
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => {
      if (!(name in before)) return [{ path: [...path, name], kind: "added", after: after[name] }];
      if (!(name in after)) return [{ path: [...path, name], kind: "removed", before: before[name] }];
      return diff(before[name], after[name], [...path, name]);
    });
  }
  return [{ path, kind: "changed", before, after }];
}

// Items with an id, such as messages, are found again wherever they stand; others by their place.
function lists(before, after, path) {
  const hasIds = [...before, ...after].every((one) => isObject(one) && typeof one.id === "string");
  if (!hasIds) {
    const longer = Math.max(before.length, after.length);
    return Array.from({ length: longer }, (_, index) => index).flatMap((index) => {
      if (index >= before.length) return [{ path: [...path, index], kind: "added", after: after[index] }];
      if (index >= after.length) return [{ path: [...path, index], kind: "removed", before: before[index] }];
      return diff(before[index], after[index], [...path, index]);
    });
  }
  const old = new Map(before.map((one) => [one.id, one]));
  const now = new Set(after.map((one) => one.id));
  return [
    ...before.flatMap((one, index) => (now.has(one.id) ? [] : [{ path: [...path, index], kind: "removed", before: one }])),
    ...after.flatMap((one, index) => {
      const place = [...path, index];
      return old.has(one.id) ? diff(old.get(one.id), one, place) : [{ path: place, kind: "added", after: one }];
    }),
  ];
}

export function pathText(path) {
  return path.map((part, index) => (typeof part === "number" ? `[${part}]` : index ? `.${part}` : part)).join("");
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
