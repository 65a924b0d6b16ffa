// The large picture: live, or the one of the part that is being looked at. Never old as new.

import { byId, say } from "./dom.js";
import { span, t } from "./words.js";

const EVERY_MS = 250;
const WITHIN_MS = 1200;
const OLD_S = 2;

/** Shows a camera's newest frame four times a second, and its age when that grows. */
export class LivePicture {
  constructor(camera) {
    this.url = `/page/cameras/${encodeURIComponent(camera)}/live.jpg`;
    this.image = byId("picture");
    this.kept = null;
    this.gotAt = null;
    this.startedAt = performance.now();
    this.wanted = false;
    this.image.addEventListener("error", () => this.missing());
  }

  start() {
    const next = async () => {
      const began = performance.now();
      if (this.wanted && !this.kept && !document.hidden) await this.fetch();
      setTimeout(next, Math.max(50, EVERY_MS - (performance.now() - began)));
    };
    next();
  }

  async fetch() {
    try {
      const response = await fetch(this.url, { signal: AbortSignal.timeout(WITHIN_MS), cache: "no-cache" });
      if (response.status !== 200) return;
      const blob = await response.blob();
      if (this.kept) return;
      await this.put(URL.createObjectURL(blob));
      this.gotAt = performance.now();
    } catch {
      // The picture's age tells it.
    }
  }

  async put(url) {
    const old = this.image.src;
    this.image.src = url;
    this.image.hidden = false;
    try {
      await this.image.decode();
    } finally {
      if (old.startsWith("blob:")) URL.revokeObjectURL(old);
    }
  }

  /** Show an inspection's own picture; null goes back to live. */
  show(inspection) {
    this.kept = inspection;
    this.image.hidden = true;
    if (!inspection) {
      this.image.removeAttribute("src");
      this.gotAt = null;
      this.startedAt = performance.now();
      return;
    }
    this.image.alt = t("picture.kept", { id: inspection.id });
    if (inspection.image) this.put(`/api/v1/inspections/${inspection.id}/image`).catch(() => this.missing());
  }

  missing() {
    if (this.kept) this.image.hidden = true;
  }

  draw(feed) {
    // Asking a line that is down would only pile up failures.
    this.wanted = feed.up;
    const frame = byId("frame");
    const silence = (performance.now() - (this.gotAt ?? this.startedAt)) / 1000;
    const source = feed.status?.source;
    const age = Math.max(silence, (source?.age_ms ?? 0) / 1000 + (feed.up ? 0 : feed.silence));
    const old = !this.kept && (!feed.up || age > OLD_S || (source && source.state !== "live"));
    frame.toggleAttribute("data-old", old);
    frame.toggleAttribute("data-kept", this.kept !== null);
    byId("live-mark").hidden = old || this.kept !== null;
    const text = this.kept ? t("picture.not.kept") : t("picture.none.for", { age: span(age) });
    say(byId("no-picture"), text);
    byId("no-picture").hidden = this.kept ? !this.image.hidden : !old;
    if (!this.kept) this.image.alt = t("picture.live");
    say(byId("picture-age"), this.kept || this.gotAt === null ? "" : t("picture.age", { age: span(age) }));
  }
}
