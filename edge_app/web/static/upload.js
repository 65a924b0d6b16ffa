// A picture from a person: dropped, chosen or photographed; judged, never counted as a part.

import { lapsBar, scoreBars } from "./charts.js";
import { send } from "./api.js";
import { byId, h } from "./dom.js";
import { shape } from "./verdict.js";
import { percent, t, why } from "./words.js";

const BUDGET_MS = 200;

/** Judge a picture; what comes back is shown in `body`. */
export async function judge(file, body, path = "/predict") {
  const preview = h("img", { src: URL.createObjectURL(file), alt: t("upload.alt"), class: "upload-picture" });
  body.replaceChildren(preview, h("p", { role: "status" }, t("upload.working")));
  const form = new FormData();
  form.append("image", file);
  let found;
  try {
    found = answer(await send("POST", path, form, { within: 20000 }));
  } catch (refused) {
    found = h("div", { class: "upload-verdict", "data-verdict": "NONE", role: "alert" },
      h("p", { class: "word" }, shape("NONE"), h("strong", {}, t("verdict.NONE"))),
      h("p", {}, t("upload.failed", { reason: refused.message })));
  }
  body.replaceChildren(preview, found);
}

function answer(doc) {
  const { found, limit } = why(doc.reason, doc.code);
  const { total, ...laps } = doc.timing_ms;
  return h("div", { class: "upload-verdict", "data-verdict": doc.verdict },
    h("p", { class: "word", role: "status" }, shape(doc.verdict), h("strong", {}, t(`verdict.${doc.verdict}`))),
    h("p", { class: "upload-why" }, h("b", {}, doc.predicted_class ? `${doc.predicted_class} ${percent(doc.confidence)}` : found), " ", limit),
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
    judge(file, byId("upload-body"));
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
