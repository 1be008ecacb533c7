// Talks to the admin API. Everything the page shows and does goes through here, by the calls that the
// command line uses too.

/** A refusal, with the server's own sentence. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `HTTP ${status}`);
    this.status = status;
    this.hint = body.hint;
  }

  /** Whether the state has changed since the page saw it. */
  get isLate() {
    return this.status === 409 || this.status === 412;
  }
}

/** Asks. Rejects with `Problem`, or with another error when nobody answers. */
export async function get(path) {
  return read(await fetch(path, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(2500) }));
}

/** Changes something, as whoever sits at this page; a key makes a repeated call the same one. */
export async function send(method, path, body = {}, key = newKey()) {
  const headers = { "content-type": "application/json", "x-cyan-actor": "dashboard", "idempotency-key": key };
  return read(await fetch(path, { method, headers, body: JSON.stringify(body) }));
}

/** Not `randomUUID`, which is there only on pages that came by TLS or from this machine. */
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function read(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}
