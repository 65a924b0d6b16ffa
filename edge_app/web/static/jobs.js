// Jobs: which model looks where, with which limits; tried on the last parts before it is saved.

import { get, send } from "./api.js";
import { byId, h, say } from "./dom.js";
import { history } from "./history.js";
import { limitsEditor } from "./limits.js";
import { roiEditor } from "./roi.js";
import { may } from "./role.js";
import { t } from "./words.js";

const camera = document.documentElement.dataset.camera;
const known = { jobs: [], models: [], lines: {} };

async function load() {
  const [jobs, models, status] = await Promise.all([get("/api/v1/jobs"), get("/api/v1/models"), get("/api/v1/status")]);
  Object.assign(known, { jobs: jobs.jobs, models: models.models, lines: status.lines });
}

const runningOn = (job) => Object.entries(known.lines)
  .filter(([, line]) => line.up && line.status.job === job.number)
  .map(([name]) => name);

function drawList(chosen) {
  byId("job-list").replaceChildren(...known.jobs.map((job) => {
    const cameras = runningOn(job);
    return h("li", {}, h("button", { type: "button", "aria-current": job.number === chosen ? "true" : null, onclick: () => open(job) },
      h("b", {}, `${job.number} ${job.name}`),
      h("small", {}, job.model),
      cameras.length ? h("small", {}, t("job.loaded", { cameras: cameras.join(", ") })) : null));
  }));
}

/** The limits in force: the job's own, or those its model recommends. */
const recommended = (name) => known.models.find((model) => model.name === name)?.limits ?? { good: [], accept: 0.9, reject: 0.5 };
const aboutOf = (name) => {
  const { task = "classification", labels = [] } = known.models.find((model) => model.name === name) ?? {};
  return { task, labels };
};

/** Numbers of a job beside its limits, with their least and step. */
const NUMBERS = { shots: [1, 1], interval_ms: [0, 1], delay_ms: [0, 1], exposure_us: [0, 1], gain: [-1, 0.1] };

function open(job) {
  const draft = structuredClone(job);
  const note = h("p", { class: "note", role: "status" }, job.fault ?? "");
  const change = (values) => {
    Object.assign(draft, values);
    say(note, t("job.unsaved"));
  };
  const limits = h("div", {});
  drawLimits(limits, draft, change);
  const region = roiEditor(`/page/cameras/${encodeURIComponent(camera)}/live.jpg`, job.roi, (roi) => change({ roi }));
  const fields = h("fieldset", { class: "bare", disabled: !may("engineer") },
    identity(draft, change, () => drawLimits(limits, draft, change)),
    limits,
    h("h3", {}, t("job.region")), region,
    h("h3", {}, t("job.shot")), numbers(draft, change));
  drawList(job.number);
  byId("job").replaceChildren(h("h2", {}, `${job.number} ${job.name}`), fields, actions(draft, note), changes(job));
}

function identity(draft, change, remodelled) {
  const name = h("input", { value: draft.name, maxlength: 60, oninput: () => change({ name: name.value }) });
  const model = h("select", { onchange: () => {
    change({ model: model.value, limits: null });
    remodelled();
  } }, ...known.models.map((entry) => h("option", { selected: entry.name === draft.model }, entry.name)));
  return h("div", { class: "form" },
    h("label", { class: "field" }, h("span", {}, t("job.name")), name),
    h("label", { class: "field" }, h("span", {}, t("fact.model")), model));
}

/** The job's own limits, or those of its model until somebody sets others. */
function drawLimits(place, draft, change) {
  const own = h("input", { type: "checkbox", checked: draft.limits !== null });
  own.addEventListener("change", () => {
    change({ limits: own.checked ? structuredClone(recommended(draft.model)) : null });
    drawLimits(place, draft, change);
  });
  const limits = draft.limits ?? recommended(draft.model);
  const editor = limitsEditor({ number: draft.number, limits }, aboutOf(draft.model), (found) => {
    own.checked = true;
    change({ limits: found });
  });
  place.replaceChildren(
    h("div", { class: "limits-head" }, h("h3", {}, t("limits")), h("label", { class: "check" }, own, t("limits.own"))), editor);
}

function numbers(draft, change) {
  const fields = Object.entries(NUMBERS).filter(([name]) => name in draft).map(([name, [least, step]]) => {
    const input = h("input", { type: "number", min: least, step, value: draft[name] });
    input.addEventListener("change", () => change({ [name]: Number(input.value) }));
    return h("label", { class: "field" }, h("span", {}, t(`job.${name}`)), input);
  });
  return h("div", { class: "form" }, ...fields);
}

function actions(draft, note) {
  const tell = async (what) => {
    try {
      await what();
    } catch (refused) {
      say(note, refused.message);
    }
  };
  const save = h("button", { type: "button", class: "button primary", onclick: () => tell(async () => {
    const { number, fault, ...rest } = draft;
    await send("PUT", `/api/v1/jobs/${number}`, rest);
    await load();
    drawList(number);
    say(note, t("job.saved"));
  }) }, t("job.save"));
  const loads = Object.keys(known.lines).map((name) =>
    h("button", { type: "button", class: "button", onclick: () => tell(async () => {
      await send("POST", `/api/v1/cameras/${encodeURIComponent(name)}/job`, { number: draft.number });
      setTimeout(() => load().then(() => drawList(draft.number)), 1200);
    }) }, t("job.load", { camera: name })));
  return h("div", { class: "actions" }, ...(may("engineer") ? [save] : []), ...(may("operate") ? loads : []), note);
}

function changes(job) {
  const place = h("div", {});
  history(`job/${job.number}`).then((list) => list && place.replaceChildren(h("h3", {}, t("job.history")), list));
  return place;
}

function create() {
  const taken = new Set(known.jobs.map((job) => job.number));
  let number = 1;
  while (taken.has(number)) number += 1;
  open({ number, name: "", model: known.models[0]?.name ?? "", roi: null, limits: null });
}

try {
  await load();
  drawList(null);
  byId("job-new").hidden = !may("engineer");
  byId("job-new").addEventListener("click", create);
  const running = known.jobs.find((job) => runningOn(job).includes(camera)) ?? known.jobs[0];
  if (running) open(running);
  else say(byId("job-note"), t("job.none"));
} catch (refused) {
  say(byId("job-note"), refused.message);
}
