// Every environment with its upstreams and their health, and what can be done to it.

import { at, element, put } from "./dom.js";
import { mark } from "./marks.js";

/** Draws them; without buttons for who may only read. */
export function draw({ service }, marks, mayAct) {
  put(at("environments"), service.environments.map((environment) => {
    const { name, version, role, model, weight_percent, upstreams, overridden, drain, served_by } = environment;
    const usable = upstreams.filter(isUsable).length;
    const title = [mark(marks[name]), element("b", {}, ` ${name}`), ` ${[version, role, model && `model ${model}`, `${usable} of ${upstreams.length} upstreams usable`].filter(Boolean).join(", ")}`];
    const buttons = mayAct ? [
      role === "active" ? null : element("button", { type: "button", class: "small", "data-press": "switch", "data-environment": name }, `Switch to ${name}…`),
      weight_percent > 0 ? null : element("button", { type: "button", class: "small", "data-press": "drain", "data-environment": name }, `Drain ${name}…`),
    ] : [];
    const notes = [drain && `${drain.state}: ${drain.in_flight} in flight${drain.oldest_ms ? `, the oldest for ${Math.floor(drain.oldest_ms / 1000)} s` : ""}`, served_by && `${served_by} serves its requests`,
      overridden.length ? `${overridden.join(", ")} set by the API` : ""].filter(Boolean);
    return element("div", { class: "environment", "data-key": name }, element("div", { class: "row" }, element("h3", {}, title), element("span", {}, buttons)),
      notes.length ? element("p", { class: "muted" }, notes.join("; ")) : null, element("ul", {}, upstreams.map(upstream)));
  }));
}

const isUsable = ({ probe, ejected, suspect }) => probe !== "down" && !ejected && !suspect;

function upstream(upstream) {
  const { address, probe, last_probe, ejected, suspect, in_flight } = upstream;
  const state = ejected ? "taken out after failures" : suspect ? "suspect" : { up: "up", down: "down", unknown: "not probed" }[probe];
  return element("li", {}, `${isUsable(upstream) ? "✓" : "✗"} ${address} `,
    element("span", { class: "muted" }, [state, suspect ?? last_probe, `${in_flight} in flight`].filter(Boolean).join(", ")));
}
