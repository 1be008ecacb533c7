// The rollout: its steps, and the evidence against the candidate on a logarithmic bar.

import { at, element, put } from "./dom.js";
import { clock, evidence as number } from "./format.js";

/** The bar begins at 0.1; it is logarithmic, so that 20 of 100 does not look calm. */
const LEAST = 0.1;
const MARKS = [[1, "1", ""], [5, "5", ""], [20, "20", " hold"], [100, "100", " roll back"]];

const onScale = (value) => (Math.log10(Math.min(100, Math.max(LEAST, value)) / LEAST) / Math.log10(100 / LEAST)) * 100;

/** Draws it; nothing where there was none. */
export function draw({ service, evidence, rows, said }, journal) {
  const { rollout } = service;
  at("rollout").hidden = !rollout;
  if (!rollout) return;
  const version = rollout.version ? ` (${rollout.version})` : "";
  put(at("rollout-title"), `Rollout ${rollout.id}: ${rollout.candidate}${version}, ${rollout.stage.replaceAll("_", " ")}`);
  put(at("track"), steps(rollout, journal));
  put(at("evidence"), ...bar(rollout, evidence, rows, said));
}

/** The plan's steps: which were taken and when, where it stands, what is to come. */
function steps(rollout, journal) {
  const taken = journal.filter(({ kind, details, at: when }) => kind === "rollout_stepped" && Date.parse(when) >= Date.parse(rollout.started_at) - 1000
    && details?.share_percent !== undefined);
  const isAtWork = !["done", "rolled_back", "rolling_back", "returning"].includes(rollout.stage);
  const shares = rollout.steps.map((step) => Number.parseFloat(step));
  // What the candidate gets once the rollout is over is no step of it.
  const here = isAtWork ? shares.findLastIndex((share) => share <= rollout.share_percent && rollout.share_percent > 0) : -1;
  return rollout.steps.map((step, index) => {
    const [share, bake, requests] = step.split(" ");
    const at = taken.find(({ details }) => details.share_percent === shares[index])?.at;
    const isHere = index === here;
    const wasTaken = index <= here || at !== undefined || rollout.stage === "done";
    const glyph = isHere ? "▸ " : wasTaken ? "✓ " : "";
    const isLast = index === shares.length - 1;
    return element("li", { class: wasTaken ? "taken" : "", "aria-current": isHere ? "step" : undefined },
      element("b", {}, `${glyph}${share.replace("%", " %")}`), element("span", {}, at ? clock(at) : isLast ? "the switch" : `${bake}, ${requests} requests`));
  });
}

/** The number in the words of the server, on a logarithmic bar, and what each metric adds to it. */
function bar({ judge }, value, rows, said) {
  if (!said?.number) return [element("p", { class: "muted" }, said?.band ?? "")];
  const parts = rows.filter(({ adds }) => adds !== null && adds >= 0.05).sort((a, b) => b.adds - a.adds);
  return [
    element("p", {}, element("strong", { class: "evidence" }, said.number), ` ${said.band}`),
    element("div", { class: "scale", "aria-hidden": "true" },
      element("b", { style: { width: `${onScale(value)}%` } }),
      MARKS.map(([mark, label, word]) => element("span", { style: { left: `${onScale(mark)}%` } }, label, element("em", {}, word)))),
    element("p", {}, parts.map(({ label, adds }) => `${label} adds ${number(adds)}`).join(" · ") || "No metric adds anything."),
    element("p", { class: "muted" }, judge?.text ?? ""),
    element("details", {}, element("summary", {}, "What does this number mean?"), element("p", {}, said.meaning)),
  ];
}
