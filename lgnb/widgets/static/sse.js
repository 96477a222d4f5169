// Reading an event stream: bytes in, events out, however the network cut them.

export class EventParser {
  constructor() {
    this.decoder = new TextDecoder();
    this.rest = "";
    this.fields = { event: "", data: [], id: null };
  }

  // The events that this piece has completed.
  feed(bytes) {
    const text = this.rest + (typeof bytes === "string" ? bytes : this.decoder.decode(bytes, { stream: true }));
    const events = [];
    let from = 0;
    for (;;) {
      const at = lineEnd(text, from);
      // A CR at the very end may be the first half of a CRLF.
      if (at < 0 || (text[at] === "\r" && at === text.length - 1)) break;
      const event = this.line(text.slice(from, at));
      if (event) events.push(event);
      from = at + (text[at] === "\r" && text[at + 1] === "\n" ? 2 : 1);
    }
    this.rest = text.slice(from);
    return events;
  }

  line(text) {
    if (text === "") {
      const { event, data, id } = this.fields;
      this.fields = { event: "", data: [], id: null };
      if (!event && data.length === 0) return null;
      return { event: event || "message", data: data.length ? JSON.parse(data.join("\n")) : null, id };
    }
    if (text.startsWith(":")) return null;
    const colon = text.indexOf(":");
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.fields.data.push(value);
    else if (name === "event" || name === "id") this.fields[name] = value;
    return null;
  }
}

function lineEnd(text, from) {
  for (let index = from; index < text.length; index += 1) {
    if (text[index] === "\n" || text[index] === "\r") return index;
  }
  return -1;
}
