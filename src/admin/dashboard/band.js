// The verdict band: what is going on, in a word and a sentence, what comes next, and what can be done.

import { at, clock } from "./dom.js";

const GLYPHS = { idle: "–", ramping: "→", paused: "‖", held: "!", rolled_back: "↩", done: "✓", disconnected: "…" };
const WORDS = {
  idle: "IDLE", ramping: "RAMPING", paused: "PAUSED", held: "HELD", rolled_back: "ROLLED BACK",
  done: "DONE", disconnected: "DISCONNECTED",
};
/** Stages before users meet the candidate. */
const CHECKS = ["ready", "smoke", "quality", "warm_up"];

/** The state of a service in one word. */
export function stateOf(rollout) {
  if (!rollout) return "idle";
  if (rollout.stage === "rolled_back" || rollout.stage === "rolling_back") return "rolled_back";
  if (rollout.stage === "done") return "idle";
  if (rollout.held) return "held";
  if (rollout.paused) return "paused";
  return rollout.stage === "switched" ? "done" : "ramping";
}

/** The first sentence. */
function sentence(state, { service, rollout }) {
  switch (state) {
    case "rolled_back": return rollout.cause?.text ?? service.explanation;
    case "held": return rollout.held;
    case "paused": {
      const why = rollout.paused.reason ? `: “${rollout.paused.reason}”` : "";
      return `${rollout.paused.by} paused ${rollout.candidate} at ${rollout.place}${why}.`;
    }
    case "ramping":
      return CHECKS.includes(rollout.stage) || !rollout.judge
        ? `${rollout.candidate} is ${rollout.place}; no user has met it yet.`
        : `${rollout.candidate} at ${rollout.place}. ${rollout.judge.text}`;
    default: return service.explanation;
  }
}

/** What happens by itself, or that nothing does. */
function next(state, { rollout }) {
  if (state === "idle") return rollout ? `Rollout ${rollout.id} of ${rollout.candidate}: ${rollout.place}.` : "No rollout has run yet.";
  if (state === "rolled_back") return "Nothing more happens by itself.";
  const waits = rollout.waits_for.join("; ");
  if (state === "paused") return "Nothing goes up by itself. A breach still rolls back.";
  if (state === "done") return waits ? `Waits for ${waits}.` : "";
  const share = rollout.next_percent === null ? "" : `Next: ${rollout.next_percent} %`;
  return waits ? `${share || "Goes on"} when it has ${waits}.` : `${share}.`;
}

/** Draws the band of a service that was heard from. */
export function draw(view) {
  const state = stateOf(view.rollout);
  put(state, sentence(state, view), next(state, view));
  document.title = `${GLYPHS[state]} ${WORDS[state].toLowerCase()}${view.rollout ? ` ${view.rollout.share_percent} %` : ""} · ${view.service.name}`;
  return state;
}

/** Nobody answers. What the page shows is old, and says so. */
export function drawDisconnected(since, attempt) {
  const seconds = Math.round((Date.now() - since) / 1000);
  put(
    "disconnected",
    `No news from Cyan for ${seconds} s. What you see (greyed) is from ${clock(since)}. Users may well be served.`,
    `Trying again, attempt ${attempt}. In a shell: cyan status`,
  );
  document.title = "… disconnected · Cyan";
}

function put(state, text, what) {
  const band = at("band");
  band.dataset.state = state;
  set(at("glyph"), GLYPHS[state]);
  set(at("word"), WORDS[state]);
  set(at("sentence"), text);
  set(at("next"), what);
}

/** Text that has not changed is left alone, so that it is not read out again. */
function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
