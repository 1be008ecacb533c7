// Both sides, number beside number: each with how many it is of, the difference with its interval, both on one
// fixed axis, and what the metric adds to the evidence.

import { at, element, put, shape } from "./dom.js";
import { count, difference, evidence, inUnit, percent } from "./format.js";
import { mark, markAt } from "./marks.js";

const [WIDTH, HEIGHT] = [150, 28];
/** Ends of the axes, the same for all services and steps; logarithmic but for scores. */
const AXES = { percent: [0.01, 100], ms: [1, 600_000], per_s: [1, 1000], score: [0, 1] };

/** Draws the rows of the two environments that are compared. */
export function draw({ rows, compared, comparison, service, sides }, marks) {
  if (!compared) {
    put(at("rows"), element("p", {}, "There is one environment. Another one is added in the config:"),
      element("pre", {}, `[service.${service.name}.environment.green]\nupstreams = ["http://127.0.0.1:8002"]`));
    put(at("comparison"));
    return;
  }
  const isQuiet = Object.values(sides).every(({ requests }) => requests === 0);
  const names = [compared.active, compared.candidate];
  const shown = rows.filter(({ adds, active, candidate }) => adds !== null || active.n + candidate.n > 0);
  const head = element("tr", {}, element("th", { scope: "col" }, "metric"), names.map((name) => element("th", { scope: "col" }, mark(marks[name]), ` ${name}`)),
    ["difference, 95 %", "both, one axis", "adds"].map((name) => element("th", { scope: "col", class: "wide" }, name)), element("th", { scope: "col" }, "reads"));
  put(at("rows"), isQuiet
    ? element("p", {}, "No request has come in the last five minutes. One is sent to the address under [listen], e.g. ", element("code", {}, "curl http://127.0.0.1:8080/v1/models"))
    : element("table", {}, element("thead", {}, head), element("tbody", {}, shown.map((row) => line(row, names, marks)))));
  put(at("comparison"), [comparison && `Switch: ${comparison}.`, wrong(names, sides)].filter(Boolean).map((text) => element("p", {}, text)));
}

function line(row, names, marks) {
  const { label, unit, active, candidate, adds, reads } = row;
  const [value, low, high] = row.difference;
  const interval = low === null && high === null ? "" : ` (${difference(unit, low)} … ${difference(unit, high)})`;
  return element("tr", {},
    element("th", { scope: "row" }, label),
    [active, candidate].map((side) => element("td", {}, number(unit, side))),
    element("td", { class: "wide" }, `${difference(unit, value)}${interval}`),
    element("td", { class: "wide" }, axis(unit, [active, candidate], names, marks)),
    element("td", { class: "wide" }, evidence(adds)),
    element("td", {}, reads));
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
