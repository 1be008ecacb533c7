// The little that is needed to build a page: elements from plain values, and numbers as people read them.

/** An element. Text is text: nothing that a server says becomes markup. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, text]) => node.style.setProperty(key, text));
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** Milliseconds with three digits that matter. */
export function time(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  return `${(ms / 1000).toPrecision(3)} s`;
}

/** A share with as many places as it needs. */
export function percent(value) {
  if (value === null || value === undefined) return "–";
  return `${Number(value.toFixed(value < 10 ? 2 : 1))} %`;
}

/** A count with thin spaces. */
export const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** A moment as a clock shows it; with the day when it was not today. */
export function clock(text) {
  const date = new Date(text);
  const isToday = date.toDateString() === new Date().toDateString();
  const hours = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return isToday ? hours : `${date.toLocaleDateString([], { month: "short", day: "numeric" })} ${hours}`;
}
