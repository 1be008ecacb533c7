// What is asked before something is done. The sentences and the call that does it come from the server, made
// of the state as it is when the dialog opens: a question that came too late is refused, and asked anew.

import { get, send } from "./api.js";

/** The question before an action, which may be about an environment; `run` does it with what was filled in. */
export async function question(service, action, environment) {
  const about = new URLSearchParams({ service, action, ...(environment && { environment }) });
  const asked = await get(`/dashboard/question?${about}`);
  const { call, fields } = asked;
  return { ...asked, run: call && ((values) => send(call.method, call.path, filled(call.body, fields, values))) };
}

/** The name of a field in its form. */
export const nameOf = ({ path }) => path.join("/");

/** The body of the call with everything that was filled in where it belongs. */
function filled(body, fields, values) {
  const whole = structuredClone(body);
  for (const field of fields) {
    const value = values[nameOf(field)].trim();
    if (!value) continue;
    const last = field.path.at(-1);
    const parent = field.path.slice(0, -1).reduce((place, name) => (place[name] ??= {}), whole);
    parent[last] = field.is_number ? Number(value) : value;
  }
  return whole;
}
