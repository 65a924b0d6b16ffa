// The region of interest, drawn on the picture with a finger, or set by numbers.

import { h, s } from "./dom.js";
import { t } from "./words.js";

const SIDES = ["x", "y", "width", "height"];
const LEAST_PX = 8;

/** An editor of `{x, y, width, height}` in source pixels; `changed` gets it, or null for all. */
export function roiEditor(pictureUrl, roi, changed) {
  const image = h("img", { src: pictureUrl, alt: t("roi.picture") });
  const frame = h("div", { class: "roi-frame" }, image);
  const fields = Object.fromEntries(SIDES.map((side) =>
    [side, h("input", { type: "number", min: 0, step: 1, "aria-label": t(`roi.${side}`), onchange: fromFields })]));
  const whole = h("button", { type: "button", class: "button", onclick: () => put(null) }, t("roi.whole"));
  let size = null;
  let now = roi;
  image.addEventListener("load", () => {
    size = { width: image.naturalWidth, height: image.naturalHeight };
    draw();
  });
  image.addEventListener("error", () => frame.replaceChildren(h("p", { class: "note" }, t("roi.no.picture"))));

  function fit({ x, y, width, height }) {
    const left = clamp(Math.round(x), 0, size.width - LEAST_PX);
    const top = clamp(Math.round(y), 0, size.height - LEAST_PX);
    return {
      x: left, y: top,
      width: clamp(Math.round(width), LEAST_PX, size.width - left),
      height: clamp(Math.round(height), LEAST_PX, size.height - top),
    };
  }
  function put(next) {
    now = next && size ? fit(next) : null;
    draw();
    changed(now);
  }
  function fromFields() {
    put(Object.fromEntries(SIDES.map((side) => [side, Number(fields[side].value)])));
  }
  function draw() {
    if (!size) return;
    const shown = now ?? { x: 0, y: 0, ...size };
    for (const side of SIDES) fields[side].value = shown[side];
    frame.querySelector("svg")?.remove();
    frame.append(drawn(shown, size, now !== null, start));
  }
  /** Where a finger is, in source pixels. */
  function place(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return { x: ((event.clientX - left) / width) * size.width, y: ((event.clientY - top) / height) * size.height };
  }
  function start(event, corner) {
    const from = place(event);
    const before = now ?? { x: 0, y: 0, ...size };
    event.preventDefault();
    const move = (moved) => put(dragged(before, corner, delta(from, place(moved)), size));
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
  }
  return h("div", { class: "roi" }, frame,
    h("div", { class: "roi-fields" }, ...SIDES.map((side) =>
      h("label", { class: "field" }, h("span", {}, t(`roi.${side}`)), fields[side])), whole));
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
const delta = (from, to) => ({ x: to.x - from.x, y: to.y - from.y });

/** The region after a corner (or all of it) was dragged. */
function dragged(before, corner, by, size) {
  if (corner === "all") {
    return { ...before, x: clamp(before.x + by.x, 0, size.width - before.width), y: clamp(before.y + by.y, 0, size.height - before.height) };
  }
  let { x: left, y: top } = before;
  let right = left + before.width;
  let bottom = top + before.height;
  if (corner.includes("w")) left = clamp(left + by.x, 0, right - LEAST_PX);
  else right = clamp(right + by.x, left + LEAST_PX, size.width);
  if (corner.includes("n")) top = clamp(top + by.y, 0, bottom - LEAST_PX);
  else bottom = clamp(bottom + by.y, top + LEAST_PX, size.height);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function drawn({ x, y, width, height }, size, chosen, start) {
  const grip = Math.max(size.width, size.height) / 22;
  const outside = `M0 0h${size.width}v${size.height}H0z M${x} ${y}v${height}h${width}v${-height}z`;
  const corners = [["nw", x, y], ["ne", x + width, y], ["sw", x, y + height], ["se", x + width, y + height]];
  return s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, "data-chosen": chosen },
    s("path", { class: "outside", d: outside }),
    s("rect", { class: "inside", x, y, width, height, onpointerdown: (event) => start(event, "all") }),
    ...corners.map(([corner, cx, cy]) =>
      s("circle", { class: "grip", cx: clamp(cx, grip / 2, size.width - grip / 2), cy: clamp(cy, grip / 2, size.height - grip / 2), r: grip, onpointerdown: (event) => start(event, corner) })));
}
