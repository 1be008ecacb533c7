// Talks to the admin API. Everything the page shows comes through here, from the calls that the command
// line uses.

/** A refusal, with the server's own sentence. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `HTTP ${status}`);
    this.status = status;
    this.hint = body.hint;
  }
}

/** Asks; `undefined` where there is nothing. Rejects with `Problem`, or `TypeError` when nobody answers. */
export async function get(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(5000) });
  if (answer.status === 404) return undefined;
  return read(answer);
}

/** Changes something, as whoever sits at this page. */
export async function send(method, path, body = {}) {
  const headers = { "content-type": "application/json", "x-cyan-actor": "dashboard" };
  return read(await fetch(path, { method, headers, body: JSON.stringify(body) }));
}

async function read(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, body);
  return body;
}

/** All that the page shows of a service. Null for what there is none of. */
export async function view(name) {
  const status = await get("/v1/status");
  const service = status.services.find((service) => service.name === name) ?? status.services[0];
  if (!service) return { status };
  const base = `/v1/services/${service.name}`;
  const environment = (name) => `${base}/environments/${name}`;
  const [rollout, comparison, journal, ...stats] = await Promise.all([
    get(`${base}/rollout`),
    get(`${base}/comparison`).catch(() => undefined),
    get(`/v1/journal?service=${service.name}&limit=100`),
    ...service.environments.map(({ name }) => get(`${environment(name)}/stats?window=5m`)),
  ]);
  const measured = Object.fromEntries(service.environments.map(({ name }, index) => [name, stats[index]]));
  return { status, service, rollout, comparison, journal: journal.entries, stats: measured };
}

/** The distribution of a metric over five minutes. */
export function histogram(service, environment, metric) {
  return get(`/v1/services/${service}/environments/${environment}/histogram?metric=${metric}&window=5m`);
}
