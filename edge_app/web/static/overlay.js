// What the model found, drawn over the picture in the picture's own pixels: boxes and maps.

import { s } from "./dom.js";
import { percent, words } from "./words.js";

const COVER = 0.6;
const FAINT = 0.06;

/** The layer over an image that fills its frame; `choice` is a checkbox that hides it. */
export class Overlay {
  constructor(frame, image, choice) {
    Object.assign(this, { frame, image, choice, found: null, drawn: "" });
    image.addEventListener("load", () => this.draw());
    choice?.addEventListener("change", () => this.draw());
  }

  /**
   * Show `{id, detections, map}`, or null for nothing.
   * @param limit what a map's value must reach to count: a map far below it stays faint.
   */
  show(found, limit) {
    const some = found && (found.detections?.length || found.map) ? found : null;
    if (this.found?.id === some?.id && this.found?.map === some?.map && this.limit === limit) return;
    Object.assign(this, { found: some, limit, drawn: "" });
    this.draw();
  }

  draw() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    const shown = Boolean(this.found && width && !this.image.hidden && (this.choice?.checked ?? true));
    if (this.choice) this.choice.parentElement.hidden = !this.found;
    const key = shown ? `${width}x${height}` : "";
    if (key === this.drawn && (key || !this.frame.querySelector(".overlay"))) return;
    this.drawn = key;
    this.frame.querySelector(".overlay")?.remove();
    if (!shown) return;
    const unit = Math.max(width, height) / 100;
    const { map, detections = [] } = this.found;
    // The surest lies on top.
    this.frame.append(s("svg", { class: "overlay", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" },
      ...(map ? cells(map, this.limit) : []),
      ...[...detections].reverse().flatMap((found) => box(found, unit, height))));
  }
}

function box({ label, score, x_min: left, y_min: top, x_max: right, y_max: bottom }, unit, height) {
  const place = { x: left, y: top, width: right - left, height: bottom - top };
  const size = unit * 3.2;
  const inside = top < size * 1.4;
  const text = { x: left + unit * 0.6, y: inside ? Math.min(top + size * 1.1, height - unit) : top - unit, "font-size": size, "stroke-width": unit * 0.9 };
  return [
    s("rect", { class: "edge", ...place, "stroke-width": unit * 1.1 }),
    s("rect", { class: "box", ...place, "stroke-width": unit * 0.5 }),
    s("text", text, `${words(label)} ${percent(score, 0)}`),
  ];
}

/** A map's cells: the hotter the denser, or a class's colour each. */
function cells({ x, y, width, height, rows, columns, cells: packed, low, high, labels }, limit) {
  const values = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const top = Math.max(high, limit ?? high);
  const [wide, tall] = [width / columns, height / rows];
  const drawn = [];
  values.forEach((value, place) => {
    const real = low + (value / 255) * (high - low);
    const cover = labels.length ? (value ? COVER : 0) : COVER * ((real - low) / (top - low || 1)) ** 2;
    if (cover < FAINT) return;
    drawn.push(s("rect", {
      class: labels.length ? `class-${((value - 1) % 4) + 1}` : "hot", "fill-opacity": cover.toFixed(2),
      x: x + (place % columns) * wide, y: y + Math.floor(place / columns) * tall, width: wide, height: tall,
    }));
  });
  return drawn;
}
