// The rollout: its steps, and the evidence against the candidate on a logarithmic bar.

import { at, element, put } from "./dom.js";
import { clock, evidence as number } from "./format.js";

/** The bar begins at 0.1; it is logarithmic, so that 20 of 100 does not look calm. */
const LEAST = 0.1;
const MARKS = [[1, "1", ""], [5, "5", ""], [20, "20", " hold"], [100, "100", " roll back"]];
const BANDS = [[1, "Nothing speaks against it."], [5, "No more than chance."], [20, "Worth watching; the step waits for less than 5."],
  [100, "Held once users confirm it."], [Infinity, "It goes back once users confirm it."]];

const onScale = (value) => (Math.log10(Math.min(100, Math.max(LEAST, value)) / LEAST) / Math.log10(100 / LEAST)) * 100;

/** Draws it; nothing where there was none. */
export function draw({ service, evidence, rows }, journal) {
  const { rollout } = service;
  at("rollout").hidden = !rollout;
  if (!rollout) return;
  const version = rollout.version ? ` (${rollout.version})` : "";
  put(at("rollout-title"), `Rollout ${rollout.id}: ${rollout.candidate}${version}, ${rollout.stage.replaceAll("_", " ")}`);
  put(at("track"), steps(rollout, journal));
  put(at("evidence"), ...bar(rollout, evidence, rows));
}

/** The plan's steps: which were taken and when, where it stands, what is to come. */
function steps(rollout, journal) {
  const taken = journal.filter(({ kind, details, at: when }) => kind === "rollout_stepped" && Date.parse(when) >= Date.parse(rollout.started_at) - 1000
    && details?.share_percent !== undefined);
  const isAtWork = !["done", "rolled_back", "rolling_back", "returning"].includes(rollout.stage);
  const shares = rollout.steps.map((step) => Number.parseFloat(step));
  const here = shares.findLastIndex((share) => share <= rollout.share_percent && rollout.share_percent > 0);
  return rollout.steps.map((step, index) => {
    const [share, bake, requests] = step.split(" ");
    const at = taken.find(({ details }) => details.share_percent === shares[index])?.at;
    const isHere = index === here && isAtWork;
    const wasTaken = index <= here || at !== undefined;
    const glyph = isHere ? "▸ " : wasTaken ? "✓ " : "";
    const isLast = index === shares.length - 1;
    return element("li", { class: wasTaken ? "taken" : "", "aria-current": isHere ? "step" : undefined },
      element("b", {}, `${glyph}${share.replace("%", " %")}`), element("span", {}, at ? clock(at) : isLast ? "the switch" : `${bake}, ${requests} requests`));
  });
}

function bar({ judge, candidate, stage }, value, rows) {
  if (value === null || value === undefined) {
    const why = judge?.text ?? (stage === "done" ? "It is over: nobody judges any more." : "Nobody judges yet: no user has met it.");
    return [element("p", { class: "muted" }, why)];
  }
  const parts = rows.filter(({ adds }) => adds !== null && adds >= 0.05).sort((a, b) => b.adds - a.adds);
  const band = stage === "rolled_back" ? "Rolled back." : BANDS.find(([below]) => value < below)[1];
  return [
    element("p", {}, element("strong", { class: "evidence" }, `Evidence against ${candidate}: ${number(value)} of 100`), ` ${band}`),
    element("div", { class: "scale", "aria-hidden": "true" },
      element("b", { style: { width: `${onScale(value)}%` } }),
      MARKS.map(([mark, label, word]) => element("span", { style: { left: `${onScale(mark)}%` } }, label, element("em", {}, word)))),
    element("p", {}, parts.map(({ label, adds }) => `${label} adds ${number(adds)}`).join(" · ") || "No metric adds anything."),
    element("p", { class: "muted" }, judge?.text ?? ""),
    element("details", {}, element("summary", {}, "What does this number mean?"), element("p", {}, MEANING)),
  ];
}

const MEANING = "It is not a chance that the candidate is bad, and not a score. It is what a gambler who bets that the candidate is worse has made of one coin; "
  + "looking often does not help him. If the candidate is no worse, at most 1 rollout in 100 ever reaches 100. "
  + "It counts requests as if users were alike; so before a hold or a rollback Cyan also counts each user's first error.";
