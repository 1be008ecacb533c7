// What can be done, and how it is asked: rollback by two presses on one spot, everything else that moves
// users by a dialog that says what will be. Every button repeats its verb.

import { Problem, send } from "./api.js";
import { at, element } from "./dom.js";

/** A double click is no decision. */
const SECOND_PRESS_AFTER = 350;
/** How long a rollback is tried while nobody answers. */
const TRY_FOR = 10_000;

let armedAt = 0;

/** Draws the buttons of the band for this state. `done` is called when something has changed. */
export function draw(view, state, done) {
  const { service, rollout } = view;
  const base = `/v1/services/${service.name}`;
  const act = (action, body = {}) => run(() => send("POST", `${base}/rollout/${action}`, { rollout: rollout?.id, ...body }), done);
  const buttons = [];
  const previous = service.environments.find(({ role }) => role === "previous");
  if (["ramping", "paused", "held"].includes(state) || previous) buttons.push(rollBack(view, base, done));
  if (state === "ramping") buttons.push(button("Pause", "pause", () => act("pause")));
  if (state === "paused" || state === "held") buttons.push(button("Resume…", "resume", () => ask({
    title: `Resume ${rollout.candidate}?`, text: `It goes on at ${rollout.place}.`, verb: "Resume", run: () => act("resume") })));
  if (["ramping", "paused", "held"].includes(state)) buttons.push(button("Promote…", "promote", () => promote(rollout, act)));
  if (state === "done") buttons.push(button("Release…", "release", () => ask({
    title: `Release ${rollout.base}?`, name: rollout.base, verb: `Release ${rollout.base}`, run: () => act("release"),
    text: `${rollout.base} is armed no more and drains; limits no longer roll back by themselves. This cannot be undone by one press.` })));
  if (["idle", "rolled_back"].includes(state)) buttons.push(button("Start rollout…", "start", () => start(view, base, done)));
  const armed = armedAt > 0 && document.activeElement?.classList.contains("roll-back");
  if (!armed) keepFocus(at("actions"), buttons);
}

/** Replaces buttons without taking the focus away from the one that has it. */
function keepFocus(place, buttons) {
  const names = buttons.map((button) => button.dataset.action).join();
  if (place.dataset.names === names && place.dataset.view === buttons.map((button) => button.textContent).join()) return;
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.action : undefined;
  place.dataset.names = names;
  place.dataset.view = buttons.map((button) => button.textContent).join();
  place.replaceChildren(...buttons);
  if (focused) place.querySelector(`[data-action="${focused}"]`)?.focus();
}

/** What can be done to one environment, where it stands. */
export function ofEnvironment(view, environment, done) {
  const base = `/v1/services/${view.service.name}`;
  const path = `${base}/environments/${environment.name}`;
  const buttons = [];
  if (environment.role !== "active") buttons.push(button("Switch…", "switch", () => ask({
    title: `Switch to ${environment.name}?`, verb: `Switch to ${environment.name}`,
    text: `${environment.name}: ${environment.weight_percent} % → all that ${view.service.active} has. Back by: cyan rollback.`,
    run: () => run(() => send("POST", `${base}/switch`, { to: environment.name, generation: view.service.generation }), done) })));
  if (environment.weight_percent === 0) buttons.push(button("Drain", "drain", () => run(() => send("POST", `${path}/drain`, {}), done)));
  return buttons;
}

/** Opens the dialog that sets weights. */
export function weights(view, done) {
  const fields = view.service.environments.map(({ name, weight_percent }) => ({ name, label: `${name}, %`, value: weight_percent }));
  ask({
    title: "Set weights", verb: "Set weights", fields,
    text: "Percent of the traffic, together 100. A rollout that is under way is paused by it.",
    run: (values) => run(() => send("PUT", `/v1/services/${view.service.name}/weights`, {
      weights: Object.fromEntries(fields.map(({ name }) => [name, Number(values.get(name))])), generation: view.service.generation }), done),
  });
}

function rollBack(view, base, done) {
  const { service, rollout } = view;
  const candidate = rollout?.candidate ?? service.active;
  const share = service.environments.find(({ name }) => name === candidate)?.weight_percent ?? 0;
  const label = "↩ Roll back";
  const node = button(label, "rollback", () => {
    if (!armedAt) {
      armedAt = Date.now();
      node.textContent = `Roll ${candidate} back: ${share} % → 0 %`;
      return;
    }
    if (Date.now() - armedAt < SECOND_PRESS_AFTER) return;
    disarm();
    run(() => untilAnswered(() => send("POST", `${base}/rollback`, {})), done);
  });
  const disarm = () => { armedAt = 0; node.textContent = label; };
  node.classList.add("filled", "roll-back");
  node.addEventListener("blur", disarm);
  node.addEventListener("keydown", (event) => { if (event.key === "Escape") disarm(); });
  return node;
}

/** Nobody answering is no answer: a rollback may be asked for twice, so it is asked again. */
async function untilAnswered(call) {
  const until = Date.now() + TRY_FOR;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof Problem || Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}

function promote(rollout, act) {
  const to = rollout.next_percent ?? 100;
  ask({
    title: `Promote ${rollout.candidate} to ${to} %?`, verb: `Promote to ${to} %`, fields: [{ name: "reason", label: "Why", value: "" }],
    text: `${rollout.candidate}: ${rollout.share_percent} % → ${to} %. Open: ${rollout.waits_for.join("; ") || "nothing"}. Back at any time.`,
    run: (values) => act("promote", { reason: values.get("reason") || undefined }),
  });
}

function start(view, base, done) {
  const idle = view.service.environments.filter(({ role, weight_percent }) => role !== "active" && weight_percent === 0);
  const name = view.service.environments.find(({ role }) => role === "candidate")?.name ?? idle[0]?.name ?? "";
  ask({
    title: "Start a rollout", verb: "Start rollout", fields: [{ name: "candidate", label: "Environment", value: name }, { name: "plan", label: "Plan", value: "default" }],
    text: "It is checked first; then users meet it a step at a time, and go back by themselves if it is worse.",
    run: (values) => run(() => send("POST", `${base}/rollout`, { candidate: values.get("candidate"), plan: values.get("plan") }), done),
  });
}

function button(label, action, press) {
  return element("button", { type: "button", "data-action": action, onclick: press }, label);
}

/** Says what will be, and does it when the verb is pressed. What one press cannot undo is named first. */
function ask({ title, text, verb, fields = [], name, run }) {
  const dialog = at("dialog");
  const all = name ? [...fields, { name: "confirm", label: `To be sure, write ${name}`, value: "" }] : fields;
  const inputs = all.map(({ name, label, value }) => element("label", {}, label, element("input", { name, value, autocomplete: "off" })));
  const form = element("form", { method: "dialog" },
    element("h2", { id: "dialog-title" }, title), element("p", {}, text), ...inputs,
    element("div", { class: "buttons" },
      element("button", { type: "button", onclick: () => dialog.close() }, "Leave it"),
      element("button", { class: "filled" }, verb)));
  form.addEventListener("submit", (event) => {
    const values = new FormData(form);
    if (name && values.get("confirm") !== name) return event.preventDefault();
    run(values);
  });
  dialog.replaceChildren(form);
  dialog.showModal();
}

/** Does it and says how it went, until the next thing is done. */
async function run(call, done) {
  const place = at("result");
  place.hidden = false;
  place.textContent = "…";
  try {
    const answer = await call();
    const lagging = answer?.lagging_cores?.length ?? 0;
    const when = answer?.applied_us === undefined ? "done" : `applied on all cores in ${(answer.applied_us / 1000).toFixed(1)} ms`;
    place.textContent = lagging ? `${lagging} cores have not taken it yet` : when;
  } catch (error) {
    place.textContent = `Not done: ${error.message}${error.hint ? ` ${error.hint}` : ""}`;
  }
  done();
}
