// What the model found, drawn over the picture in the picture's own pixels.

import { s } from "./dom.js";
import { percent } from "./words.js";

/** Boxes over an image; `choice` is a checkbox that hides them. */
export function overlay(frame, image, detections, choice) {
  const draw = () => {
    const { naturalWidth: width, naturalHeight: height } = image;
    if (!width) return;
    const unit = Math.max(width, height) / 100;
    const svg = s("svg", { class: "overlay", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" },
      ...detections.flatMap((found) => box(found, unit)));
    frame.querySelector(".overlay")?.remove();
    frame.append(svg);
    if (choice) svg.toggleAttribute("data-hidden", !choice.checked);
  };
  if (image.complete) draw();
  image.addEventListener("load", draw);
  choice?.addEventListener("change", draw);
}

function box({ label, score, x_min: left, y_min: top, x_max: right, y_max: bottom }, unit) {
  return [
    s("rect", { x: left, y: top, width: right - left, height: bottom - top, "stroke-width": unit * 0.6 }),
    s("text", { x: left + unit * 0.6, y: Math.max(top - unit, unit * 3.4), "font-size": unit * 3.2, "stroke-width": unit * 0.9 }, `${label} ${percent(score, 0)}`),
  ];
}
