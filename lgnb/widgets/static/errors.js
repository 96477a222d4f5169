// What goes wrong between a view and the server, in one sentence.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }

  static async of(status, text) {
    let detail;
    try {
      const body = JSON.parse(text);
      detail = body.detail ?? body.message;
    } catch {
      detail = text.slice(0, 300);
    }
    if (status === 401 || status === 403) {
      detail = `${detail ?? "Access was refused."} Sign in to Jupyter again and reload the page.`;
    }
    return new ApiError(String(detail || `The server answered ${status}.`), status);
  }
}

export function queryOf(query) {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null);
  return entries.length ? `?${new URLSearchParams(entries)}` : "";
}
