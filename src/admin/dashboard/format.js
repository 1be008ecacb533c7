// Numbers as people read them. A number that rests on no data is a dash, never a zero.

const NOTHING = "–";

/** Milliseconds with three digits that matter. */
export function time(ms) {
  if (ms === null || ms === undefined) return NOTHING;
  if (ms < 1000) return `${ms < 9.95 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  return ms < 99_950 ? `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s` : `${(ms / 1000).toFixed(0)} s`;
}

/** A share with as many places as it needs. */
export function percent(value) {
  if (value === null || value === undefined) return NOTHING;
  return `${value.toFixed(Math.abs(value) < 9.95 ? 2 : 1)} %`;
}

/** A count with narrow spaces. */
export const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** A number of evidence. */
export function evidence(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value > 10_000) return "over 10000";
  return value >= 10 ? value.toFixed(0) : value.toFixed(1);
}

/** A value in the unit of its row. */
export function inUnit(unit, value) {
  if (value === null || value === undefined) return NOTHING;
  return { percent: () => percent(value), ms: () => time(value), per_s: () => value.toFixed(0), score: () => value.toFixed(3) }[unit]();
}

/** A difference in the unit of its row: with its sign. */
export function difference(unit, value) {
  if (value === null || value === undefined) return NOTHING;
  const text = inUnit(unit, Math.abs(value)).replace("%", "pt");
  return `${value < 0 ? "−" : "+"}${text}`;
}

/** A moment as a clock shows it; with the day when it was not today. */
export function clock(text) {
  const date = new Date(text);
  const isToday = date.toDateString() === new Date().toDateString();
  const hours = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return isToday ? hours : `${date.toLocaleDateString([], { month: "short", day: "numeric" })} ${hours}`;
}
