// What is asked before something is done: for each action what will be, who moves, which gates are open and how
// to undo it. Made from the present state, so that a question that came too late can be asked anew.

import { send } from "./api.js";

const UNDO = "Back at any time: Roll back, or cyan rollback.";
const base = ({ service }) => `/v1/services/${service.name}`;
const environment = ({ service }, name) => service.environments.find((environment) => environment.name === name);
const percent = (value) => `${Number(value.toFixed(2))} %`;

/** The shares of both environments of a rollout when the candidate has this one of what they get together. */
function shares(view, candidate, share) {
  const { service: { active, rollout } } = view;
  const other = candidate === active ? rollout?.base : active;
  const [mine, its] = [environment(view, candidate), environment(view, other)].map((found) => found?.weight_percent ?? 0);
  const then = ((mine + its) * share) / 100;
  return [[candidate, percent(mine), percent(then)], ...(other ? [[other, percent(its), percent(mine + its - then)]] : [])];
}

const act = (view, action, body) => send("POST", `${base(view)}/rollout/${action}`, { rollout: view.service.rollout.id, ...body });

/** The next step now; its open gates are named. */
export function promote(view) {
  const { rollout } = view.service;
  const to = rollout.next_percent ?? 100;
  const open = rollout.waits_for;
  return {
    title: `Promote ${rollout.candidate}?`, verb: `Promote to ${to} %`, before: shares(view, rollout.candidate, to),
    lines: [open.length ? `Not waited for: ${open.join("; ")}.` : "Nothing is waited for.", "Users of the active environment move, and keep what they got.", UNDO],
    fields: [{ name: "reason", label: open.length ? "Why (goes into the journal)" : "Why, if you like", required: open.length > 0 }],
    run: ({ reason }) => act(view, "promote", { to_percent: to, reason: reason || undefined }),
  };
}

/** All steps at once. */
export function promoteFull(view) {
  const { rollout } = view.service;
  const open = rollout.waits_for;
  return {
    title: `Promote ${rollout.candidate} to everybody?`, verb: "Promote to 100 %", before: shares(view, rollout.candidate, 100),
    lines: [open.length ? `Not waited for: ${open.join("; ")}.` : "Nothing is waited for.", "All users move at once.", UNDO],
    typed: open.length ? rollout.candidate : undefined,
    fields: [{ name: "reason", label: "Why (goes into the journal)", required: true }],
    run: ({ reason }) => act(view, "promote", { full: true, reason }),
  };
}

/** Automatic steps again. */
export function resume(view) {
  const { rollout } = view.service;
  const next = rollout.next_percent === null ? "" : ` The next step is ${rollout.next_percent} %.`;
  return {
    title: `Resume ${rollout.candidate}?`, verb: `Resume at ${rollout.share_percent} %`,
    lines: [`Automatic steps begin again.${next} Nobody moves now.`, "What holds it for now does not hold this step again.", "Stop again by Pause."],
    run: () => act(view, "resume", {}),
  };
}

/** The environment before need not stay ready any longer. */
export function release(view) {
  const { rollout } = view.service;
  return {
    title: `Release ${rollout.base}?`, verb: `Release ${rollout.base}`, typed: rollout.base,
    lines: [`${rollout.base} drains, and limits no longer roll back by themselves. Nobody moves.`],
    run: () => act(view, "release", {}),
  };
}

/** A rollout of one of the environments without traffic. */
export function start(view) {
  const { service } = view;
  const others = service.environments.filter(({ name, weight_percent }) => name !== service.active && weight_percent === 0).map(({ name }) => name);
  if (!others.length) return { title: "Start a rollout", verb: "Leave it", lines: ["There is no environment without traffic that could be released."], run: async () => {} };
  const preferred = service.environments.find(({ role }) => role === "candidate")?.name ?? service.rollout?.candidate;
  const wasBack = service.rollout?.stage === "rolled_back";
  return {
    title: "Start a rollout?", verb: "Start rollout",
    lines: ["It is checked first: readiness, smoke tests, quality and warm-up, as far as the service has them. Then users meet it, a step at a time, and go back by themselves if it is worse.", UNDO],
    fields: [
      { name: "candidate", label: "Environment", value: others.includes(preferred) ? preferred : others[0], choices: others },
      { name: "plan", label: "Plan", value: "default", required: true },
      { name: "reason", label: wasBack ? "Why again (goes into the journal)" : "Why, if you like", required: wasBack },
    ],
    run: ({ candidate, plan, reason }) => send("POST", `${base(view)}/rollout`,
      { candidate, plan, reason: reason || undefined, again: wasBack || undefined, generation: service.generation }),
  };
}

/** Everything of the active environment to another one. */
export function switchTo(view, name) {
  const { service } = view;
  const [to, from] = [environment(view, name), environment(view, service.active)];
  if (!to) return undefined;
  return {
    title: `Switch to ${name}?`, verb: `Switch to ${name}`,
    before: [[name, percent(to.weight_percent), percent(to.weight_percent + from.weight_percent)], [service.active, percent(from.weight_percent), percent(0)]],
    lines: [`All users of ${service.active} move at once. What is in flight is finished where it is.`, UNDO],
    run: () => send("POST", `${base(view)}/switch`, { to: name, generation: service.generation }),
  };
}

/** Weights of all environments. */
export function weights(view) {
  const { service } = view;
  const running = service.rollout && !["done", "rolled_back"].includes(service.rollout.stage);
  return {
    title: "Set weights?", verb: "Set weights",
    lines: [`Percent of the traffic, together 100.${running ? " The rollout that is under way is paused by it." : ""}`, "Back by the same, or cyan rollback."],
    fields: service.environments.map(({ name, weight_percent }) => ({ name: `weight-${name}`, label: `${name}, now ${weight_percent} %`, value: weight_percent, type: "number", min: 0, max: 100, required: true })),
    run: (values) => send("PUT", `${base(view)}/weights`, {
      weights: Object.fromEntries(service.environments.map(({ name }) => [name, Number(values[`weight-${name}`])])), generation: service.generation }),
  };
}

/** Accept nothing new, finish what is in flight. */
export function drain(view, name) {
  const found = environment(view, name);
  if (!found) return undefined;
  return {
    title: `Drain ${name}?`, verb: `Drain ${name}`, lines: [`${name} gets no new requests and has none of the traffic; ${found.in_flight} in flight are finished first.`, "Weights give it traffic again."],
    run: () => send("POST", `${base(view)}/environments/${name}/drain`, {}),
  };
}

/** No automatic step in this service, or again. */
export function freeze(view) {
  const { frozen } = view.service;
  if (frozen) return { title: "Lift the freeze?", verb: "Unfreeze", lines: [`Frozen: ${frozen}.`, "Automatic steps begin again."], run: () => send("DELETE", `${base(view)}/freeze`) };
  return {
    title: "Freeze automatic steps?", verb: "Freeze", lines: ["No rollout of this service takes a step by itself until somebody lifts it. Rolling back stays automatic."],
    fields: [{ name: "reason", label: "Why (shown wherever a rollout waits for it)", required: true }],
    run: ({ reason }) => send("PUT", `${base(view)}/freeze`, { reason }),
  };
}
