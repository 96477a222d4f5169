// A safe part of Markdown: text in, a small tree out, and DOM nodes from the tree. There is no way for a text to become
// HTML, to load an image, or to name an address other than http, https and mailto.

import { h } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}>\s?/;
const TABLE_LINE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

// The source of each block, with the place where it begins. Only the last one can still change as a text grows.
export function split(text) {
  const found = [];
  let begin = -1;
  let fence = null;
  let from = 0;
  const close = (end) => {
    if (begin >= 0) found.push({ at: begin, source: text.slice(begin, end) });
    begin = -1;
  };
  while (from <= text.length) {
    let to = text.indexOf("\n", from);
    if (to < 0) to = text.length;
    const line = text.slice(from, to);
    if (fence) {
      const closing = line.trim();
      if (closing.startsWith(fence) && closing.replaceAll(fence[0], "") === "") {
        fence = null;
        close(to);
      }
    } else if (line.trim() === "") {
      close(from);
    } else {
      const opening = line.match(FENCE);
      if (opening) {
        close(from);
        fence = opening[1];
      } else if (HEADING.test(line)) {
        close(from);
      }
      if (begin < 0) begin = from;
      if (!opening && HEADING.test(line)) close(to);
    }
    from = to + 1;
  }
  close(text.length);
  return found;
}

// The tree of one block.
export function block(source) {
  const lines = source.replace(/\n+$/, "").split("\n");
  const fence = lines[0].match(FENCE);
  if (fence) {
    const isClosed = lines.length > 1 && lines.at(-1).trim().startsWith(fence[1]);
    return { kind: "code", language: fence[2], text: lines.slice(1, isClosed ? -1 : undefined).join("\n") };
  }
  const heading = lines[0].match(HEADING);
  if (heading && lines.length === 1) return { kind: "heading", level: heading[1].length, inside: inline(heading[2]) };
  if (lines.length === 1 && RULE.test(lines[0])) return { kind: "rule" };
  if (ITEM.test(lines[0])) return list(lines);
  if (QUOTE.test(lines[0])) {
    return { kind: "quote", inside: split(lines.map((line) => line.replace(QUOTE, "")).join("\n")).map(({ source: one }) => block(one)) };
  }
  if (lines.length > 1 && lines[0].includes("|") && TABLE_LINE.test(lines[1])) return table(lines);
  // A list may follow a paragraph without an empty line.
  const item = lines.findIndex((line, index) => index > 0 && ITEM.test(line));
  if (item > 0) {
    return { kind: "group", inside: [block(lines.slice(0, item).join("\n")), block(lines.slice(item).join("\n"))] };
  }
  return { kind: "paragraph", inside: inline(lines.map((line) => line.trim()).join("\n")) };
}

function list(lines) {
  const first = lines[0].match(ITEM);
  const indent = first[1].length;
  const result = { kind: "list", isOrdered: /\d/.test(first[2]), start: Number.parseInt(first[2], 10) || 1, items: [] };
  let current = null;
  for (const line of lines) {
    const item = line.match(ITEM);
    if (item && item[1].length <= indent + 1) {
      current = { text: item[3], more: [] };
      result.items.push(current);
    } else {
      current.more.push(line);
    }
  }
  result.items = result.items.map(({ text, more }) => {
    const nested = more.findIndex((line) => ITEM.test(line));
    const lazy = nested < 0 ? more : more.slice(0, nested);
    const inside = inline([text, ...lazy.map((line) => line.trim())].join("\n"));
    return { inside, nested: nested < 0 ? null : list(more.slice(nested)) };
  });
  return result;
}

function table(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => inline(cell.trim()));
  return { kind: "table", head: cells(lines[0]), rows: lines.slice(2).map(cells) };
}

const INLINE =
  /(`+)([\s\S]*?[^`])\1(?!`)|\*\*(?=\S)([\s\S]*?\S)\*\*|__(?=\S)([\s\S]*?\S)__|\*(?=[^\s*])([^*]*?[^\s*])\*|(?<!\w)_(?=[^\s_])([^_]*?[^\s_])_(?!\w)|~~(?=\S)([\s\S]*?\S)~~|!?\[([^\]]*)\]\(\s*<?([^\s)<>]*)>?(?:\s+"[^"]*")?\s*\)|\\([\\`*_{}[\]()#+.!|~>-])|(https?:\/\/[^\s<>"')\]]+[^\s<>"')\].,;:!?])/g;

// The tree of a text within a block: strings, and objects with a kind.
export function inline(text) {
  const parts = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > last) parts.push(text.slice(last, match.index));
    last = match.index + match[0].length;
    const [, , code, strong1, strong2, em1, em2, gone, label, target, escaped, address] = match;
    if (code !== undefined) parts.push({ kind: "code", text: code.trim() || code });
    else if (strong1 ?? strong2) parts.push({ kind: "strong", inside: inline(strong1 ?? strong2) });
    else if (em1 ?? em2) parts.push({ kind: "em", inside: inline(em1 ?? em2) });
    else if (gone) parts.push({ kind: "del", inside: inline(gone) });
    else if (label !== undefined) parts.push({ kind: "link", address: safeAddress(target), inside: inline(label || target) });
    else if (escaped) parts.push(escaped);
    else parts.push({ kind: "link", address: safeAddress(address), inside: [address] });
  }
  if (last < text.length) parts.push(text.slice(last));
  return parts;
}

export function safeAddress(target) {
  return /^(https?:\/\/|mailto:)/i.test(target) ? target : null;
}

// -- The tree as DOM ---------------------------------------------------------------------------------------------------

export function drawBlock(tree) {
  switch (tree.kind) {
    case "heading":
      // The page's own headings are above; a message begins at the third level.
      return h(`h${Math.min(6, tree.level + 2)}`, {}, tree.inside.map(drawInline));
    case "code":
      return h("pre", { tabindex: "0", "data-language": tree.language || null }, h("code", {}, tree.text));
    case "rule":
      return h("hr");
    case "quote":
      return h("blockquote", {}, tree.inside.map(drawBlock));
    case "group":
      return h("div", {}, tree.inside.map(drawBlock));
    case "list": {
      const items = tree.items.map(({ inside, nested }) => h("li", {}, inside.map(drawInline), nested && drawBlock(nested)));
      return tree.isOrdered ? h("ol", { start: tree.start === 1 ? null : tree.start }, items) : h("ul", {}, items);
    }
    case "table":
      return h("div", { class: "lg-table-box", tabindex: "0" }, h("table", { class: "lg-table" },
        h("thead", {}, h("tr", {}, tree.head.map((cell) => h("th", { scope: "col" }, cell.map(drawInline))))),
        h("tbody", {}, tree.rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell.map(drawInline)))))),
      ));
    default:
      return h("p", {}, tree.inside.map(drawInline));
  }
}

function drawInline(part) {
  if (typeof part === "string") return document.createTextNode(part);
  if (part.kind === "code") return h("code", {}, part.text);
  if (part.kind === "link") {
    const inside = part.inside.map(drawInline);
    return part.address ? h("a", { href: part.address, target: "_blank", rel: "noopener noreferrer" }, inside) : h("span", {}, inside);
  }
  return h(part.kind, {}, part.inside.map(drawInline));
}

// A growing text: blocks that are complete are drawn once, only the last one again.
export class MarkdownText {
  constructor() {
    this.element = h("div", { class: "lg-markdown" });
    this.text = "";
    this.blocks = [];
  }

  update(text) {
    if (text === this.text) return;
    let kept = 0;
    let from = 0;
    if (text.startsWith(this.text) && this.blocks.length > 1) {
      kept = this.blocks.length - 1;
      from = this.blocks[kept].at;
    }
    this.text = text;
    for (const old of this.blocks.splice(kept)) old.element.remove();
    for (const { at, source } of split(text.slice(from))) {
      const element = drawBlock(block(source));
      this.element.append(element);
      this.blocks.push({ at: from + at, element });
    }
  }
}

export function markdown(text) {
  const whole = new MarkdownText();
  whole.update(text);
  return whole.element;
}
