// A chat on `useStream`, as small as it gets. The server and the assistant come from the page's address.
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { useStream } from "@langchain/react";

const given = new URLSearchParams(location.search);

function Chat() {
  const [text, setText] = useState("");
  const [threadId, setThreadId] = useState(given.get("thread"));
  const stream = useStream({
    apiUrl: given.get("url"),
    apiKey: given.get("key"),
    assistantId: given.get("assistant"),
    threadId,
    onThreadId(id) {
      const next = new URL(location.href);
      next.searchParams.set("thread", id);
      history.replaceState(null, "", next);
      setThreadId(id);
    },
  });
  const send = (event) => {
    event.preventDefault();
    stream.submit({ messages: [{ type: "human", content: text }] });
    setText("");
  };
  return (
    <main data-loading={stream.isLoading}>
      <ol>{stream.messages.map((each) => <li key={each.id} className={each.getType()}>{each.text}</li>)}</ol>
      <ul>{stream.toolCalls.map((call) => <li key={call.callId}>{`${call.name}: ${call.output}`}</li>)}</ul>
      {stream.interrupt && <button onClick={() => stream.respond("approve")}>Approve</button>}
      {stream.values.outcome && <output>{stream.values.outcome}</output>}
      {stream.error && <p role="alert">{String(stream.error)}</p>}
      <form onSubmit={send}><input value={text} onChange={(event) => setText(event.target.value)} /></form>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Chat />);
