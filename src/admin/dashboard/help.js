// Letters that act, and the page that tells them.

import { isOpen, tell } from "./dialog.js";
import { element } from "./dom.js";

const KEYS = [["r", "roll back: arms, Enter does it"], ["p", "pause or resume"], ["n", "promote…"], ["s", "start…"], ["1 – 9", "a service"],
  ["g", "the other form of the charts"], ["t", "tables"], ["j", "journal"], ["/", "filter the journal"], ["Esc", "close, disarm"], ["?", "this page"]];

const isOff = () => localStorage.getItem("letters") === "off";

/** What a key means here; nothing in fields and dialogs, and where letters are switched off. */
export function meaning({ key, ctrlKey, metaKey, altKey, target }) {
  if (ctrlKey || metaKey || altKey || isOpen() || target.closest("input, select, textarea") || (isOff() && key !== "Escape")) return undefined;
  if (/^[1-9]$/.test(key)) return { press: "nth", name: key };
  const press = { "?": "help", r: "rollback", p: "pause-or-resume", n: "promote", s: "start", g: "form", t: "tables", j: "journal", "/": "filter", Escape: "disarm" }[key];
  return press && { press };
}

/** Tells them, with the switch that turns them off. */
export function show() {
  const box = element("input", { type: "checkbox", checked: !isOff() });
  box.addEventListener("change", () => localStorage.setItem("letters", box.checked ? "on" : "off"));
  tell("Keys", element("dl", { class: "keys" }, KEYS.map(([name, what]) => [element("dt", {}, name), element("dd", {}, what)])),
    element("label", { class: "check" }, box, " Letters act"),
    element("p", { class: "muted" }, "Everything is also reached by Tab, in the order in which it is read."));
}
