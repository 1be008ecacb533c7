// The dashboard: puts the parts together, draws what the server tells, and says so when it tells nothing.

import * as actions from "./actions.js";
import { get } from "./api.js";
import * as band from "./band.js";
import * as charts from "./charts.js";
import { follow } from "./connection.js";
import * as dialog from "./dialog.js";
import { at, element, put } from "./dom.js";
import * as environments from "./environments.js";
import { clock } from "./format.js";
import * as help from "./help.js";
import * as journal from "./journal.js";
import { login } from "./login.js";
import { marks as marksOf } from "./marks.js";
import * as rollout from "./rollout.js";
import * as rows from "./rows.js";
import * as shares from "./shares.js";
import * as timeline from "./timeline.js";

/** Evidence that the line keeps; every second point goes when there are more. */
const POINTS_MAX = 1440;
const JOURNAL_ENTRIES = 100;

let view = {};
let how = "";
let entries = [];
let points = [];
let lostSince = 0;
let journalOf = "";
let past = [];
/** The present history, and the address that was scrolled to. */
let [history, shownPlace] = [undefined, ""];
let connection;

/** `#chat`, `#chat/rollout/17`, `#chat/journal/412` */
const place = () => decodeURIComponent(location.hash.slice(1)).split("/");
const shown = { form: localStorage.getItem("form") ?? "quantiles", tables: false, opened: new Set() };

function begin() {
  connection?.end();
  [view, entries, past, points, journalOf, shownPlace] = [{}, [], [], [], "", ""];
  connection = follow({ service: place()[0], heard, lost, refused: login });
}

function heard(news, by, hasFigures = true) {
  const wasRestarted = view.started && news.started && Math.abs(news.started - view.started) > 1500;
  const away = lostSince;
  view = { ...news, heardAt: Date.now() };
  if (news.history && news.history !== history) points = news.history.points.slice();
  else if (typeof news.evidence === "number") keep([view.at, news.evidence]);
  history = news.history;
  [how, lostSince] = [by, 0];
  if (away) told(`Cyan was away ${Math.round((Date.now() - away) / 1000)} s${wasRestarted ? `, restarted ${clock(view.started)}` : ""}.`);
  if (view.page !== document.documentElement.dataset.page) put(at("notice"), "This page is older than Cyan: ", element("a", { href: "" }, "reload"));
  at("main").classList.remove("stale");
  draw(hasFigures);
  readJournal();
}

/** One more point of the evidence; every second one goes when there are too many. */
function keep(point) {
  points.push(point);
  if (points.length > POINTS_MAX) points = points.filter((_, index) => index % 2 === 0);
}

function told(text) {
  put(at("notice"), `${text} `, element("button", { type: "button", class: "small", "data-press": "understood" }, "Understood"));
}

function lost(since, attempt) {
  lostSince ||= since;
  at("main").classList.add("stale");
  put(at("age"), "no news");
  band.drawLost(lostSince, attempt);
  actions.use(view, true, async () => connection.tryNow());
}

/** Draws everything; distributions are the larger part of the work, and news only now and then. */
function draw(withFigures = true) {
  if (!view.service) return;
  const { who } = document.documentElement.dataset;
  put(at("role"), `${actions.mayAct() ? "operate" : "read only"}${who ? `: ${who}` : ""}`);
  const marks = marksOf(view.service.environments);
  shares.chips(view);
  band.draw(view);
  actions.use(view, false, renew);
  shares.draw(view, marks);
  rollout.draw(view, entries);
  timeline.draw(view, entries, points);
  rows.draw(view, marks, shown);
  if (withFigures) drawFigures(marks);
  environments.draw(view, marks, actions.mayAct());
  put(at("footer"), [`Cyan ${view.version}, ${view.cores} cores`, ...view.warnings].join(" · "));
  age();
}

function drawFigures(marks = marksOf(view.service.environments)) {
  put(at("form"), shown.form === "shares" ? "As quantiles (g)" : "As histograms (g)");
  put(at("tables"), shown.tables ? "Without tables (t)" : "As tables (t)");
  if (view.figures) charts.draw(at("figures"), view.figures, marks, shown);
}

/** How old everything is. */
function age() {
  if (lostSince || !view.at) return;
  const seconds = Math.max(0, (Date.now() - view.heardAt) / 1000);
  put(at("age"), `${how}, ${seconds.toFixed(1)} s ago`);
}

/** A newer state, at once. */
async function renew() {
  try {
    heard(await get(`/dashboard/now?service=${encodeURIComponent(view.service.name)}`), how);
    await readJournal(true);
  } catch {
    // The connection finds out by itself, and says so.
  }
}

/** The journal is read when the service has changed. */
async function readJournal(isForced = false) {
  const { name, generation, state } = view.service ?? {};
  const of = `${name} ${generation} ${state}`;
  if (!name || (of === journalOf && !isForced)) return;
  journalOf = of;
  const [, kind, id] = place();
  const named = (of) => (kind === of ? Number(id) : undefined);
  try {
    [entries, past] = await Promise.all([
      withNamed(`/v1/journal?service=${name}&`, JOURNAL_ENTRIES, "entries", named("journal")),
      withNamed(`/v1/services/${name}/rollouts?`, 10, "rollouts", named("rollout")),
    ]);
    drawJournal();
    draw();
  } catch {
    journalOf = "";
  }
}

/** The newest of a list, and the one that the address names, however old it is. */
async function withNamed(path, limit, what, id) {
  const { [what]: newest } = await get(`${path}limit=${limit}`);
  if (!id || newest.some((item) => item.id === id)) return newest;
  const { [what]: older } = await get(`${path}limit=1&before=${id + 1}`);
  return [...newest, ...older.filter((item) => item.id === id)];
}

function drawJournal() {
  const [, kind, id] = place();
  journal.draw(entries, at("filter").value, kind === "journal" ? id : undefined);
  journal.releases(past, kind === "rollout" ? id : undefined);
  if (!kind || shownPlace === location.hash) return;
  const isPresent = kind === "rollout" && String(view.service.rollout?.id) === id && !at("rollout").hidden;
  const node = isPresent ? at("rollout") : at(`${kind}-${id}`);
  node?.scrollIntoView({ block: isPresent ? "start" : "center" });
  if (node) shownPlace = location.hash;
}

function theme(isNext) {
  const kept = localStorage.getItem("theme");
  const now = kept ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const value = isNext ? (now === "dark" ? "light" : "dark") : kept;
  if (!value) return;
  document.documentElement.dataset.theme = value;
  if (isNext) localStorage.setItem("theme", value);
}

const bandButton = (action) => at("actions").querySelector(`[data-press="${action}"]`);

/** What buttons and keys of the page itself do; the rest changes something. */
const own = {
  theme: () => theme(true),
  help: help.show,
  close: dialog.close,
  disarm: actions.disarm,
  dismiss: () => put(at("result")),
  understood: () => put(at("notice")),
  again: () => connection.tryNow(),
  service: (name) => { location.hash = name; },
  nth: (number) => at("services").children[Number(number) - 1]?.click(),
  journal: () => at("journal-title").focus(),
  filter: () => at("filter").focus(),
  open: (label) => {
    if (!shown.opened.delete(label)) shown.opened.add(label);
    draw();
  },
  tables: () => {
    shown.tables = !shown.tables;
    draw();
  },
  form: () => {
    shown.form = shown.form === "shares" ? "quantiles" : "shares";
    localStorage.setItem("form", shown.form);
    draw();
  },
  "pause-or-resume": () => (bandButton("pause") ?? bandButton("resume"))?.click(),
};

function pressed(press, name) {
  if (own[press]) own[press](name);
  else actions.press(press, name);
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-press]");
  if (button) pressed(button.dataset.press, button.dataset.environment ?? button.dataset.service ?? button.dataset.row);
});
document.addEventListener("keydown", (event) => {
  const found = help.meaning(event);
  if (!found) return;
  event.preventDefault();
  // Keys do what a button does, and nothing where there is none.
  if (["rollback", "promote", "start"].includes(found.press)) bandButton(found.press)?.click();
  else pressed(found.press, found.name);
});
at("actions").addEventListener("focusout", ({ target }) => target.dataset.press === "rollback" && actions.disarm());
at("filter").addEventListener("input", drawJournal);
addEventListener("resize", draw);
addEventListener("hashchange", () => (place()[0] === view.service?.name ? readJournal(true) : begin()));
setInterval(age, 500);
theme(false);
begin();
