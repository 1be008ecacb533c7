// What can be done now, and how it went. Rollback takes two presses on one spot and asks nobody before it;
// whatever else moves users has its question.

import { Problem, newKey, send } from "./api.js";
import { ask, sentence, tell } from "./dialog.js";
import { at, element, put } from "./dom.js";
import { question } from "./questions.js";

/** A double click is no decision. */
const SECOND_PRESS_AFTER = 350;
/** For how long a rollback is sent while nobody answers, and how often. */
const SENT_FOR = 10_000;
const SENT_EVERY = 300;

/** Who may only read has no buttons. */
export const mayAct = () => document.documentElement.dataset.role !== "read";

let view;
let isLost = false;
let renew = async () => {};
let armedAt = 0;

/** Takes the newest state; `again` asks for a newer one. */
export function use(newest, lost, again) {
  [view, isLost, renew] = [newest, lost, again];
  draw();
}

/** Which buttons each state has, in their order of Tab. */
function buttons() {
  if (isLost) return [...(canRollBack() ? ["rollback"] : []), "again"];
  const fallback = view.service.environments.find(({ role, name }) => role === "fallback" && name !== view.service.active);
  const isShared = view.service.rollout?.held_by === "shared_incident";
  return {
    starting: ["rollback", "pause", "promote", "more"],
    ramping: ["rollback", "pause", "promote", "more"],
    paused: ["rollback", "resume", "promote", "more"],
    held: ["rollback", "keep", ...(isShared && fallback ? ["fallback"] : []), "resume", "promote", "more"],
    rolling_back: ["rollback", "why"],
    rolled_back: ["why", "start", "more"],
    done: ["rollback", "release", "more"],
    split: [...(canRollBack() ? ["rollback"] : []), "weights", "more"],
    idle: [...(canRollBack() ? ["rollback"] : []), "start", "more"],
  }[view.service.state];
}

const canRollBack = () => view?.service && (view.service.environments.some(({ role, weight_percent }) => role === "previous" || (role === "candidate" && weight_percent > 0))
  || ["starting", "ramping", "paused", "held", "rolling_back", "done"].includes(view.service.state));

function label(action) {
  const { service } = view;
  const { rollout } = service;
  const names = { pause: "Pause", keep: "Keep holding", resume: "Resume…", promote: service.state === "held" ? "Promote anyway…" : "Promote…", release: `Release ${rollout?.base} now…`,
    why: "Read why", start: service.state === "rolled_back" ? "Start again…" : "Start rollout…", more: "More…", weights: "Set weights…", again: "Try now",
    fallback: `Switch to ${service.environments.find(({ role }) => role === "fallback")?.name}…` };
  if (action !== "rollback") return names[action];
  if (!armedAt) return "↩ Roll back";
  const candidate = service.environments.find(({ role }) => role === "candidate") ?? service.environments.find(({ name }) => name === (rollout?.candidate ?? service.active));
  return `Roll ${candidate.name} back: ${candidate.weight_percent} % → 0 %`;
}

function draw() {
  if (!view?.service) return;
  const may = mayAct();
  at("reader").hidden = may;
  if (!may) {
    put(at("reader"), "An operator can run ", element("code", {}, `cyan rollback ${view.service.name}`));
    return put(at("actions"));
  }
  put(at("actions"), buttons().map((action) => element("button", {
    type: "button", "data-key": action, "data-press": action, class: action === "rollback" ? `filled roll-back${armedAt ? " armed" : ""}` : "",
  }, label(action))));
}

/** Gives up the first press. */
export function disarm() {
  if (!armedAt) return;
  armedAt = 0;
  draw();
}

/** Does what a button says. */
export function press(action, name) {
  if (!mayAct() && action !== "why") return;
  if (action === "rollback") rollBack();
  else if (action === "pause" || action === "keep") atOnce(action);
  else if (action === "more") more();
  else if (action === "why") at("journal-title").scrollIntoView();
  else if (action === "fallback") askBefore("switch", view.service.environments.find(({ role }) => role === "fallback").name);
  else if (ASKED.includes(action)) askBefore(action, name);
}

const ASKED = ["resume", "promote", "full", "release", "start", "weights", "freeze", "switch", "drain"];

/** Asks, and says in the band how it went. */
function askBefore(action, name) {
  ask(async () => {
    const { run, ...asked } = await question(view.service.name, action, name);
    return { ...asked, run: run && (async (values) => say(asked.verb, await run(values))) };
  }, renew);
}

/** The first press arms, the second one does it. */
function rollBack() {
  if (!armedAt) {
    armedAt = Date.now();
    draw();
    // Not all browsers give a pressed button the focus, and it is disarmed by losing it.
    at("actions").querySelector("[data-press=rollback]").focus();
    return;
  }
  if (Date.now() - armedAt < SECOND_PRESS_AFTER) return;
  disarm();
  const { name } = view.service;
  attempt("Roll back", `cyan rollback ${name}`, () => untilAnswered(`/v1/services/${name}/rollback`));
}

/** Nobody answering is no answer: the same rollback is sent again, under one key. */
async function untilAnswered(path) {
  const [until, key] = [Date.now() + SENT_FOR, newKey()];
  for (;;) {
    try {
      return await send("POST", path, {}, key);
    } catch (error) {
      if (error instanceof Problem || Date.now() > until) throw error;
      note("Rolling back… nobody has answered yet; it is sent until somebody does, for 10 s.");
      await new Promise((resolve) => setTimeout(resolve, SENT_EVERY));
    }
  }
}

/** What moves nobody and is undone by one press asks nothing. To keep a hold mutes its alert, and no more. */
function atOnce(action) {
  const { name, rollout } = view.service;
  const [verb, call] = { keep: ["Keep holding", "mute"], pause: ["Pause", "pause"] }[action];
  attempt(verb, `cyan rollout ${call} ${name}`, () => send("POST", `/v1/services/${name}/rollout/${call}`, { rollout: rollout.id }));
}

function more() {
  const { service } = view;
  const running = ["starting", "ramping", "paused", "held"].includes(service.state);
  const item = (action, text, name) => element("button", { type: "button", "data-press": action, "data-environment": name }, text);
  tell("More", element("div", { class: "menu" },
    running ? item("full", "Promote to 100 %…") : null, item("weights", "Set weights…"), item("freeze", service.frozen ? "Unfreeze…" : "Freeze automatic steps…"),
    service.environments.filter(({ name }) => name !== service.active).map(({ name }) => item("switch", `Switch to ${name}…`, name)),
    service.environments.filter(({ weight_percent }) => weight_percent === 0).map(({ name }) => item("drain", `Drain ${name}…`, name))));
}

/** Does it without a question, and says how it went. */
async function attempt(verb, command, call) {
  note(`${verb === "Roll back" ? "Rolling back" : verb}…`);
  try {
    say(verb, await call());
  } catch (error) {
    fail(verb, command, error);
  }
  renew();
}

function note(text) {
  put(at("result"), element("p", {}, text));
}

/** That it was done, and how long all cores took. */
function say(verb, { lagging_cores: lagging = [], applied_us, warnings = [], changed } = {}) {
  const how = lagging.length ? `${lagging.length} cores have not taken it yet` : changed === false ? "it was so already"
    : applied_us === undefined ? "done" : `applied on all ${view.cores} cores in ${(applied_us / 1000).toFixed(1)} ms`;
  put(at("result"), element("p", {}, [`${verb}: ${how}.`, ...warnings].join(" ")), dismiss());
  renew();
}

/** Failures stay until they are dismissed, with the same command for a shell. */
function fail(verb, command, error) {
  put(at("result"), element("p", {}, `${verb}: not done. ${sentence(error)} In a shell: `, element("code", {}, command)), dismiss());
}

const dismiss = () => element("button", { type: "button", class: "small", "data-press": "dismiss" }, "Dismiss");
