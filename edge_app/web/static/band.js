// Two limits as sliders under the histogram of what the last parts gave. The two push each other.

import { h, s, say } from "./dom.js";
import { number, percent, t } from "./words.js";

const STEPS = 100;

/** A share as a percentage; of small scales with the digits they need. */
const form = (value, to, share) => (share ? percent(value, to >= 0.5 ? 0 : 1) : number(value, to < 1 ? 3 : to < 100 ? 2 : 0));

/**
 * An editor of a band `{accept, reject}`.
 * @param band gives it, to be changed in place.
 * @param high whether more is better: a good score, not a defect's area.
 * @param share whether the values are shares of one.
 */
export function bandEditor({ band, high, share, name = "", told }) {
  const order = high ? ["reject", "accept"] : ["accept", "reject"];
  const words = high ? { reject: "limits.reject", accept: "limits.accept" } : { accept: "limits.up.to", reject: "limits.ng.from" };
  const plot = h("div", { class: "histogram" });
  let seen = { from: 0, to: 1, bins: [] };
  const scale = () => Math.max(seen.to, ...order.map((each) => band()[each] || 0)) - seen.from || 1;
  const sliders = order.map((which, place) => {
    const input = h("input", { type: "range", "aria-label": [name, t(words[which])].filter(Boolean).join(": "), min: 0, max: STEPS, step: 1 });
    const value = h("output", {});
    input.addEventListener("input", () => {
      const now = seen.from + (Number(input.value) / STEPS) * scale();
      const other = order[1 - place];
      const both = band();
      both[which] = Number(now.toPrecision(6));
      if (place === 0 ? both[other] < both[which] : both[other] > both[which]) both[other] = both[which];
      show();
      told();
    });
    const put = () => {
      input.value = ((band()[which] - seen.from) / scale()) * STEPS;
      say(value, form(band()[which], seen.to, share));
    };
    return { input, put, head: h("p", { "data-limit": which }, t(words[which]), " ", value) };
  });
  function show() {
    for (const each of sliders) each.put();
    const to = seen.from + scale();
    plot.replaceChildren(histogram({ ...seen, end: to }, order.map((which) => ({ at: band()[which], kind: which })), zoneOf(band(), high), name));
  }
  show();
  const element = h("div", { class: "band" },
    h("div", { class: "slider-heads" }, ...sliders.map((each) => each.head)), plot,
    h("div", { class: "sliders" }, ...sliders.map((each) => each.input)));
  return { element, show, take: (found) => { seen = found ?? seen; show(); } };
}

/** Which verdict a value gets that lies between two places. */
const zoneOf = ({ accept, reject }, high) => (from, to) => {
  const middle = (from + to) / 2;
  if (high) return middle < reject ? "NG" : middle > accept ? "OK" : "REVIEW";
  return middle > reject ? "NG" : middle < accept ? "OK" : "REVIEW";
};

/** How many parts gave which value, on a square-root scale so that the few in between are seen. */
export function histogram({ from, to, end = to, bins }, lines, zone, name = "") {
  const top = Math.sqrt(Math.max(1, ...bins));
  const wide = (to - from) / Math.max(1, bins.length);
  const x = (value) => ((value - from) / (end - from || 1)) * 100;
  const bars = bins.map((count, index) => {
    const at = from + index * wide;
    const tall = (Math.sqrt(count) / top) * 94;
    return s("rect", {
      "data-verdict": zone(at, at + wide),
      x: x(at) + 0.15, width: Math.max(0.2, x(at + wide) - x(at) - 0.3), y: 100 - tall, height: tall,
    });
  });
  const marks = lines.map(({ at, kind }) => s("line", { class: kind, x1: x(at), x2: x(at), y1: 0, y2: 100 }));
  return s("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": [name, t("limits.histogram")].filter(Boolean).join(": ") }, ...bars, ...marks);
}
