// The latest parts as small pictures, newest first; a tap looks at one while the line goes on.

import { h } from "./dom.js";
import { shape } from "./verdict.js";
import { clock, t } from "./words.js";

const SHOWN = 24;

const RETRIES_MS = [700, 2000];

/** A kept picture; one that is still being written is asked for again. */
function keptPicture(id) {
  const url = `/api/v1/inspections/${id}/image`;
  const image = h("img", { src: url, alt: "", loading: "lazy" });
  const waits = [...RETRIES_MS];
  image.addEventListener("error", () => {
    const wait = waits.shift();
    if (wait === undefined) image.remove();
    else setTimeout(() => { image.src = `${url}?again=${waits.length}`; }, wait);
  });
  return image;
}

/** A strip that stands still while someone looks, so that nothing moves under the finger. */
export class Filmstrip {
  constructor(list, looked) {
    this.list = list;
    this.looked = looked;
    this.tiles = new Map();
    this.frozen = null;
    this.waiting = null;
  }

  freeze(id) {
    this.frozen = id;
    for (const [tileId, tile] of this.tiles) tile.firstChild.setAttribute("aria-pressed", tileId === id);
    if (id === null && this.waiting) this.take(this.waiting);
  }

  take(inspections) {
    this.waiting = inspections;
    if (this.frozen !== null) return;
    const shown = inspections.slice(0, SHOWN);
    const keep = new Set(shown.map((inspection) => inspection.id));
    for (const [id, tile] of this.tiles) {
      if (!keep.has(id)) tile.remove(), this.tiles.delete(id);
    }
    let after = null;
    for (const inspection of shown) {
      let tile = this.tiles.get(inspection.id);
      if (!tile) {
        tile = this.tile(inspection);
        this.tiles.set(inspection.id, tile);
        if (after) after.after(tile);
        else this.list.prepend(tile);
      }
      after = tile;
    }
  }

  tile(inspection) {
    const { id, verdict } = inspection;
    const picture = inspection.image ? keptPicture(id) : null;
    const alt = t("strip.look", { id, word: t(`verdict.${verdict}`) });
    return h("li", {}, h("button", {
      type: "button", class: "tile", "data-verdict": verdict, "aria-label": alt, "aria-pressed": "false",
      onclick: () => this.looked(this.frozen === id ? null : inspection),
    }, h("span", { class: "thumb" }, picture),
    h("span", { class: "tile-foot" }, shape(verdict), h("span", {}, inspection.part || clock(inspection.captured_at)))));
  }
}
