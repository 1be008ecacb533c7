// The parts below the band: who gets what, the rollout, both sides in numbers, what happened, what runs.

import { at, clock, count, element, percent, time } from "./dom.js";

/** Where a number of evidence stands on a scale from 0.1 to 100, in percent; the scale is logarithmic. */
const onScale = (evidence) => Math.max(0, Math.min(100, ((Math.log10(Math.max(evidence, 0.1)) + 1) / 3) * 100));

const METRICS = {
  errors: "errors", refused: "refused", ttft: "time to first token", latency: "time of whole answers",
  gap: "gap", quality: "quality", error_limit: "limit of errors", latency_limit: "limit of p99",
};

/** The ribbon and the line of each environment. */
export function shares({ service, stats }, marks) {
  const withTraffic = service.environments.filter((environment) => environment.weight_percent > 0);
  at("ribbon").replaceChildren(...withTraffic.map(({ name, weight_percent }) => {
    const hatch = ["", "second", "third"][marks[name].index % 3];
    return element("i", { class: hatch, style: { "--hue": marks[name].hue, flex: `${weight_percent} 0 0` } });
  }));
  at("shares").replaceChildren(...service.environments.map((environment) => {
    const { name, version, role, weight_percent, in_flight } = environment;
    const rate = stats[name]?.requests_per_s ?? 0;
    const words = [`${weight_percent} %`, version, role, `${rate.toFixed(1)} req/s`, `${in_flight} in flight`];
    return element("li", {}, mark(marks[name]), ` ${name}  `, words.filter(Boolean).join("  "));
  }));
}

/** The shape of an environment in its hue. */
export const mark = ({ hue, glyph }) => element("span", { class: "mark", style: { "--hue": hue }, "aria-hidden": "true" }, glyph);

/** The steps, and the evidence. */
export function rollout({ rollout }) {
  at("rollout").hidden = !rollout;
  if (!rollout) return;
  const shares = rollout.steps.map((step) => Number.parseFloat(step));
  const reached = shares.findLastIndex((share) => share <= rollout.share_percent);
  const isAtWork = !["done", "rolled_back"].includes(rollout.stage);
  const version = rollout.version ? ` (${rollout.version})` : "";
  const place = isAtWork ? rollout.place : rollout.stage.replace("_", " ");
  at("rollout-title").textContent = `Rollout ${rollout.id}: ${rollout.candidate}${version}, ${place}`;
  at("track").replaceChildren(...rollout.steps.map((step, index) => {
    const [share, bake, requests] = step.split(" ");
    const detail = index === shares.length - 1 ? "the switch" : `${bake}, ${requests} requests`;
    const isHere = index === reached && isAtWork;
    const done = index <= reached && rollout.share_percent > 0;
    return element("li", { class: done ? "done" : "", "aria-current": isHere ? "step" : undefined },
      `${done && !isHere ? "✓ " : isHere ? "▸ " : ""}${share}`, element("div", {}, detail));
  }));
  if (isAtWork) evidence(rollout);
  else at("evidence").replaceChildren();
}

function evidence({ judge, candidate }) {
  const explained = judge?.details?.explanation;
  if (!explained?.parts) {
    at("evidence").replaceChildren(element("p", {}, judge?.text ?? "Nobody judges yet: no user has met it."));
    return;
  }
  const scale = [[1, "1"], [5, "5"], [20, "20", " hold"], [100, "100", " roll back"]];
  const parts = explained.parts.filter((part) => part.adds > 0.05).sort((a, b) => b.adds - a.adds);
  at("evidence").replaceChildren(
    element("p", {}, element("strong", {}, `Evidence against ${candidate}: ${round(explained.evidence)} of 100`)),
    element("div", { class: "scale", "aria-hidden": "true" },
      element("b", { style: { width: `${onScale(explained.evidence)}%` } }),
      ...scale.map(([value, label, word]) => element("span", { style: { left: `${onScale(value)}%` } }, label, element("em", {}, word ?? "")))),
    element("p", {}, parts.map((part) => `${METRICS[part.metric] ?? part.metric} adds ${round(part.adds)}`).join(" · ")),
    element("p", { class: "muted" }, judge.text),
  );
}

const round = (value) => (value >= 1000 ? value.toExponential(0) : Number(value.toPrecision(2)));

/** Both sides, number beside number, each with how many it is of. */
export function measures({ service, stats, comparison }, marks) {
  const names = service.environments.map(({ name }) => name).filter((name) => stats[name]);
  const quantile = (metric, name) => (row) => {
    const measured = row[metric];
    return measured?.count && measured[name] !== null ? `${time(measured[name])}  of ${count(measured.count)}` : "–";
  };
  const quality = (row) => {
    const scores = row.scores?.quality?.["5m"];
    return scores?.count ? `${scores.mean.toFixed(3)}  of ${count(scores.count)}` : "–";
  };
  const failed = (row) => row.requests ? `${percent(row.failed_percent)}  of ${count(row.requests)}` : "–";
  const rows = [
    ["errors", failed, comparison?.error_rate_percent],
    ["TTFT p50", quantile("ttft", "p50_ms")],
    ["TTFT p99", quantile("ttft", "p99_ms"), comparison?.latency_signal === "ttft" ? comparison.latency_p99_ms : undefined],
    ["gap p99", quantile("gap", "p99_ms")],
    ["latency p99", quantile("total", "p99_ms"), comparison?.latency_signal === "total" ? comparison.latency_p99_ms : undefined],
    ["tokens/s", (row) => (row.tokens?.output ? row.tokens.output_per_s.toFixed(0) : "–")],
    ["quality", quality, comparison?.quality],
  ];
  const head = element("tr", {}, element("th", { scope: "col" }, ""),
    ...names.map((name) => element("th", { scope: "col" }, mark(marks[name]), ` ${name}`)), element("th", { scope: "col" }, "comparison"));
  const body = rows.map(([label, value, compared]) => element("tr", {}, element("th", { scope: "row" }, label),
    ...names.map((name) => element("td", {}, value(stats[name]))), element("td", {}, answer(compared))));
  at("measures").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  at("window").textContent = comparison ? comparison.explanation : "The last five minutes.";
  at("window").append(verdicts(names, stats));
}

const ANSWERS = { safe: "within", unsafe: "not safe", not_enough_data: "not enough data" };

const answer = (compared) => (compared ? ANSWERS[compared.answer] ?? compared.answer : "");

/** What went wrong, by verdict; nothing when nothing did. */
function verdicts(names, stats) {
  const bad = names.flatMap((name) => Object.entries(stats[name].verdicts)
    .filter(([verdict, number]) => number > 0 && verdict !== "complete")
    .map(([verdict, number]) => `${name} ${verdict.replaceAll("_", " ")} ${count(number)}`));
  return bad.length ? ` Not complete: ${bad.join(", ")}.` : "";
}

/** What happened, newest first. */
export function journal({ journal }, filter) {
  const wanted = filter.toLowerCase();
  const shown = journal.filter((entry) => `${entry.text} ${entry.actor} ${entry.kind}`.toLowerCase().includes(wanted));
  at("journal").replaceChildren(...shown.map((entry) => element("li", { id: `journal-${entry.id}` },
    element("time", { datetime: entry.at, class: "muted" }, clock(entry.at)),
    element("span", {}, entry.text, entry.reason ? ` (${entry.reason})` : "", element("span", { class: "muted" }, `  ${entry.actor}`)))));
  if (!shown.length) at("journal").append(element("li", {}, "Nothing that fits."));
}

/** Every environment with its upstreams, and what can be done to it. */
export function environments({ service }, marks, actions) {
  at("environments").replaceChildren(...service.environments.map((environment) => {
    const upstreams = environment.upstreams.map((upstream) => {
      const words = [upstream.probe, upstream.last_probe, upstream.ejected && "taken out", upstream.suspect, `${upstream.in_flight} in flight`];
      return element("li", {}, `${upstream.address}  `, words.filter(Boolean).join(", "));
    });
    const title = element("strong", {}, mark(marks[environment.name]), ` ${environment.name} ${environment.version ?? ""}`);
    return element("div", { class: "environment" },
      element("div", { class: "row" }, title, element("span", {}, ...actions(environment))), element("ul", {}, ...upstreams));
  }));
}
