// Limits over what the last parts gave: what a new limit would have decided, before saving.

import { send } from "./api.js";
import { bandEditor } from "./band.js";
import { h, say } from "./dom.js";
import { rulesEditor } from "./rules.js";
import { chip } from "./verdict.js";
import { number, t, words } from "./words.js";

const SOON_MS = 120;
const VERDICTS = ["OK", "REVIEW", "NG"];

/** An editor of limits, tried on the last parts; `changed` gets them whenever they change. */
export function limitsEditor(job, { task, labels }, changed) {
  const limits = structuredClone(job.limits);
  const outcome = h("div", { class: "outcome", role: "status" });
  const plots = new Map();
  const trial = new Trial(job.number, task, plots, outcome);
  const told = () => {
    changed(limits);
    trial.soon(limits);
  };
  const fields = [];
  if (task === "classification") fields.push(goodLabels(limits, labels, told));
  if (task === "classification" || task === "detection") {
    const score = bandEditor({ band: () => limits, high: true, share: true, told });
    plots.set("score", score.take);
    fields.push(score.element);
  }
  fields.push(rulesEditor(task, limits, labels, plots, told));
  trial.soon(limits);
  return h("div", { class: "limits-editor" }, ...fields, outcome);
}

function goodLabels(limits, labels, told) {
  const choice = (label) => {
    const box = h("input", { type: "checkbox", checked: limits.good.includes(label) });
    box.addEventListener("change", () => {
      limits.good = labels.filter((name) => (name === label ? box.checked : limits.good.includes(name)));
      told();
    });
    return h("label", { class: "choice" }, box, h("span", {}, words(label)));
  };
  return h("fieldset", { class: "choices" }, h("legend", {}, t("limits.good")), ...labels.map(choice));
}

/** Asks the device what limits would have done, a moment after the last change. */
class Trial {
  constructor(job, task, plots, outcome) {
    Object.assign(this, { job, task, plots, outcome, timer: 0, turn: 0 });
  }

  soon(limits) {
    clearTimeout(this.timer);
    const wanted = structuredClone(limits);
    this.timer = setTimeout(() => this.ask(wanted), SOON_MS);
  }

  async ask(limits) {
    const turn = ++this.turn;
    try {
      const found = await send("POST", "/page/preview", { job: this.job, task: this.task, limits });
      if (turn === this.turn) this.show(found);
    } catch (refused) {
      if (turn === this.turn) say(this.outcome, refused.message);
    }
  }

  show(found) {
    for (const [name, take] of this.plots) take(found.histograms[name]);
    if (!found.parts) {
      this.outcome.replaceChildren(h("p", { class: "note" }, found.reason || t("limits.no.parts")));
      return;
    }
    this.outcome.replaceChildren(
      h("p", {}, h("b", {}, t("limits.changed", { n: number(found.changed), parts: number(found.parts) }))),
      h("ul", { class: "moves" }, ...VERDICTS.map((verdict) => move(verdict, found.was[verdict], found.would[verdict]))),
      found.estimated ? h("p", { class: "note" }, t("limits.estimated")) : "",
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
