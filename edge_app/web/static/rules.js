// Limits that are numbers by label: counts of detections, areas, anomalies. An empty field: no rule.

import { h } from "./dom.js";
import { t, words } from "./words.js";

const BAND = ["accept", "reject"];
const COUNT = ["least", "most"];

/** A row of number fields; `changed` gets the numbers, or null when one of them is empty. */
function row(label, names, values, changed) {
  const inputs = names.map((name) =>
    h("input", { type: "number", step: "any", min: 0, value: values?.[name], "aria-label": `${label}: ${t(`rule.${name}`)}` }));
  for (const input of inputs) {
    input.addEventListener("change", () => {
      const all = inputs.map((each) => (each.value === "" ? null : Number(each.value)));
      changed(all.includes(null) ? null : Object.fromEntries(names.map((name, place) => [name, all[place]])));
    });
  }
  return h("tr", {}, h("th", { scope: "row" }, words(label)), ...inputs.map((input) => h("td", {}, input)));
}

function table(title, names, rows) {
  return h("table", { class: "rules" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, title), ...names.map((name) => h("th", { scope: "col" }, t(`rule.${name}`))))),
    h("tbody", {}, ...rows));
}

function counts(limits, labels, told) {
  const rows = labels.map((label) =>
    row(label, COUNT, limits.counts?.find((rule) => rule.label === label), (found) => {
      const before = (limits.counts ?? []).find((rule) => rule.label === label) ?? {};
      const others = (limits.counts ?? []).filter((rule) => rule.label !== label);
      limits.counts = found ? [...others, { ...before, label, ...found }] : others;
      told();
    }));
  return table(t("rule.counts"), COUNT, rows);
}

function areas(limits, labels, told) {
  const rows = labels.map((label) =>
    row(label, BAND, limits.areas?.[label], (found) => {
      const { [label]: _, ...others } = limits.areas ?? {};
      limits.areas = found ? { ...others, [label]: found } : others;
      told();
    }));
  return table(t("rule.areas"), BAND, rows);
}

function anomalies(limits, told) {
  const set = (name) => (found) => {
    if (found) limits[name] = found;
    else delete limits[name];
    told();
  };
  const pixel = row(t("rule.pixel"), ["level"], { level: limits.pixel }, (found) => {
    if (found) limits.pixel = found.level;
    else delete limits.pixel;
    told();
  });
  return h("div", {},
    table(t("rule.anomaly"), BAND, [row(t("rule.score"), BAND, limits.anomaly, set("anomaly")), row(t("rule.area"), BAND, limits.area, set("area"))]),
    table(t("rule.map"), ["level"], [pixel]));
}

/** The fields that a task's limits need beside the two of a score; null for a classification. */
export function rulesEditor(task, limits, labels, told) {
  if (task === "detection") return counts(limits, labels, told);
  if (task === "segmentation") return areas(limits, labels, told);
  if (task === "anomaly" || task === "autoencoder") return anomalies(limits, told);
  return null;
}
