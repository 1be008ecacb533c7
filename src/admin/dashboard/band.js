// The verdict band: what is going on, in a word and a sentence, and what comes next. All of it in the words of
// the server; the page adds only how old they are.

import { at } from "./dom.js";
import { clock } from "./format.js";

const LOST = { state: "disconnected", glyph: "…", word: "DISCONNECTED" };
/** What fills the icon: the ink of the state's band, or none. */
const ICONS = { held: "#ffd560", rolled_back: "#a81e17", rolling_back: "#a81e17", disconnected: "#55606d" };

/** Draws the band of a service that was heard from. */
export function draw({ services, service }) {
  const { glyph, word } = services.find(({ name }) => name === service.name);
  show({ state: service.state, glyph, word, sentence: service.explanation, next: service.next });
  const share = service.rollout && !["idle", "split"].includes(service.state) ? ` ${service.rollout.share_percent} %` : "";
  document.title = `${glyph} ${word.toLowerCase()}${share} · ${service.name}`;
}

/** Nobody answers. What the page shows is old, and says so. */
export function drawLost(since, attempt) {
  const { sentence, next } = at("lost").dataset;
  const seconds = Math.max(1, Math.round((Date.now() - since) / 1000));
  show({
    ...LOST, next: next.replace("{attempt}", Math.max(attempt, 1)),
    sentence: sentence.replace("{seconds}", seconds).replace("{time}", clock(since)),
  });
  document.title = "… disconnected · Cyan";
}

function show({ state, glyph, word, sentence, next }) {
  const band = at("band");
  if (band.dataset.state !== state) {
    band.dataset.state = state;
    // A rollback is read out at once, everything else when the reader has time.
    at("sentence").setAttribute("aria-live", ["rolled_back", "rolling_back"].includes(state) ? "assertive" : "polite");
    at("icon").href = icon(glyph, ICONS[state]);
  }
  for (const [id, text] of Object.entries({ glyph, word, sentence, next })) {
    if (at(id).textContent !== text) at(id).textContent = text;
  }
}

/** The glyph of the state, on its colour. */
function icon(glyph, fill) {
  const ink = fill && fill !== "#ffd560" ? "#fff" : "#15191e";
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="${fill ?? "#fff"}" stroke="#15191e"/><text x="16" y="23" font-family="sans-serif" font-size="22" font-weight="700" text-anchor="middle" fill="${ink}">${glyph}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(picture)}`;
}
