// Limits by label: counts of detections, areas, anomalies. An empty field: no rule.

import { bandEditor, histogram } from "./band.js";
import { h } from "./dom.js";
import { t, words } from "./words.js";

const BAND = ["accept", "reject"];
const COUNT = ["least", "most"];

/** A row of number fields; `write` gets the numbers, or null when one of them is empty. */
function row(label, names, read, write) {
  const inputs = names.map((name) =>
    h("input", { type: "number", step: "any", min: 0, "aria-label": `${label}: ${t(`rule.${name}`)}` }));
  for (const input of inputs) {
    input.addEventListener("change", () => {
      const all = inputs.map((each) => (each.value === "" ? null : Number(each.value)));
      write(all.includes(null) ? null : Object.fromEntries(names.map((name, place) => [name, all[place]])));
    });
  }
  const show = () => inputs.forEach((input, place) => { input.value = read()?.[names[place]] ?? ""; });
  show();
  return { element: h("tr", {}, h("th", { scope: "row" }, label), ...inputs.map((input) => h("td", {}, input))), show };
}

function table(title, names, rows) {
  return h("table", { class: "rules" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, title), ...names.map((name) => h("th", { scope: "col" }, t(`rule.${name}`))))),
    h("tbody", {}, ...rows.map((each) => each.element)));
}

function counts(limits, labels, plots, told) {
  const ruleOf = (label) => limits.counts?.find((rule) => rule.label === label);
  const places = h("div", { class: "bands" });
  const rows = labels.map((label) =>
    row(words(label), COUNT, () => ruleOf(label), (found) => {
      const others = (limits.counts ?? []).filter((rule) => rule.label !== label);
      limits.counts = found ? [...others, { ...ruleOf(label), label, ...found }] : others;
      draw();
      told();
    }));
  function draw() {
    places.replaceChildren(...(limits.counts ?? []).map((rule) => counted(rule.label)));
  }
  /** How many parts showed how many of a label; what the rule takes in is good. */
  function counted(label) {
    const plot = h("div", { class: "histogram low" });
    plots.set(`count/${label}`, (found) => {
      const rule = ruleOf(label);
      if (!found || !rule) return;
      const zone = (from) => (from + 0.5 >= rule.least && from <= rule.most ? "OK" : "NG");
      plot.replaceChildren(
        histogram(found, [], zone, words(label)),
        h("p", { class: "ticks", "aria-hidden": "true" }, ...found.bins.map((_, count) => h("span", {}, String(count)))));
    });
    return h("div", { class: "band" }, h("p", {}, t("limits.count.of", { label: words(label) })), plot);
  }
  draw();
  return h("div", {}, table(t("rule.counts"), COUNT, rows), places);
}

/** Rows of bands, each with its sliders below as soon as it is set. */
function bands(title, entries, plots, told) {
  const places = h("div", { class: "bands" });
  const rows = entries.map(({ label, read, write }) => row(label, BAND, read, (found) => {
    write(found);
    draw();
    told();
  }));
  function draw() {
    places.replaceChildren(...entries.flatMap(({ key, label, read, share }, place) => {
      plots.delete(key);
      if (!read()) return [];
      const editor = bandEditor({ band: read, high: false, share, name: label, told: () => {
        rows[place].show();
        told();
      } });
      plots.set(key, editor.take);
      return [h("div", {}, h("h3", {}, label), editor.element)];
    }));
  }
  draw();
  return h("div", {}, table(title, BAND, rows), places);
}

function areas(limits, labels, plots, told) {
  const entries = labels.map((label) => ({
    key: `area/${label}`, label: words(label), share: true,
    read: () => limits.areas?.[label],
    write: (found) => {
      const { [label]: _, ...others } = limits.areas ?? {};
      limits.areas = found ? { ...others, [label]: found } : others;
    },
  }));
  return bands(t("rule.areas"), entries, plots, told);
}

function anomalies(limits, plots, told) {
  const set = (name, found) => {
    if (found === null || found === undefined) delete limits[name];
    else limits[name] = found;
  };
  const entry = (name, label, share) => ({ key: name, label, share, read: () => limits[name], write: (found) => set(name, found) });
  const pixel = row(t("rule.pixel"), ["level"], () => ({ level: limits.pixel }), (found) => {
    set("pixel", found?.level);
    told();
  });
  return h("div", {},
    bands(t("rule.anomaly"), [entry("anomaly", t("rule.score"), false), entry("area", t("rule.area"), true)], plots, told),
    table(t("rule.map"), ["level"], [pixel]));
}

/** The fields that a task's limits need beside the two of a score; null for a classification. */
export function rulesEditor(task, limits, labels, plots, told) {
  if (task === "detection") return counts(limits, labels, plots, told);
  if (task === "segmentation") return areas(limits, labels, plots, told);
  if (task === "anomaly" || task === "autoencoder") return anomalies(limits, plots, told);
  return null;
}
