// Models: which versions there are, how good and how quick they are here, which one runs.

import { get, send } from "./api.js";
import { asking } from "./confirm.js";
import { byId, h, say } from "./dom.js";
import { history } from "./history.js";
import { may } from "./role.js";
import { sendFile } from "./sending.js";
import { clock, has, ms, number, percent, t, words } from "./words.js";

/** Proving and measuring on a small device takes its time. */
const CHANGE_MS = 180_000;

const url = (name, rest = "") => `/api/v1/models/${encodeURIComponent(name)}${rest}`;

let running = [];

async function draw() {
  const [{ models }, status] = await Promise.all([get("/api/v1/models"), get("/api/v1/status")]);
  running = status.models;
  byId("models").replaceChildren(...models.map(card));
  say(byId("models-note"), models.length ? "" : t("model.none"));
}

function card(model) {
  const note = h("p", { class: "note", role: "status" });
  const change = async (button, told, what) => {
    say(note, told);
    try {
      await what();
      await draw();
    } catch (refused) {
      say(note, refused.message);
    }
  };
  const faults = [model.problem, model.fault].filter(Boolean).map((text) => h("p", { class: "fault" }, text));
  const place = h("details", { class: "more-about" }, h("summary", { class: "button" }, t("job.history")));
  place.addEventListener("toggle", () => history(`model/${model.name}`).then((list) => list && place.append(list)), { once: true });
  return h("section", { class: "card model", "aria-label": model.name },
    h("div", { class: "model-head" },
      h("h2", {}, model.name),
      h("span", { class: "soft" }, [has(`task.${model.task}`) ? t(`task.${model.task}`) : model.task, model.mode === "unknown" ? "" : model.mode, model.default ? t("model.for.uploads") : ""].filter(Boolean).join(" · "))),
    ...faults, versions(model, change), about(model), note, place);
}

function versions(model, change) {
  const rollBack = may("engineer") && model.versions.length > 1
    ? asking(t("model.rollback"), t("model.rollback.ask"), (button) =>
      change(button, t("model.proving"), () => send("POST", url(model.name, "/rollback"), undefined, { within: CHANGE_MS })))
    : null;
  const rows = [...model.versions].reverse().map((version) => versionRow(model, version, change));
  return h("div", {}, h("ul", { class: "versions" }, ...rows), rollBack);
}

function versionRow(model, version, change) {
  const at = `/versions/${version.version}`;
  const activate = asking(t("model.activate"), t("model.activate.ask", { n: version.version }), (button) =>
    change(button, t("model.proving"), () => send("POST", url(model.name, `${at}/activate`), undefined, { within: CHANGE_MS })));
  const remove = asking(t("model.remove"), t("model.remove.ask", { n: version.version }), (button) =>
    change(button, "", () => send("DELETE", url(model.name, at))));
  return h("li", { "data-active": version.active },
    h("b", {}, `${t("model.version")} ${version.version}`),
    h("span", { class: "soft" }, `${number(version.bytes / 1000)} kB · ${clock(version.added_at)}`),
    version.active ? h("strong", { class: "tag" }, t("model.active")) : null,
    ...(may("engineer") && !version.active ? [activate, remove] : []));
}

/** What the converter proved and what was measured here. */
function about(model) {
  const rows = [
    [t("model.labels"), (model.labels ?? []).map(words).join(", ")],
    [t("limits"), model.limits ? limitsOf(model.limits) : ""],
    ...comparison(model.comparison ?? {}),
    ...tuning(model),
  ].filter(([, value]) => value);
  return h("dl", { class: "table" }, ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

const limitsOf = ({ good, accept, reject, counts = [] }) => (good.length
  ? t("limits.said", { good: good.map(words).join(", "), accept: percent(accept, 0), reject: percent(reject, 0) })
  : counts.map(({ label, least, most }) => `${words(label)}: ${least === most ? least : `${least}–${most}`}`).join(", "));

/** What the converter proved before the file left its workstation; runtimes that agree together. */
function comparison({ runtimes = {}, reference = "" }) {
  const told = new Map();
  for (const [runtime, found] of Object.entries(runtimes)) {
    const lines = proofLines(found, reference.replace(/ in (\S+)$/, " ($1)"));
    const same = lines.join("\n");
    told.set(same, { lines, names: [...(told.get(same)?.names ?? []), runtime] });
  }
  return [...told.values()].map(({ lines, names }) =>
    [t("proof", { runtime: names.join(", ") }), h("ul", {}, ...lines.map((line) => h("li", {}, line)))]);
}

function proofLines(found, reference) {
  const share = (value) => (typeof value === "number" ? percent(value) : "–");
  const recalls = Object.entries(found.by_label ?? {}).map(([label, { recall }]) => `${words(label)} ${share(recall)}`);
  return [
    t("proof.agreement", { share: share(found.agreement), n: number(found.samples ?? 0), reference }),
    found.accuracy === undefined ? "" : t("proof.accuracy", { now: share(found.accuracy), before: share(found.float_accuracy) }),
    recalls.length ? t("proof.recall", { labels: recalls.join(", ") }) : "",
  ].filter(Boolean);
}

function tuning({ name, versions: all, tuning: found }) {
  const rows = found?.rows ?? [];
  if (!rows.length) return [];
  const active = all.find((version) => version.active)?.version;
  const { runtime, threads } = running.find((model) => model.name === name && model.version === active) ?? {};
  const list = h("ul", { class: "tuning" }, ...rows.map((row) => {
    const chosen = row.runtime === runtime && row.threads === threads;
    const said = row.problem || `P50 ${ms(row.p50_ms)} · P90 ${ms(row.p90_ms)} ms`;
    return h("li", { "data-chosen": chosen }, h("b", {}, `${row.runtime} × ${row.threads}`), h("span", {}, said), chosen ? h("strong", { class: "tag" }, t("model.chosen")) : null);
  }));
  return [[t("model.measured"), list]];
}

async function add(file) {
  const bar = byId("model-progress");
  const note = byId("model-added");
  bar.hidden = false;
  say(note, t("model.sending"));
  try {
    const version = await sendFile("/api/v1/models", "model", file, (share) => {
      bar.value = share;
      if (share >= 1) say(note, t("model.checking"));
    });
    say(note, t("model.added", { name: version.name, n: version.version }));
    await draw();
  } catch (refused) {
    say(note, t("model.refused", { reason: refused.message }));
  }
  bar.hidden = true;
}

byId("model-file")?.addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) add(file);
});
draw().catch((refused) => say(byId("models-note"), refused.message));
