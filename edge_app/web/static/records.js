// The records: a gallery with filters. What is filtered stands in the address, to be shared.

import { get } from "./api.js";
import { byId, h, say } from "./dom.js";
import { shape } from "./verdict.js";
import { clock, number, percent, t, words } from "./words.js";

const PAGE = 48;
const TIMES = ["since", "until"];
const form = byId("filters");
const gallery = byId("gallery");
let asked = 0;
let nextBefore = null;

function fromAddress() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
}

function filters() {
  return [...new FormData(form)].filter(([, value]) => value !== "");
}

/** The filters as the API takes them: times as seconds since 1970. */
function query() {
  return new URLSearchParams(filters().map(([name, value]) =>
    [name, TIMES.includes(name) ? new Date(value).getTime() / 1000 : value]));
}

async function load(more) {
  const turn = ++asked;
  const wanted = query();
  wanted.set("limit", PAGE);
  if (more && nextBefore) wanted.set("before_id", nextBefore);
  say(byId("records-note"), gallery.childElementCount ? "" : t("loading"));
  try {
    const found = await get(`/api/v1/inspections?${wanted}`);
    if (turn !== asked) return;
    show(found, more);
  } catch (refused) {
    if (turn === asked) say(byId("records-note"), refused.message);
  }
}

function show(found, more) {
  const tiles = found.inspections.map(tile);
  if (more) gallery.append(...tiles);
  else gallery.replaceChildren(...tiles);
  nextBefore = found.next_before_id;
  byId("more").hidden = !nextBefore;
  say(byId("records-note"), gallery.childElementCount ? "" : t("records.none"));
}

function tile(inspection) {
  const { id, verdict, label, score } = inspection;
  const picture = inspection.image_url
    ? h("img", { src: inspection.image_url, alt: "", loading: "lazy", onerror: (event) => event.target.remove() })
    : h("span", { class: "no-thumb" }, t("picture.none"));
  const said = label ? `${words(label)} ${percent(score)}` : t(`code.${inspection.code}`);
  return h("li", {}, h("a", { class: "tile", href: `/records/${id}`, "data-verdict": verdict },
    h("span", { class: "thumb" }, picture),
    h("span", { class: "tile-foot" }, shape(verdict), h("b", {}, t(`short.${verdict}`)), h("span", { class: "tile-part" }, inspection.part)),
    h("span", { class: "tile-said" }, said),
    reviewed(inspection),
    h("span", { class: "tile-said" }, `${clock(inspection.captured_at)} · ${number(id)}`)));
}

function reviewed({ reviews }) {
  const last = reviews?.at(-1);
  return last ? h("span", { class: "tile-said reviewed" }, t("review.said", { by: last.by, word: t(`short.${last.verdict}`) })) : null;
}

function changed() {
  const shown = new URLSearchParams(filters());
  history.replaceState(null, "", shown.size ? `?${shown}` : location.pathname);
  byId("export").href = `/api/v1/export.csv?${query()}`;
  load(false);
}

let soon = 0;
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", () => {
  clearTimeout(soon);
  soon = setTimeout(changed, 250);
});
byId("more").addEventListener("click", () => load(true));
fromAddress();
// On a phone the filters fold away; a filter that is set is never hidden.
byId("extra").open = innerWidth > 999 || filters().some(([name]) => name !== "verdict");
changed();
