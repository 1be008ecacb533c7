// How an environment is recognised: hue, shape, line and hatch together, never hue alone.

import { shape } from "./dom.js";

const HUES = ["blue", "green", "red", "fourth", "fifth"];
const LINES = ["", "6 4", "2 3", "8 3 2 3", "12 4"];
/** Circle, triangle, square, diamond, cross. */
const SHAPES = [
  ["circle", { cx: 7, cy: 7, r: 6 }], ["path", { d: "M7 1L13 13H1Z" }], ["path", { d: "M1 1H13V13H1Z" }],
  ["path", { d: "M7 0L14 7L7 14L0 7Z" }], ["path", { d: "M5 0H9V5H14V9H9V14H5V9H0V5H5Z" }],
];

/** The marks of each environment of a service, by its name; names that are hues keep their own. */
export function marks(environments) {
  const free = HUES.map((_, index) => index);
  const own = new Map();
  for (const { name } of environments) {
    const index = HUES.indexOf(name);
    if (index >= 0 && index < 3) own.set(name, free.splice(free.indexOf(index), 1)[0]);
  }
  const mark = ({ name }) => {
    const index = own.get(name) ?? free.shift() ?? HUES.length - 1;
    return [name, { hue: `var(--${HUES[index]})`, dash: LINES[index], index }];
  };
  return Object.fromEntries(environments.map(mark));
}

/** The shape of an environment in its hue. */
export function mark({ hue, index }) {
  const [tag, form] = SHAPES[index];
  return shape("svg", { class: "mark", viewBox: "0 0 14 14", "aria-hidden": "true" }, shape(tag, { ...form, fill: hue }));
}

/** The same within a drawing, around a point. */
export function markAt({ hue, index }, x, y, isKnown = true) {
  const [tag, form] = SHAPES[index];
  const look = isKnown ? { fill: hue } : { fill: "var(--page)", stroke: hue, "stroke-width": 2 };
  return shape(tag, { ...form, ...look, transform: `translate(${(x - 5).toFixed(1)} ${(y - 5).toFixed(1)}) scale(.72)` });
}
