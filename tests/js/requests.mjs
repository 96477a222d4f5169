// Reports every request of this process as a JSON line, so that the tests know which operations were really called.

const plainFetch = globalThis.fetch;

globalThis.fetch = async (input, init) => {
  const answer = await plainFetch(input, init);
  const url = new URL(input instanceof Request ? input.url : input);
  const method = init?.method ?? (input instanceof Request ? input.method : "GET");
  console.log(JSON.stringify({ kind: "request", method, path: url.pathname, status: answer.status }));
  return answer;
};
