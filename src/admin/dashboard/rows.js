// Both sides, number beside number: each with how many it is of, the difference with its interval, both on one
// fixed axis, and what the metric adds to the evidence.

import { one } from "./charts.js";
import { at, element, put, shape } from "./dom.js";
import { count, difference, evidence, inUnit, percent } from "./format.js";
import { mark, markAt } from "./marks.js";

const [WIDTH, HEIGHT] = [150, 28];
/** Ends of the axes, the same for all services and steps; logarithmic but for scores. */
const AXES = { percent: [0.01, 100], ms: [1, 600_000], per_s: [1, 1000], score: [0, 1] };

/** Draws the rows of the two environments that are compared. */
export function draw({ rows, compared, comparison, service, sides, figures }, marks, shown) {
  if (!compared) {
    put(at("rows"), element("p", {}, "There is one environment. Another one is added in the config:"),
      element("pre", {}, `[service.${service.name}.environment.green]\nupstreams = ["http://127.0.0.1:8002"]`));
    put(at("comparison"));
    return;
  }
  const isQuiet = Object.values(sides).every(({ requests }) => requests === 0);
  const names = [compared.active, compared.candidate];
  const known = rows.filter(({ adds, active, candidate }) => adds !== null || active.n + candidate.n > 0);
  const head = element("tr", {}, element("th", { scope: "col" }, "metric"), names.map((name) => element("th", { scope: "col" }, mark(marks[name]), ` ${name}`)),
    ["difference, 95 %", "both, one axis", "adds"].map((name) => element("th", { scope: "col", class: "wide" }, name)), element("th", { scope: "col" }, "reads"));
  put(at("rows"), isQuiet
    ? element("p", {}, "No request has come in the last five minutes. One is sent to the address under [listen], e.g. ", element("code", {}, "curl http://127.0.0.1:8080/v1/models"))
    : element("table", {}, element("thead", {}, head), element("tbody", {}, known.flatMap((row) => [
      line(row, names, marks, shown.opened.has(row.label)),
      shown.opened.has(row.label) ? opened(row, names, sides, figures, marks, shown) : null]))));
  put(at("comparison"), [comparison && `Switch: ${comparison}.`, wrong(names, sides)].filter(Boolean).map((text) => element("p", {}, text)));
}

function line(row, names, marks, isOpen) {
  const { label, unit, active, candidate, adds, reads } = row;
  const [value, low, high] = row.difference;
  const interval = low === null && high === null ? "" : ` (${difference(unit, low)} … ${difference(unit, high)})`;
  return element("tr", { "data-key": label },
    element("th", { scope: "row" }, element("button", { type: "button", class: "opens", "data-press": "open", "data-row": label, "aria-expanded": String(isOpen) }, label)),
    [active, candidate].map((side) => element("td", {}, number(unit, side))),
    element("td", { class: "wide" }, `${difference(unit, value)}${interval}`),
    element("td", { class: "wide" }, axis(unit, [active, candidate], names, marks)),
    element("td", { class: "wide" }, evidence(adds)),
    element("td", {}, reads));
}

/** Which figure shows how the times of a row are distributed. */
const FIGURES = { "TTFT p99": "ttft", "gap p99": "gap", "latency p99": "total" };

/** What a row opens: the difference where its column is hidden, both intervals, and all that is behind them. */
function opened({ label, unit, active, candidate, difference: [value, low, high], adds, reads }, names, sides, figures, marks, shown) {
  const width = at("rows").clientWidth;
  const figure = figures?.find(({ metric }) => metric === FIGURES[label]);
  const interval = (side) => (side.value === null ? "–" : `${inUnit(unit, side.value)} (${inUnit(unit, side.low)} … ${inUnit(unit, side.high)}) of ${count(side.n)}`);
  const behind = label === "errors" || label === "refused" ? verdicts(names, sides)
    : figure ? one(figure, marks, shown, Math.max(240, Math.min(520, width - 16))) : null;
  return element("tr", { "data-key": `${label} opened`, class: "opened" }, element("td", { colspan: columns() },
    active.n + candidate.n > 0 ? element("p", {}, names.map((name, index) => [index ? "; " : "", mark(marks[name]), ` ${name} ${interval([active, candidate][index])}`])) : null,
    element("p", {}, `Difference ${difference(unit, value)} (${difference(unit, low)} … ${difference(unit, high)}), adds ${evidence(adds)}: ${reads}.`), behind));
}

/** As many as are shown at this width. */
const columns = () => (innerWidth <= 720 ? 4 : innerWidth <= 1000 ? 6 : 7);

/** What became of the requests that were not complete, side by side. */
function verdicts(names, sides) {
  const all = [...new Set(names.flatMap((name) => Object.keys(sides[name]?.not_complete ?? {})))].sort();
  if (!all.length) return element("p", {}, "Every request was complete.");
  const cell = (name, verdict) => {
    const n = sides[name]?.not_complete[verdict] ?? 0;
    return element("td", {}, n ? `${count(n)} (${percent((n / sides[name].requests) * 100)})` : "none");
  };
  return element("table", {}, element("thead", {}, element("tr", {}, ["verdict", ...names].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, all.map((verdict) => element("tr", {}, element("th", { scope: "row" }, verdict.replaceAll("_", " ")), names.map((name) => cell(name, verdict))))));
}

function number(unit, { n, hits, value }) {
  if (value === null) return "–";
  const of = hits === undefined ? `of ${count(n)}` : `${count(hits)} of ${count(n)}`;
  return [inUnit(unit, value), element("small", {}, of)].flatMap((part) => [part, " "]);
}

/** Both intervals above each other. The numbers stand beside it, so it is for the eye alone. */
function axis(unit, sides, names, marks) {
  const [from, to] = AXES[unit];
  const x = (value) => {
    const share = unit === "score" ? value : Math.log(Math.max(from, Math.min(to, value)) / from) / Math.log(to / from);
    return 7 + share * (WIDTH - 14);
  };
  const drawn = sides.map(({ value, low, high }, index) => {
    if (value === null) return [];
    const [y, look] = [8 + index * 12, marks[names[index]]];
    const whole = shape("line", { x1: x(low ?? value), x2: x(high ?? value), y1: y, y2: y, stroke: look.hue, "stroke-width": 2, "stroke-dasharray": look.dash });
    return [whole, markAt(look, x(value), y, high !== null)];
  });
  return shape("svg", { width: WIDTH, height: HEIGHT, "aria-hidden": "true", class: "mini" },
    shape("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1, stroke: "var(--axis)" }), drawn);
}

/** What went wrong, by verdict; nothing when nothing did. */
function wrong(names, sides) {
  const all = names.flatMap((name) => Object.entries(sides[name]?.not_complete ?? {})
    .map(([verdict, n]) => `${name} ${verdict.replaceAll("_", " ")} ${count(n)} (${percent((n / sides[name].requests) * 100)})`));
  return all.length ? `Not complete: ${all.join(", ")}.` : "";
}
