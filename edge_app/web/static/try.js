// Try it: one picture, one model or two side by side.

import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { overlay } from "./overlay.js";
import { judged, takeDrops } from "./upload.js";

let picture = null;

async function offerModels() {
  const { models } = await get("/api/v1/models");
  const choices = models.filter((model) => model.active).map((model) => model.name);
  for (const id of ["model-a", "model-b"]) {
    byId(id).append(...choices.map((name) => h("option", { value: name }, name)));
  }
}

const pathOf = (model) => (model ? `/predict/${encodeURIComponent(model)}` : "/predict");

async function run() {
  if (!picture) return;
  const file = picture;
  const image = h("img", { src: URL.createObjectURL(file), alt: "" });
  byId("try-picture").replaceChildren(image);
  const wanted = [byId("model-a").value, byId("model-b").value].filter((model) => model !== "none");
  byId("answers").replaceChildren(...wanted.map(() => h("div", { class: "answer" })));
  // One after the other: two at once would only wait for each other and look slow.
  for (const [place, model] of wanted.entries()) {
    const doc = await judged(file, byId("answers").children[place], pathOf(model));
    if (place === 0 && doc?.detections?.length) overlay(byId("try-picture"), image, doc.detections);
  }
}

function take(file) {
  picture = file;
  run();
}

byId("try-file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) take(file);
});
for (const id of ["model-a", "model-b"]) byId(id).addEventListener("change", run);
takeDrops(take);
offerModels().catch(() => {});
