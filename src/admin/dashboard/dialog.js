// The one dialog: what will be, before and after, who moves and how to undo it. Its button repeats the verb.

import { Problem } from "./api.js";
import { at, element } from "./dom.js";
import { nameOf } from "./questions.js";

/** Shows something to read, or to choose from; it closes by Esc or its button. */
export function tell(title, ...content) {
  show(element("h2", { id: "dialog-title" }, title), ...content,
    element("div", { class: "buttons" }, element("button", { type: "button", "data-press": "close" }, "Close")));
}

/** Closes it. */
export const close = () => at("dialog").close();

/** Whether one is open. */
export const isOpen = () => at("dialog").open;

/**
 * Asks before something is done. `plan` gets the question for the present state: title, lines, verb, fields,
 * the name to be typed, and `run`. When the state has changed meanwhile, the question is asked anew.
 */
export async function ask(plan, renew) {
  let question;
  try {
    question = await plan();
  } catch (error) {
    return tell("Not now", element("p", {}, sentence(error)));
  }
  const { title, changes, lines, verb, fields, typed, run } = question;
  if (!run) return tell(title, lines.map((text) => element("p", {}, text)));
  const alert = element("p", { role: "alert", class: "alert" });
  const form = element("form", { method: "dialog" },
    element("h2", { id: "dialog-title" }, title), changes.length ? change(changes) : null, lines.map((text) => element("p", {}, text)),
    [...fields, ...(typed ? [{ path: ["typed"], label: `This cannot be undone by one press. To be sure, write ${typed}`, value: "", choices: [], is_required: true }] : [])].map(field),
    alert, element("div", { class: "buttons" },
      element("button", { type: "button", "data-press": "close" }, "Leave it"), element("button", { class: "filled" }, verb)));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(form));
    if (typed && values.typed.trim() !== typed) {
      alert.textContent = `That is not ${typed}.`;
      return;
    }
    try {
      form.inert = true;
      await run(values);
      close();
    } catch (error) {
      form.inert = false;
      if (error instanceof Problem && error.isLate) await again(plan, renew, error);
      else alert.textContent = sentence(error);
    }
  });
  show(form);
}

/** The state has changed: the same question about what is there now. */
async function again(plan, renew, error) {
  await renew();
  await ask(plan, renew);
  const alert = at("dialog").querySelector(".alert");
  if (alert) alert.textContent = `${sentence(error)} This is the state now.`;
}

/** A refusal in the server's words, or that nobody answered. */
export function sentence(error) {
  if (!(error instanceof Problem)) return "Cyan did not answer; look at the state before you try again.";
  return [error.message, error.hint].filter(Boolean).map((text) => `${text[0].toUpperCase()}${text.slice(1)}`.replace(/\.?$/, ".")).join(" ");
}

function change(changes) {
  const head = element("tr", {}, ["", "now", "then"].map((text) => element("th", { scope: "col" }, text)));
  return element("table", { class: "change" }, element("thead", {}, head),
    element("tbody", {}, changes.map(([name, now, then]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, now), element("td", {}, then)))));
}

function field({ path, label, value, is_number, choices, is_required }) {
  const attributes = { name: nameOf({ path }), required: is_required, autocomplete: "off" };
  const number = is_number ? { type: "number", min: 0, max: 100, step: "any" } : { type: "text" };
  return element("label", {}, label, choices.length
    ? element("select", attributes, choices.map((choice) => element("option", { value: choice, selected: choice === value }, choice)))
    : element("input", { ...attributes, ...number, value }));
}

function show(...content) {
  const dialog = at("dialog");
  dialog.replaceChildren(...content);
  if (!dialog.open) dialog.showModal();
}
