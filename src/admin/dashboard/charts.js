// Drawings: distributions over each other on one fixed axis, and the shares over time. No library: sixty
// points and a logarithmic axis need none.

import { element, percent, shape, time } from "./dom.js";

const WIDTH = 360;
const HEIGHT = 150;
/** Axis of all times, never scaled to the data, so that two looks can be compared. */
const [SHORTEST, LONGEST] = [1, 60_000];
const CELLS = 60;

const x = (ms) => (Math.log(Math.max(SHORTEST, Math.min(LONGEST, ms)) / SHORTEST) / Math.log(LONGEST / SHORTEST)) * WIDTH;

/** Shares of requests by time, of several environments over each other. */
export function distribution(title, sides, marks) {
  const drawn = sides.filter(({ histogram }) => histogram?.count > 0);
  const heights = drawn.map(({ histogram }) => cells(histogram));
  const top = Math.max(0.01, ...heights.flat());
  const lines = drawn.map(({ name }, index) => outline(heights[index], top, marks[name]));
  const ticks = [1, 10, 100, 1000, 10_000, 60_000].map((ms) => shape("g", {},
    shape("line", { x1: x(ms), x2: x(ms), y1: 0, y2: HEIGHT, stroke: "var(--line)" }),
    shape("text", { x: x(ms), y: HEIGHT + 14, "text-anchor": ms === 1 ? "start" : ms === LONGEST ? "end" : "middle" }, time(ms))));
  const counts = drawn.map(({ name, histogram }) => `${name} ${histogram.count}`).join(", ");
  return element("figure", {},
    element("figcaption", {}, `${title}, share of requests by time, five minutes: ${counts || "no data yet"}`),
    shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 18}`, role: "img", "aria-label": title }, ...ticks, ...lines),
    table(drawn));
}

/** The share of requests in each of the axis' cells. */
function cells({ buckets, count, unit }) {
  const scale = unit === "us" || unit === "microseconds" ? 1 / 1000 : unit === "seconds" || unit === "s" ? 1000 : 1;
  const heights = new Array(CELLS).fill(0);
  for (const bucket of buckets) {
    const middle = Math.sqrt(Math.max(bucket.from, 1e-9) * Math.max(bucket.to, 1e-9)) * scale;
    heights[Math.min(CELLS - 1, Math.floor((x(middle) / WIDTH) * CELLS))] += bucket.count / count;
  }
  return heights;
}

function outline(heights, top, { hue, dash, index }) {
  const y = (share) => HEIGHT - (share / top) * (HEIGHT - 4);
  const width = WIDTH / CELLS;
  const steps = heights.map((share, cell) => `L${cell * width} ${y(share)}H${(cell + 1) * width}`).join("");
  const path = `M0 ${HEIGHT}${steps}V${HEIGHT}`;
  const fill = index === 0 ? hue : "none";
  return shape("path", { d: path, fill, "fill-opacity": 0.12, stroke: hue, "stroke-width": 2, "stroke-dasharray": dash });
}

/** The same as numbers, for who does not see the drawing. */
function table(drawn) {
  const limits = [10, 100, 1000, 10_000];
  const below = ({ histogram }, limit) => cells(histogram).reduce((sum, share, cell) => ((cell + 0.5) / CELLS) * WIDTH < x(limit) ? sum + share : sum, 0);
  const rows = limits.map((limit) => element("tr", {}, element("th", { scope: "row" }, `below ${time(limit)}`),
    ...drawn.map((side) => element("td", {}, percent(below(side, limit) * 100)))));
  const head = element("tr", {}, element("th", {}, ""), ...drawn.map(({ name }) => element("th", { scope: "col" }, name)));
  return element("details", {}, element("summary", {}, "Table"), element("table", {}, head, ...rows));
}

/** The candidate's share as stairs, from the journal, so many pixels wide. Nothing is drawn between two known values. */
export function timeline(entries, rollout, now, width) {
  const began = Date.parse(rollout.started_at);
  const steps = entries.filter((entry) => Date.parse(entry.at) >= began).reverse().flatMap((entry) => {
    const share = { rollout_switched: 100, rollout_rolled_back: 0 }[entry.kind] ?? entry.details?.share_percent;
    return ["rollout_stepped", "rollout_switched", "rollout_rolled_back"].includes(entry.kind) ? [{ at: Date.parse(entry.at), share }] : [];
  });
  const end = ["done", "rolled_back"].includes(rollout.stage) && steps.length ? steps.at(-1).at + 30_000 : now;
  const span = Math.max(end - began, 60_000);
  const left = (at) => ((at - began) / span) * width;
  const y = (share) => 64 - (share / 100) * 60;
  let path = `M0 ${y(0)}`;
  for (const { at, share } of steps) path += `H${left(at)}V${y(share)}`;
  path += `H${left(end)}`;
  return [
    element("figcaption", {}, `Share of ${rollout.candidate} since ${new Date(began).toLocaleTimeString()}`),
    shape("svg", { viewBox: `0 0 ${width} 72`, role: "img", "aria-label": "Share over time" },
      shape("line", { x1: 0, x2: width, y1: 64, y2: 64, stroke: "var(--axis)" }),
      shape("path", { d: path, fill: "none", stroke: "var(--ink)", "stroke-width": 2 }),
      ...steps.map(({ at, share }) => shape("text", { x: Math.min(left(at) + 3, width - 40), y: Math.max(y(share) - 3, 12) }, `${share} %`))),
  ];
}
