// A verdict is told three ways at once: by word, by shape and by colour.

import { h, icon } from "./dom.js";
import { t } from "./words.js";

const SHAPES = { OK: "ok", NG: "ng", REVIEW: "review", NONE: "none", DOWN: "down", LOST: "down", WAITING: "none" };

/** The name of a verdict's shape; everything unknown is no decision. */
export const shapeOf = (verdict) => SHAPES[verdict] ?? "none";

/** A verdict's shape as an element. */
export const shape = (verdict, kind = "shape") => icon(shapeOf(verdict), kind);

/** Shape and short word. */
export const chip = (verdict) =>
  h("span", { class: "chip", "data-verdict": verdict }, shape(verdict), t(`short.${verdict}`));
