// What was found in the part that the line view shows, drawn over its picture.

import { get } from "./api.js";

/** The live picture is the inspected part's only for a moment: then its boxes would lie. */
const TRUE_FOR_S = 2;

export class Found {
  constructor(overlay) {
    Object.assign(this, { overlay, whole: null, asked: 0 });
  }

  /**
   * Show what belongs to the picture.
   * @param inspection whose, null for none.
   * @param age its seconds while the picture is live; null for its own picture.
   */
  draw(inspection, age, limits) {
    if (!inspection || (age !== null && age > TRUE_FOR_S)) {
      this.overlay.show(null);
      return;
    }
    const mapped = inspection.anomaly !== null && inspection.anomaly !== undefined || Object.keys(limits?.areas ?? {}).length > 0;
    if (mapped && this.asked !== inspection.id) this.ask(inspection.id);
    const known = this.whole?.id === inspection.id ? this.whole : inspection;
    this.overlay.show(known, limits?.pixel ?? limits?.anomaly?.accept);
  }

  /** A list has boxes; the map is in the whole record only. */
  async ask(id) {
    this.asked = id;
    try {
      const whole = await get(`/api/v1/inspections/${id}`, { within: 1500 });
      if (this.asked === id) this.whole = whole;
    } catch {
      // Without its map the part is shown all the same; the verdict does not hang on it.
    }
  }
}
