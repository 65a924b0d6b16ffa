// The state of the line, asked for twice a second, and how old what we know is.

import { get } from "./api.js";

export const POLL_MS = 450;
const WITHIN_MS = 1100;

/** Without a good answer for this long the page no longer knows anything. */
export const LOST_MS = 1400;

const KEPT = 120;

/** Polls a camera's state and keeps its newest inspections, newest first. */
export class Feed {
  constructor(camera, changed) {
    this.camera = camera;
    this.inspections = [];
    this.document = null;
    this.heardAt = null;
    this.startedAt = performance.now();
    this.changed = changed;
    this.busy = false;
  }

  start() {
    this.ask();
    setInterval(() => this.ask(), POLL_MS);
    // The ages go on when nothing is heard: that is when they matter.
    setInterval(() => this.changed(this), 250);
    document.addEventListener("visibilitychange", () => this.ask());
  }

  async ask() {
    if (this.busy || document.hidden) return;
    this.busy = true;
    const after = this.inspections[0]?.id ?? 0;
    const query = new URLSearchParams({ camera: this.camera, after });
    try {
      this.take(await get(`/page/live?${query}`, { within: WITHIN_MS }));
    } catch (refused) {
      // A session that ended: to the login and back. All else the age of what is known says.
      if (refused.status === 401) location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`);
    }
    this.busy = false;
    this.changed(this);
  }

  take(doc) {
    this.document = doc;
    this.heardAt = performance.now();
    this.inspections = [...doc.inspections, ...this.inspections].slice(0, KEPT);
  }

  /** Seconds since the device was heard. */
  get silence() {
    return (performance.now() - (this.heardAt ?? this.startedAt)) / 1000;
  }

  get lost() {
    return this.silence * 1000 > LOST_MS;
  }

  /** The line's own words: null before it ever spoke. */
  get status() {
    const status = this.document?.line.status;
    return status && "camera" in status ? status : null;
  }

  get up() {
    return !this.lost && this.document?.line.up === true;
  }

  /** Seconds since the line was heard, by the device's clock and ours. */
  get lineAge() {
    return (this.document?.line.age_s ?? 0) + this.silence;
  }

  /** The last part's answer as the line tells it, with its age in seconds. */
  get last() {
    const last = this.status?.last;
    return last ? { ...last, age: last.age_s + this.lineAge } : null;
  }
}
