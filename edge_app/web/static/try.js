// Try it: one picture, one model's version or two side by side.

import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { Overlay } from "./overlay.js";
import { judged, takeDrops } from "./upload.js";
import { t } from "./words.js";

let picture = null;

/** What runs comes first; a version that does not run yet can be asked beside it. */
async function offerModels() {
  const { models } = await get("/api/v1/models");
  const choices = models.flatMap(({ name, versions }) => [...versions].reverse()
    .sort((a, b) => b.active - a.active)
    .map(({ version, active }) => ({ value: `${name}/${version}`, text: `${name} ${version}${active ? ` · ${t("model.active")}` : ""}` })));
  for (const id of ["model-a", "model-b"]) {
    byId(id).append(...choices.map(({ value, text }) => h("option", { value }, text)));
  }
}

function pathOf(model) {
  const [name, version] = model.split("/");
  return model ? `/predict/${encodeURIComponent(name)}/versions/${version}` : "/predict";
}

async function run() {
  if (!picture) return;
  const file = picture;
  const image = h("img", { src: URL.createObjectURL(file), alt: "" });
  byId("try-picture").replaceChildren(image);
  const wanted = [byId("model-a").value, byId("model-b").value].filter((model) => model !== "none");
  byId("answers").replaceChildren(...wanted.map(() => h("div", { class: "answer" })));
  byId("try-picture").scrollIntoView({ block: "nearest" });
  // One after the other: two at once would only wait for each other and look slow.
  for (const [place, model] of wanted.entries()) {
    const answer = byId("answers").children[place];
    const doc = await judged(file, answer, pathOf(model));
    if (file !== picture) return;
    if (place === 0) answer.querySelector(".upload-why").scrollIntoView({ block: "nearest" });
    if (place === 0 && doc) new Overlay(byId("try-picture"), image).show(doc);
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
