// Pictures of numbers: the limits, the laps, the scores, the answer times.

import { h, s, withShare } from "./dom.js";
import { ms, number, percent, t, words } from "./words.js";

/** The score of the good labels together; null where the task has none. */
export function goodScore(scores, limits) {
  const good = limits?.good ?? [];
  if (!good.length || !good.every((label) => label in scores)) return null;
  return Math.min(1, good.reduce((sum, label) => sum + scores[label], 0));
}

/** The limits in force for the likeliest good label. */
export function band(scores, limits) {
  const likeliest = [...limits.good].sort((a, b) => scores[b] - scores[a])[0];
  return limits.classes?.[likeliest] ?? { accept: limits.accept, reject: limits.reject };
}

/** The good labels' score or the anomaly of a part against its limits; null where it has neither. */
export function limitBar({ scores, label, anomaly }, limits) {
  const score = goodScore(scores, limits);
  if (score !== null) {
    const { accept, reject } = band(scores, limits);
    const alt = t("limit.alt", { score: percent(score), accept: percent(accept, 0), reject: percent(reject, 0) });
    const said = limits.good.includes(label) ? "" : t("limit.good", { score: percent(score) });
    return track(score, [reject, accept], ["reject", "review", "accept"], (value) => percent(value, 0), alt, said);
  }
  if (!limits?.anomaly || anomaly === null || anomaly === undefined) return null;
  const { accept, reject } = limits.anomaly;
  const form = (value) => String(Number(value.toPrecision(3)));
  const alt = t("limit.anomaly.alt", { score: form(anomaly), accept: form(accept), reject: form(reject) });
  return track(anomaly, [accept, reject], ["accept", "review", "reject"], form, alt, "", Math.max(reject * 1.25, anomaly * 1.02) || 1);
}

/** A track with its three stretches and the value on it. */
function track(value, [first, second], names, form, alt, said, whole = 1) {
  const shares = [first, second - first, whole - second].map((stretch) => Math.max(0, stretch) / whole);
  const zones = names.map((name, place) => withShare(h("span", { class: `zone ${name}` }), "--share", shares[place]));
  const needle = withShare(h("span", { class: "needle" }), "--at", Math.max(0, value) / whole);
  const at = (share, text, kind) => withShare(h("span", { class: kind }, text), "--at", share);
  const middles = [shares[0] / 2, shares[0] + shares[1] / 2, 1 - shares[2] / 2];
  const ticks = h("div", { class: "limit-ticks" },
    ...[first, second].map((edge) => at(edge / whole, form(edge), "tick")),
    ...names.map((name, place) => (shares[place] > 0.19 ? at(middles[place], t(`limit.${name}`), "name") : null)));
  return h("div", { class: "limit-bar", role: "img", "aria-label": alt },
    said ? h("p", { class: "limit-score" }, said) : null, h("div", { class: "limit-track" }, ...zones, needle), ticks);
}

/** Scores as bars, best first. */
export function scoreBars(scores, most = 6) {
  const entries = Object.entries(scores).sort((a, b) => b[1] - a[1]).slice(0, most);
  return h("ul", { class: "score-bars" }, ...entries.map(([label, score]) =>
    h("li", {}, h("span", { class: "label" }, words(label)),
      withShare(h("span", { class: "bar" }), "--share", score),
      h("b", {}, percent(score)))));
}

const lapName = (name) => {
  const text = t(`lap.${name}`);
  return text === `lap.${name}` ? name : text;
};

/** The stages of one inspection as a bar of the whole budget. */
export function lapsBar(laps, totalMs, budgetMs) {
  const whole = Math.max(budgetMs || 0, totalMs, 0.001);
  const entries = Object.entries(laps).filter(([, value]) => value >= 0.05);
  const alt = entries.map(([name, value]) => `${lapName(name)} ${ms(value)} ms`).join(", ");
  return h("div", { class: "laps" },
    h("div", { class: "laps-bar", role: "img", "aria-label": alt }, ...entries.map(([name, value]) =>
      withShare(h("span", { class: `lap lap-${name}`, title: lapName(name) }), "--share", value / whole))),
    h("ul", { class: "laps-key" }, ...entries.map(([name, value]) =>
      h("li", {}, h("i", { class: `lap-${name}` }), `${lapName(name)} `, h("b", {}, `${ms(value)} ms`))),
    h("li", { class: "total" }, t("upload.total", { ms: ms(totalMs) }))));
}

const quantile = (sorted, share) => sorted[Math.round((sorted.length - 1) * share)];

/** P50, P95 and P99 of some milliseconds. */
export function percentiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), p99: quantile(sorted, 0.99) };
}

/** Answer times, oldest left, with the budget drawn: far below it is where they belong. */
export function latencyChart(inspections, budgetMs, slots) {
  const shown = inspections.slice(0, slots).reverse();
  const top = Math.max(budgetMs * 1.12, ...shown.map((i) => Math.min(i.total_ms, budgetMs * 2)));
  const y = (value) => 100 - (Math.min(value, top) / top) * 100;
  const bars = shown.map((inspection, index) => s("rect", {
    class: `bar ${inspection.total_ms >= budgetMs ? "late" : ""}`,
    x: slots - shown.length + index + 0.15,
    width: 0.7,
    y: Math.min(y(inspection.total_ms), 98.5),
    height: Math.max(100 - y(inspection.total_ms), 1.5),
  }));
  const found = percentiles(shown.map((i) => i.total_ms));
  const alt = shown.length
    ? t("latency.alt", { n: shown.length, budget: number(budgetMs), p50: ms(found.p50), p95: ms(found.p95), p99: ms(found.p99) })
    : "";
  const svg = s("svg", { viewBox: `0 0 ${slots} 100`, preserveAspectRatio: "none", role: "img", "aria-label": alt },
    s("line", { class: "half", x1: 0, x2: slots, y1: y(budgetMs / 2), y2: y(budgetMs / 2) }),
    ...bars,
    s("line", { class: "budget", x1: 0, x2: slots, y1: y(budgetMs), y2: y(budgetMs) }));
  return h("div", { class: "latency-plot" }, svg,
    withShare(h("span", { class: "tick budget" }, t("latency.budget", { ms: number(budgetMs) })), "--at", y(budgetMs) / 100),
    withShare(h("span", { class: "tick" }, number(budgetMs / 2)), "--at", y(budgetMs / 2) / 100));
}

const WINDOW = 20;

/** The share of OK in each stretch of 20 parts, oldest left; nothing before there are enough. */
export function yieldTrend(inspections) {
  const good = inspections.map((inspection) => Number(inspection.verdict === "OK")).reverse();
  const shares = good.slice(WINDOW - 1).map((_, end) =>
    good.slice(end, end + WINDOW).reduce((sum, one) => sum + one, 0) / WINDOW);
  if (shares.length < 2) return [];
  const low = Math.min(0.5, ...shares);
  const y = (share) => 100 * (1 - (share - low) / (1 - low));
  const points = shares.map((share, index) => `${(index / (shares.length - 1)) * 100},${y(share)}`);
  const alt = t("yield.trend", { n: good.length, low: percent(Math.min(...shares), 0), high: percent(Math.max(...shares), 0) });
  return [s("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": alt },
    s("line", { x1: 0, x2: 100, y1: 0, y2: 0 }), s("polyline", { points: points.join(" ") }))];
}
