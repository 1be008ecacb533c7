// The rollout over time: the candidate's share as stairs, the evidence below it on a logarithmic axis, what
// happened as glyphs, and the rest of the plan as an outline. Nothing is drawn between two known values.

import { at, element, put, shape } from "./dom.js";
import { clock } from "./format.js";

const [SHARES, GAP, PROOF, MARKS, LEFT, RIGHT] = [70, 14, 96, 22, 44, 12];
const HEIGHT = SHARES + GAP + PROOF + MARKS;
const LEAST = 0.1;
const RULES = [[5, "5"], [20, "20"], [100, "100"]];
const EVENTS = { rollout_paused: "‖", rollout_resumed: "→", rollout_held: "!", rollout_let_go: "→", rollout_switched: "✓", rollout_rolled_back: "↩", rollout_failed: "↩", gate_passed: "✓" };
/** What the candidate has after an event that is no step. */
const SHARE_AFTER = { rollout_switched: 100, rollout_rolled_back: 0, rollout_failed: 0 };
/** A line ends where nobody looked for so long. */
const HOLE = 15_000;

/** Draws it as wide as its place; `points` are times and evidence. */
export function draw({ service, at: now }, journal, points) {
  const { rollout } = service;
  if (!rollout) return put(at("timeline"));
  const began = Date.parse(rollout.started_at);
  const entries = journal.filter((entry) => Date.parse(entry.at) >= began - 1000).toReversed();
  const isOver = ["done", "rolled_back"].includes(rollout.stage);
  const last = entries.findLast(({ kind }) => kind in SHARE_AFTER || kind === "rollout_done");
  const end = isOver && last ? Date.parse(last.at) + 10_000 : now;
  // Of the plan only so much that what has been is not squeezed into a corner.
  const horizon = began + (now - began) * 2 + 30_000;
  const plan = isOver ? [] : rest(rollout, now).filter(({ at }) => at <= horizon);
  const width = Math.max(240, at("timeline").clientWidth);
  const span = Math.max(plan.reduce((latest, { at }) => Math.max(latest, at), end) - began, 30_000);
  const x = (when) => LEFT + ((Math.max(when, began) - began) / span) * (width - LEFT - RIGHT);
  const drawn = points.filter(([when]) => when >= began - 1000 && when <= end);
  put(at("timeline"),
    element("figcaption", {}, `Share of ${rollout.candidate} and evidence against it since ${clock(began)}`),
    shape("svg", { width, height: HEIGHT, role: "img", "aria-label": spoken(rollout, entries) },
      stairs(entries, x, end, plan), rules(width), line(drawn, x), glyphs(entries, x, width)));
}

function spoken(rollout, entries) {
  const steps = entries.filter(({ kind }) => kind === "rollout_stepped" || kind in SHARE_AFTER);
  return `${rollout.candidate}: ${steps.map(({ at, text }) => `${clock(at)} ${text}`).join("; ")}`;
}

const shareY = (share) => SHARES - (share / 100) * (SHARES - 16);

function stairs(entries, x, end, plan) {
  const steps = entries.flatMap(({ kind, details, at }) => {
    const share = SHARE_AFTER[kind] ?? (kind === "rollout_stepped" ? details?.share_percent : kind === "rollout_returning" ? details?.left_percent : undefined);
    return share === undefined ? [] : [{ at: Date.parse(at), share }];
  });
  const path = `M${LEFT} ${shareY(0)}${steps.map(({ at, share }) => `H${x(at).toFixed(1)}V${shareY(share).toFixed(1)}`).join("")}H${x(end).toFixed(1)}`;
  const outline = `M${x(end).toFixed(1)} ${shareY(steps.at(-1)?.share ?? 0).toFixed(1)}${plan.map(({ at, share }) => `H${x(at).toFixed(1)}V${shareY(share).toFixed(1)}`).join("")}`;
  return shape("g", {},
    shape("text", { x: LEFT - 6, y: 21, "text-anchor": "end" }, "100"), shape("text", { x: LEFT - 6, y: SHARES + 2, "text-anchor": "end" }, "0 %"),
    shape("line", { x1: LEFT, x2: x(end), y1: SHARES, y2: SHARES, stroke: "var(--axis)" }),
    plan.length ? shape("path", { d: outline, fill: "none", stroke: "var(--axis)", "stroke-width": 1.5, "stroke-dasharray": "2 4" }) : null,
    shape("path", { d: path, fill: "none", stroke: "var(--ink)", "stroke-width": 2 }));
}

/** The steps to come, as soon as they may. */
function rest({ steps, share_percent, in_stage_s, stage, paused, held }, now) {
  if (stage !== "ramp" || paused || held) return [];
  const plan = steps.map((step) => ({ share: Number.parseFloat(step), bake: seconds(step.split(" ")[1]) }));
  const here = plan.findLastIndex(({ share }) => share <= share_percent);
  let at = now - in_stage_s * 1000;
  return plan.slice(here + 1).map(({ share }, index) => {
    at += (plan[here + index]?.bake ?? 0) * 1000;
    return { at: Math.max(at, now), share };
  });
}

function seconds(text = "") {
  const unit = { d: 86_400, h: 3600, m: 60, s: 1, ms: 0.001 };
  return [...text.matchAll(/(\d+)(ms|[dhms])/g)].reduce((sum, [, number, name]) => sum + number * unit[name], 0);
}

const proofY = (value) => SHARES + GAP + PROOF - (Math.log10(Math.max(LEAST, Math.min(300, value)) / LEAST) / Math.log10(300 / LEAST)) * PROOF;

function rules(width) {
  return shape("g", {}, RULES.map(([value, label]) => [
    shape("line", { x1: LEFT, x2: width - RIGHT, y1: proofY(value), y2: proofY(value), stroke: "var(--axis)", "stroke-dasharray": value === 100 ? "" : "4 4" }),
    shape("text", { x: LEFT - 6, y: proofY(value) + 5, "text-anchor": "end" }, label)]).flat());
}

/** Each known value holds until the next; where nobody looked there is a gap. */
function line(points, x) {
  let path = "";
  points.forEach(([when, value], index) => {
    const before = points[index - 1];
    const place = `${x(when).toFixed(1)} ${proofY(value).toFixed(1)}`;
    path += !before || when - before[0] > HOLE ? `M${place}` : `L${place}`;
  });
  return shape("path", { d: path || "M0 0", fill: "none", stroke: "var(--ink)", "stroke-width": 2 });
}

function glyphs(entries, x, width) {
  let until = 0;
  return shape("g", {}, entries.filter(({ kind }) => kind in EVENTS).map(({ kind, at, text }) => {
    const place = Math.min(Math.max(x(Date.parse(at)), until + 14), width - 8);
    until = place;
    return shape("text", { x: place, y: HEIGHT - 4, "text-anchor": "middle" }, EVENTS[kind], shape("title", {}, `${clock(at)} ${text}`));
  }));
}
