// Limits over the scores of the last parts: what a new limit would have decided, before saving.

import { send } from "./api.js";
import { h, s, say } from "./dom.js";
import { rulesEditor } from "./rules.js";
import { chip } from "./verdict.js";
import { number, percent, t, words } from "./words.js";

const SOON_MS = 120;
const VERDICTS = ["OK", "REVIEW", "NG"];

/**
 * An editor of limits; `changed` gets them whenever they change.
 * A classification's are tried on the last parts; of the others no scores are kept to try on.
 */
export function limitsEditor(job, { task, labels }, changed) {
  const limits = structuredClone(job.limits);
  const plot = h("div", { class: "histogram" });
  const outcome = h("div", { class: "outcome", role: "status" });
  const tried = new Trial(job.number, plot, outcome);
  const told = () => {
    changed(limits);
    if (task === "classification") tried.soon(limits);
  };
  const good = h("fieldset", { class: "choices" }, h("legend", {}, t("limits.good")), ...labels.map((label) => choice(label)));
  function choice(label) {
    const box = h("input", { type: "checkbox", checked: limits.good.includes(label) });
    box.addEventListener("change", () => {
      limits.good = labels.filter((name) => (name === label ? box.checked : limits.good.includes(name)));
      told();
    });
    return h("label", { class: "choice" }, box, h("span", {}, words(label)));
  }
  function slider(name) {
    const input = h("input", { type: "range", "aria-label": t(`limits.${name}`), min: 0, max: 100, step: 1, value: limits[name] * 100 });
    const value = h("output", {}, percent(limits[name], 0));
    input.addEventListener("input", () => {
      limits[name] = Number(input.value) / 100;
      // The two limits push each other, so that they never contradict.
      if (name === "accept" && limits.reject > limits.accept) limits.reject = limits.accept;
      if (name === "reject" && limits.accept < limits.reject) limits.accept = limits.reject;
      for (const each of all) each.show();
      told();
    });
    const show = () => {
      input.value = limits[name] * 100;
      say(value, percent(limits[name], 0));
    };
    return { show, input, head: h("p", { "data-limit": name }, t(`limits.${name}`), " ", value) };
  }
  const all = [slider("reject"), slider("accept")];
  const heads = h("div", { class: "slider-heads" }, ...all.map((each) => each.head));
  const sliders = h("div", { class: "sliders" }, ...all.map((each) => each.input));
  const rules = rulesEditor(task, limits, labels, told);
  if (rules) {
    const scores = task === "detection" ? [heads, sliders] : [];
    return h("div", { class: "limits-editor" }, ...scores, rules, h("p", { class: "note" }, t("limits.other")));
  }
  if (task === "classification") tried.soon(limits);
  return h("div", { class: "limits-editor" }, good, heads, plot, sliders, outcome);
}

/** Asks the device what limits would have done, a moment after the last change. */
class Trial {
  constructor(job, plot, outcome) {
    Object.assign(this, { job, plot, outcome, timer: 0, turn: 0 });
  }

  soon(limits) {
    clearTimeout(this.timer);
    const wanted = structuredClone(limits);
    this.timer = setTimeout(() => this.ask(wanted), SOON_MS);
  }

  async ask(limits) {
    const turn = ++this.turn;
    try {
      const found = await send("POST", "/page/preview", { job: this.job, limits });
      if (turn === this.turn) this.show(found, limits);
    } catch (refused) {
      if (turn === this.turn) say(this.outcome, refused.message);
    }
  }

  show(found, limits) {
    this.plot.replaceChildren(histogram(found.histogram, limits));
    if (!found.parts) {
      this.outcome.replaceChildren(h("p", { class: "note" }, t("limits.no.parts")));
      return;
    }
    this.outcome.replaceChildren(
      h("p", {}, h("b", {}, t("limits.changed", { n: number(found.changed), parts: number(found.parts) }))),
      h("ul", { class: "moves" }, ...VERDICTS.map((verdict) => move(verdict, found.was[verdict], found.would[verdict]))),
      h("ol", { class: "filmstrip" }, ...found.shown.slice(0, 16).map(part)));
  }
}

function move(verdict, was, would) {
  const by = would - was;
  const sign = by > 0 ? `+${number(by)}` : by < 0 ? `−${number(-by)}` : "";
  return h("li", {}, chip(verdict), h("b", {}, `${number(was)} → ${number(would)}`), h("span", { class: "soft" }, sign));
}

function part({ id, was, would, image, part: name }) {
  return h("li", {}, h("a", { class: "tile", href: `/records/${id}`, "data-verdict": would },
    h("span", { class: "thumb" }, image ? h("img", { src: `/api/v1/inspections/${id}/image`, alt: "", loading: "lazy" }) : null),
    h("span", { class: "tile-foot" }, `${t(`short.${was}`)} → ${t(`short.${would}`)}`),
    name ? h("span", { class: "tile-said" }, name) : null));
}

/** How many parts had which score, on a square-root scale so that the few in between are seen. */
function histogram(bins, { accept, reject }) {
  const top = Math.sqrt(Math.max(1, ...bins));
  const step = 100 / bins.length;
  const zone = (at, until) => (at + step / 100 / 2 < reject ? "NG" : until - step / 100 / 2 > accept ? "OK" : "REVIEW");
  const bars = bins.map((count, index) => {
    const tall = (Math.sqrt(count) / top) * 94;
    return s("rect", {
      "data-verdict": zone(index / bins.length, (index + 1) / bins.length),
      x: index * step + 0.15, width: step - 0.3, y: 100 - tall, height: tall,
    });
  });
  const line = (at, kind) => s("line", { class: kind, x1: at * 100, x2: at * 100, y1: 0, y2: 100 });
  return s("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": t("limits.histogram") },
    ...bars, line(reject, "reject"), line(accept, "accept"));
}
