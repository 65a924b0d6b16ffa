// A picture from a person: dropped, chosen or photographed; judged, never counted as a part.

import { lapsBar, scoreBars } from "./charts.js";
import { send } from "./api.js";
import { byId, h } from "./dom.js";
import { shape } from "./verdict.js";
import { t, why } from "./words.js";

const BUDGET_MS = 200;
const LOADING_MS = 1000;
const LOADS_WITHIN = 30;

/** Ask; a model that is only being loaded and proved is asked again until it is there. */
async function asked(path, form) {
  for (let turn = 1; ; turn += 1) {
    try {
      return await send("POST", path, form, { within: 20000 });
    } catch (refused) {
      if (refused.code !== "loading" || turn === LOADS_WITHIN) throw refused;
      await new Promise((again) => setTimeout(again, LOADING_MS));
    }
  }
}

/** Judge a picture and tell the answer in `place`; gives the answer, or null without one. */
export async function judged(file, place, path = "/predict") {
  place.replaceChildren(h("p", { role: "status" }, t("upload.working")));
  const form = new FormData();
  form.append("image", file);
  try {
    const doc = await asked(path, form);
    place.replaceChildren(answer(doc));
    return doc;
  } catch (refused) {
    place.replaceChildren(refusal(refused));
    return null;
  }
}

const refusal = (refused) =>
  h("div", { class: "upload-verdict", "data-verdict": "NONE", role: "alert" },
    h("p", { class: "word" }, shape("NONE"), h("strong", {}, t("verdict.NONE"))),
    h("p", { class: "upload-why" }, t("upload.failed", { reason: refused.message })));

function answer(doc) {
  const { found, limit } = why(doc.reason, doc.code);
  const { total, ...laps } = doc.timing_ms;
  return h("div", { class: "upload-verdict", "data-verdict": doc.verdict },
    h("p", { class: "word", role: "status" }, shape(doc.verdict), h("strong", {}, t(`verdict.${doc.verdict}`))),
    h("p", { class: "upload-why" }, h("b", {}, found), " ", limit),
    h("h3", {}, t("upload.scores")), scoreBars(doc.class_scores),
    h("h3", {}, t("upload.timing")), lapsBar(laps, total, BUDGET_MS),
    h("p", { class: "soft" }, `${t("fact.model")} ${doc.model} · ${t("fact.id")} ${doc.id} · ${doc.image.width}×${doc.image.height}`));
}

/** The tile of the line view: takes a file or a drop anywhere on the page. */
export function offerUpload() {
  const sheet = byId("upload-sheet");
  const input = byId("drop-file");
  const open = (file) => {
    if (!sheet.open) sheet.showModal();
    const place = h("div", {});
    const preview = h("img", { src: URL.createObjectURL(file), alt: t("upload.alt"), class: "upload-picture" });
    byId("upload-body").replaceChildren(preview, place);
    judged(file, place);
  };
  input.addEventListener("change", () => {
    if (input.files.length) open(input.files[0]);
    input.value = "";
  });
  byId("upload-close").addEventListener("click", () => sheet.close());
  takeDrops(open);
}

/** Calls `open` with a file that is dropped anywhere. */
export function takeDrops(open) {
  const root = document.documentElement;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    root.toggleAttribute("data-dropping", true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? root.removeAttribute("data-dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    root.removeAttribute("data-dropping");
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
}
