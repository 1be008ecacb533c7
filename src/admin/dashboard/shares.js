// Who gets what: a ribbon and a line for each environment, and one chip for each service.

import { at, element, put } from "./dom.js";
import { mark } from "./marks.js";

/** The ribbon and the lines. */
export function draw({ service, sides }, marks) {
  const withTraffic = service.environments.filter(({ weight_percent }) => weight_percent > 0);
  put(at("ribbon"), withTraffic.map(({ name, weight_percent }) => element("i", {
    "data-hatch": marks[name].index, style: { "--hue": marks[name].hue, "flex-grow": weight_percent },
  })));
  put(at("shares"), service.environments.map(({ name, version, role, weight_percent, in_flight }) => {
    const rate = sides[name]?.requests_per_s;
    const words = [["weight", `${weight_percent} %`], ["version", version ?? ""], ["what", role ?? ""],
      ["rate", `${rate === null || rate === undefined ? "–" : rate.toFixed(1)} req/s`], ["flying", `${in_flight} in flight`]];
    return element("li", {}, mark(marks[name]), element("b", {}, name), words.map(([name, text]) => element("span", { class: name }, text)));
  }));
}

/** How urgently somebody is needed; the first comes first. */
const NEED = ["held", "rolling_back", "rolled_back", "paused", "ramping", "starting", "done", "split", "idle"];

/** The services by need. They stay where they are under a pointer and while one has the focus. */
export function chips({ services, service }) {
  const nav = at("services");
  const byNeed = [...services].sort((a, b) => NEED.indexOf(a.state) - NEED.indexOf(b.state));
  const isTouched = nav.contains(document.activeElement) || nav.matches(":hover");
  const shown = [...nav.children].map((chip) => chip.dataset.service);
  const rank = ({ name }) => shown.indexOf(name);
  const order = isTouched && shown.length === services.length ? byNeed.sort((a, b) => rank(a) - rank(b)) : byNeed;
  put(nav, order.map(({ name, glyph, word }) => element("button", {
    type: "button", class: "chip", "data-press": "service", "data-service": name, "aria-label": `${name}, ${word.toLowerCase()}`,
    "aria-pressed": String(name === service.name), title: word,
  }, `${glyph} ${name}`)));
}
