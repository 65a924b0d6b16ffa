// One inspection in full: what was seen, what was decided and why, where the time went.

import { lapsBar, scoreBars } from "./charts.js";
import { get, send } from "./api.js";
import { byId, h, say } from "./dom.js";
import { Overlay } from "./overlay.js";
import { may } from "./role.js";
import { shape } from "./verdict.js";
import { clock, has, ms, number, t, why } from "./words.js";

const id = Number(byId("inspection").dataset.id);
const BUDGET_MS = 200;

let model = null;

function draw(inspection) {
  drawPicture(inspection);
  const { found, limit } = why(inspection.reason, inspection.code);
  byId("full").replaceChildren(
    h("div", { class: "upload-verdict", "data-verdict": inspection.verdict },
      h("p", { class: "word" }, shape(inspection.verdict), h("strong", {}, t(`verdict.${inspection.verdict}`)))),
    h("p", { class: "upload-why" }, h("b", {}, found), " ", limit),
    ...late(inspection),
    review(inspection),
    ...(Object.keys(inspection.scores).length ? [h("h3", {}, t("upload.scores")), scoreBars(inspection.scores)] : []),
    h("h3", {}, t("upload.timing")), lapsBar(inspection.laps_ms, inspection.total_ms, BUDGET_MS),
    h("h3", {}, t("facts")), facts(inspection));
}

/** One tap says what a person sees; what the model said stays beside it. */
function review(inspection) {
  const said = (inspection.reviews ?? []).map((each) =>
    h("li", {}, h("b", {}, t("review.said", { by: each.by, word: t(`verdict.${each.verdict}`) })), h("span", { class: "soft" }, ` ${clock(each.at)} ${each.note}`)));
  const note = h("input", { class: "text-input", maxlength: 200, placeholder: t("review.note"), "aria-label": t("review.note") });
  const told = h("p", { class: "note", role: "status" });
  const told_ = async (verdict) => {
    try {
      await send("POST", `/api/v1/inspections/${id}/reviews`, { verdict, note: note.value });
      draw(await get(`/api/v1/inspections/${id}`));
      next();
    } catch (refused) {
      say(told, refused.message);
    }
  };
  const tap = (verdict) =>
    h("button", { type: "button", class: "button judge", "data-verdict": verdict, onclick: () => told_(verdict) }, shape(verdict), t(`verdict.${verdict}`));
  return h("div", { class: "review" },
    h("h3", {}, t("review.title")), h("ul", {}, ...said),
    may("operate") ? h("div", { class: "review-taps" }, tap("OK"), tap("NG"), note) : null, told);
}

/** The next part that waits for a person. */
async function next() {
  const { inspections } = await get("/api/v1/inspections?verdict=REVIEW&reviewed=no&limit=1");
  link("to-review", inspections[0]);
}

function late(inspection) {
  const lines = [];
  if (inspection.late_verdict) {
    const values = { word: t(`verdict.${inspection.late_verdict}`), ms: ms(inspection.late_ms) };
    lines.push(h("p", { class: "soft" }, t("late", values)));
  }
  if (inspection.warning && has(`code.${inspection.warning}`)) {
    lines.push(h("p", { class: "soft" }, t("warning", { reason: t(`code.${inspection.warning}`) })));
  }
  return lines;
}

function facts(inspection) {
  const rows = [
    [t("fact.part"), inspection.part || "–"],
    [t("fact.time"), clock(inspection.captured_at, true)],
    [t("camera"), inspection.camera],
    [t("fact.source"), `${t(`source.${inspection.source}`)} ${inspection.trigger || ""}`],
    [t("fact.job"), inspection.job || "–"],
    [t("fact.model"), inspection.model || "–"],
    ["SHA-256", model?.sha256 ?? "–"],
    [t("test.shot"), inspection.test ? t("yes") : ""],
  ].filter(([, value]) => value !== "");
  return h("dl", { class: "table" }, ...rows.map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function drawPicture(inspection) {
  const frame = byId("kept");
  const missing = () => frame.replaceChildren(h("p", { class: "no-picture" }, t("picture.not.kept")));
  if (!inspection.image_url) return missing();
  const image = h("img", { src: inspection.image_url, alt: t("picture.kept", { id: number(id) }), onerror: missing });
  frame.replaceChildren(image);
  const limits = model?.limits;
  new Overlay(frame, image, byId("overlay-on")).show(inspection, limits?.pixel ?? limits?.anomaly?.accept);
}

async function neighbours(inspection) {
  const older = await get(`/api/v1/inspections?limit=1&before_id=${id}&camera=${encodeURIComponent(inspection.camera)}`);
  link("older", older.inspections[0]);
}

function link(name, inspection) {
  const element = byId(name);
  element.hidden = !inspection;
  if (inspection) element.href = `/records/${inspection.id}`;
}

async function modelOf(inspection) {
  const status = await get("/api/v1/status");
  return status.models.find((each) => `${each.name}/${each.version}` === inspection.model);
}

try {
  const inspection = await get(`/api/v1/inspections/${id}`);
  draw(inspection);
  next().catch(() => {});
  neighbours(inspection).catch(() => {});
  modelOf(inspection).then((found) => {
    model = found;
    if (model) draw(inspection);
  }).catch(() => {});
} catch (refused) {
  say(byId("full-note"), refused.message);
}
if (document.referrer.startsWith(`${location.origin}/records`)) byId("back").href = document.referrer;
