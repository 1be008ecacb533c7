// The dashboard: asks once a second, at once when something happens, and never shows old news as new.

import { Problem, histogram, view as ask } from "./api.js";
import * as actions from "./actions.js";
import * as band from "./band.js";
import * as charts from "./charts.js";
import * as sections from "./sections.js";
import { at, element } from "./dom.js";
import { marks as marksOf } from "./marks.js";

const EVERY = 1000;
/** Distributions are larger than the rest and change slowly. */
const DISTRIBUTIONS_EVERY = 5000;
/** Without an answer for so long the page says that it is old. */
const STALE_AFTER = 2500;

let view;
let marks = {};
let heard = 0;
let attempts = 0;
let drawnDistributions = 0;
let isAsking = false;

const chosen = () => decodeURIComponent(location.hash.slice(1).split("/")[0]);

async function renew() {
  if (isAsking || document.hidden) return;
  isAsking = true;
  try {
    view = await ask(chosen());
    heard = Date.now();
    attempts = 0;
    draw();
    await drawDistributions();
  } catch (error) {
    attempts += 1;
    if (error instanceof Problem && error.status === 401) return login();
    if (Date.now() - heard > STALE_AFTER) disconnected();
  } finally {
    isAsking = false;
  }
}

function draw() {
  at("main").classList.remove("stale");
  at("age").textContent = "live";
  if (!view.service) return;
  marks = marksOf(view.service.environments);
  drawServices();
  const state = band.draw(view);
  actions.draw(view, state, renew);
  sections.shares(view, marks);
  sections.rollout(view);
  sections.measures(view, marks);
  sections.journal(view, at("filter").value);
  if (!at("environments").contains(document.activeElement)) {
    const drain = element("button", { type: "button", onclick: () => actions.weights(view, renew) }, "Set weights…");
    sections.environments(view, marks, (environment) => actions.ofEnvironment(view, environment, renew));
    at("environments").append(drain);
  }
  const width = Math.max(at("timeline").clientWidth, 240);
  at("timeline").replaceChildren(...(view.rollout ? charts.timeline(view.journal, view.rollout, heard, width) : []));
  const { version, cores, uptime_s, warnings } = view.status;
  at("footer").textContent = [`Cyan ${version}, ${cores} cores, up ${uptime_s} s`, ...warnings].join(" · ");
}

function drawServices() {
  const chips = view.status.services.map(({ name }) => element("button", {
    type: "button", class: "plain", "aria-pressed": String(name === view.service.name), onclick: () => { location.hash = name; } }, name));
  if (at("services").textContent !== chips.map((chip) => chip.textContent).join("") || at("services").dataset.service !== view.service.name) {
    at("services").dataset.service = view.service.name;
    at("services").replaceChildren(...chips);
  }
}

async function drawDistributions() {
  if (!view.service || Date.now() - drawnDistributions < DISTRIBUTIONS_EVERY) return;
  drawnDistributions = Date.now();
  const names = view.service.environments.map(({ name }) => name);
  const metrics = [["ttft", "Time to first token"], ["total", "Time of whole answers"], ["gap", "Gaps between tokens"]];
  const figures = await Promise.all(metrics.map(async ([metric, title]) => {
    const sides = await Promise.all(names.map(async (name) => ({ name, histogram: await histogram(view.service.name, name, metric) })));
    return charts.distribution(title, sides, marks);
  }));
  const open = [...at("distributions").querySelectorAll("details")].map(({ open }) => open);
  at("distributions").replaceChildren(...figures);
  at("distributions").querySelectorAll("details").forEach((details, index) => { details.open = open[index] ?? false; });
}

function disconnected() {
  at("main").classList.add("stale");
  at("age").textContent = "no answer";
  band.drawDisconnected(heard || Date.now(), attempts);
}

/** The token becomes a cookie that scripts cannot read; it is never part of an address. */
function login() {
  const dialog = at("dialog");
  if (dialog.open) return;
  const form = element("form", {},
    element("h2", { id: "dialog-title" }, "This Cyan asks for a token"),
    element("label", {}, "Token", element("input", { name: "token", type: "password", autocomplete: "current-password" })),
    element("p", { role: "alert" }), element("div", { class: "buttons" }, element("button", { class: "filled" }, "Enter")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = JSON.stringify({ token: new FormData(form).get("token") });
    const answer = await fetch("/dashboard/session", { method: "POST", headers: { "content-type": "application/json" }, body });
    if (!answer.ok) { form.querySelector("[role=alert]").textContent = "That is not the token."; return; }
    dialog.close();
    listen();
    renew();
  });
  dialog.replaceChildren(form);
  dialog.showModal();
}

/** Events say when to look; what there is to see comes by the same call as always. */
function listen() {
  const events = new EventSource("/v1/events");
  let due;
  const soon = () => { clearTimeout(due); due = setTimeout(renew, 50); };
  for (const kind of ["rollout_started", "rollout_stepped", "rollout_switched", "rollout_held", "rollout_let_go", "rollout_paused", "rollout_resumed",
    "rollout_rolling_back", "rollout_rolled_back", "rollout_failed", "rollout_done", "weights", "switched", "rolled_back"]) events.addEventListener(kind, soon);
  document.addEventListener("visibilitychange", () => { if (document.hidden) events.close(); else { listen(); renew(); } }, { once: true });
}

const press = (action) => at("actions").querySelector(`[data-action="${action}"]`);

/** The first of two presses; Enter is the second. */
function arm() {
  press("rollback")?.focus();
  press("rollback")?.click();
}

/** Letters act only outside of fields and dialogs. */
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || at("dialog").open || event.target.closest("input")) return;
  const keys = {
    "?": help, r: arm, p: () => (press("pause") ?? press("resume"))?.click(),
    n: () => press("promote")?.click(), s: () => press("start")?.click(), j: () => at("journal").scrollIntoView(),
    "/": () => { event.preventDefault(); at("filter").focus(); },
  };
  if (/^[1-9]$/.test(event.key)) at("services").children[Number(event.key) - 1]?.click();
  else keys[event.key]?.();
}

function help() {
  const dialog = at("dialog");
  const keys = [["r", "roll back: arms, Enter does it"], ["p", "pause, resume"], ["n", "promote…"], ["s", "start…"], ["1 – 9", "a service"],
    ["j", "journal"], ["/", "filter the journal"], ["Esc", "close, disarm"]];
  dialog.replaceChildren(element("h2", { id: "dialog-title" }, "Keys"),
    element("dl", { class: "keys" }, ...keys.flatMap(([name, what]) => [element("dt", {}, name), element("dd", {}, what)])),
    element("p", {}, "Evidence is what a gambler who bets that the candidate is worse has made of one coin. If it is no worse, at most 1 rollout in 100 ever reaches 100, however often one looks."),
    element("div", { class: "buttons" }, element("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.showModal();
}

function theme(next) {
  const stored = localStorage.getItem("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = stored ?? (dark ? "dark" : "light");
  const value = next ? (now === "dark" ? "light" : "dark") : stored;
  if (value) { document.documentElement.dataset.theme = value; if (next) localStorage.setItem("theme", value); }
}

theme(false);
at("theme").addEventListener("click", () => theme(true));
at("help").addEventListener("click", help);
at("filter").addEventListener("input", () => view?.journal && sections.journal(view, at("filter").value));
addEventListener("hashchange", renew);
addEventListener("keydown", key);
setInterval(renew, EVERY);
listen();
renew();
