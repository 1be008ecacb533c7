// Distributions of both sides over each other, on axes that never change: quantiles with their intervals, or
// shares of requests by time. Each has its table. No library: sixty points and a logarithmic axis need none.

import { element, put, shape } from "./dom.js";
import { count, percent, time } from "./format.js";
import { mark, markAt } from "./marks.js";

const [HEIGHT, LEFT, BELOW] = [170, 58, 22];
const QUANTILES = [["p50", 0.5, 6], ["p90", 0.1, 36], ["p99", 0.01, 368], ["p99.9", 0.001, 3688]];
const TICKS = [1, 10, 100, 1000, 10_000, 60_000, 600_000];

/** Draws all figures into a place, in the form that somebody chose: `quantiles` or `shares`. */
export function draw(place, figures, marks, { form, tables }) {
  const width = Math.max(240, Math.min(520, place.firstElementChild?.clientWidth || place.clientWidth));
  put(place, figures.map((figure) => one(figure, marks, { form, tables }, width)));
}

/** One figure, this wide. */
export function one(figure, marks, { form, tables }, width) {
  const sides = Object.entries(figure.sides).filter(([, { n }]) => n > 0);
  const drawing = form === "shares" ? shares(figure, sides, marks, width) : quantiles(figure, sides, marks, width);
  return element("figure", {},
    element("figcaption", {}, element("b", {}, figure.title), ...legend(sides, marks)),
    shape("svg", { width, height: HEIGHT + BELOW, role: "img", "aria-label": `${figure.title}: ${spoken(sides)}` }, drawing),
    tables ? table(sides) : element("p", { class: "muted" }, missing(sides)));
}

const legend = (sides, marks) => sides.flatMap(([name, { n }]) => [" ", mark(marks[name]), ` ${name} ${count(n)}`]);
const spoken = (sides) => sides.map(([name, side]) => `${name} ${QUANTILES.slice(0, 3).map(([label], index) => `${label} ${time(side.quantiles[index][0])}`).join(", ")}`).join("; ") || "no data";

/** What a quantile still needs before it has an upper end. */
function missing(sides) {
  const parts = sides.flatMap(([name, { n }]) => {
    const [label, , needed] = QUANTILES.find(([, , needed]) => n < needed) ?? [];
    return label ? [`${name}: ${label} needs ${count(needed)}, ${count(n)} so far`] : [];
  });
  return parts.length ? `${parts.join("; ")}.` : " ";
}

const along = (value, [from, to]) => Math.log(Math.max(from, Math.min(to, value)) / from) / Math.log(to / from);

/** Rare times to the right, slow ones above. The band is the 95 % interval. */
function quantiles({ axis_ms }, sides, marks, width) {
  const x = (above) => LEFT + 14 + (-Math.log10(above) / 3.1) * (width - LEFT - 34);
  const y = (ms) => HEIGHT - along(ms, axis_ms) * (HEIGHT - 12);
  const ticks = TICKS.filter((ms) => ms >= axis_ms[0] && ms <= axis_ms[1]).map((ms) => shape("g", {},
    shape("line", { x1: LEFT, x2: width, y1: y(ms), y2: y(ms), stroke: "var(--line)" }),
    shape("text", { x: LEFT - 6, y: y(ms) + 5, "text-anchor": "end" }, label(ms))));
  const names = QUANTILES.map(([name, above]) => shape("text", { x: x(above), y: HEIGHT + 18, "text-anchor": "middle" }, name));
  const lines = sides.map(([name, side]) => {
    const points = QUANTILES.map(([, above], index) => ({ x: x(above), ...ends(side.quantiles[index]) })).filter(({ value }) => value !== null);
    const known = points.filter(({ low, high }) => low !== null && high !== null);
    const band = [...known.map((p) => [p.x, y(p.high)]), ...known.toReversed().map((p) => [p.x, y(p.low)])];
    const look = marks[name];
    return shape("g", {},
      known.length > 1 ? shape("path", { d: `M${band.map((point) => point.map((v) => v.toFixed(1)).join(" ")).join("L")}Z`, fill: look.hue, "fill-opacity": 0.15 }) : null,
      shape("path", { d: `M${points.map((p) => `${p.x.toFixed(1)} ${y(p.value).toFixed(1)}`).join("L")}`, fill: "none", stroke: look.hue, "stroke-width": 2, "stroke-dasharray": look.dash }),
      points.map((p) => markAt(look, p.x, y(p.value), p.high !== null)));
  });
  return [...ticks, ...names, ...lines];
}

const ends = ([value, low, high]) => ({ value, low, high });
const label = (ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);

/** How large a share of its requests took so long. */
function shares({ axis_ms }, sides, marks, width) {
  const left = 8;
  const x = (share) => left + share * (width - left - 12);
  const top = Math.max(1, ...sides.flatMap(([, { cells }]) => cells));
  const y = (cell) => HEIGHT - (cell / top) * (HEIGHT - 20);
  const ticks = TICKS.filter((ms) => ms >= axis_ms[0] && ms <= axis_ms[1] && (width > 420 || ms !== 60_000 || axis_ms[1] === ms)).map((ms) => {
    const at = x(along(ms, axis_ms));
    const anchor = ms === axis_ms[0] ? "start" : ms === axis_ms[1] ? "end" : "middle";
    return shape("g", {}, shape("line", { x1: at, x2: at, y1: 0, y2: HEIGHT, stroke: "var(--line)" }),
      shape("text", { x: at, y: HEIGHT + 18, "text-anchor": anchor }, label(ms)));
  });
  const outlines = sides.map(([name, { cells }]) => {
    const steps = cells.map((cell, index) => `L${x(index / cells.length).toFixed(1)} ${y(cell).toFixed(1)}H${x((index + 1) / cells.length).toFixed(1)}`).join("");
    const { hue, dash, index } = marks[name];
    return shape("path", { d: `M${x(0)} ${HEIGHT}${steps}V${HEIGHT}`, fill: index === 0 ? hue : "none", "fill-opacity": 0.12, stroke: hue, "stroke-width": 2, "stroke-dasharray": dash });
  });
  return [...ticks, ...outlines, shape("text", { x: width - 12, y: 14, "text-anchor": "end" }, `highest step ${percent(top / 100)}`)];
}

/** The same as numbers, for who does not see the drawing. */
function table(sides) {
  const head = element("tr", {}, element("th", { scope: "col" }, ""), sides.map(([name]) => element("th", { scope: "col" }, name)));
  const rows = QUANTILES.map(([label], index) => element("tr", {}, element("th", { scope: "row" }, label), sides.map(([, side]) => {
    const { value, low, high } = ends(side.quantiles[index]);
    return element("td", {}, value === null ? "–" : `${time(value)} (${time(low)} … ${time(high)})`);
  })));
  return element("table", {}, head, rows);
}
