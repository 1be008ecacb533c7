// What happened, newest first, and the last releases.

import { at, element, put } from "./dom.js";
import { clock } from "./format.js";

/** Draws the entries that contain the filter's words. */
export function draw(entries, filter, marked) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = ({ text, actor, kind, reason }) => `${text} ${actor} ${kind} ${reason ?? ""}`.toLowerCase();
  const shown = entries.filter((entry) => words.every((word) => text(entry).includes(word)));
  put(at("journal"), shown.length ? shown.map((entry) => element("li", { "data-key": entry.id, id: `journal-${entry.id}`, class: String(entry.id) === marked ? "marked" : "" },
    element("time", { datetime: entry.at, class: "muted" }, clock(entry.at)),
    element("span", {}, entry.text, entry.reason ? `: “${entry.reason}”` : "", element("span", { class: "muted" }, ` ${entry.actor}`))))
    : element("li", {}, words.length ? "Nothing that fits." : "Nothing has happened yet."));
}

/** Draws the last rollouts. */
export function releases(rollouts, marked) {
  put(at("releases"), rollouts.length ? rollouts.map(({ id, candidate, version, started, end, cause, started_by, has_records }) => element("li", { "data-key": id, id: `rollout-${id}`, class: String(id) === marked ? "marked" : "" },
    element("time", { datetime: started, class: "muted" }, clock(started)),
    element("span", {}, `${id}: ${candidate}${version ? ` (${version})` : ""}, ${end.replaceAll("_", " ")}${cause ? `: ${cause.text}` : ""}`,
      element("span", { class: "muted" }, ` ${started_by}${has_records ? ` · cyan replay --rollout ${id}` : ""}`))))
    : element("li", {}, "No rollout has run yet."));
}
