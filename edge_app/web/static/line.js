// The line view: what the operator sees from three metres away.

import { latencyChart, limitBar, percentiles, yieldTrend } from "./charts.js";
import { send } from "./api.js";
import { asking } from "./confirm.js";
import { byId, h, say, withShare } from "./dom.js";
import { Feed } from "./feed.js";
import { Filmstrip } from "./filmstrip.js";
import { Found } from "./found.js";
import { Overlay } from "./overlay.js";
import { LivePicture } from "./picture.js";
import { offerUpload } from "./upload.js";
import { hideForbidden, may } from "./role.js";
import { shapeOf } from "./verdict.js";
import { clock, has, ms, number, percent, slowedBy, span, t, why, words } from "./words.js";

const SLOTS = 60;
const OLD_AFTER_S = 5;
const OLD_AT_MOST_S = 60;
const LONG = 24;

const camera = document.documentElement.dataset.camera;
const view = byId("line-view");
const picture = new LivePicture(camera);
const found = new Found(new Overlay(byId("frame"), byId("picture"), byId("overlay-on")));
const strip = new Filmstrip(byId("filmstrip"), freeze);
let frozen = null;
let drawnFor = "";

hideForbidden();
const triggering = byId("trigger");
const feed = new Feed(camera, draw);
if (camera) {
  feed.start();
  picture.start();
}
if (may("predict")) offerUpload();

byId("thaw").addEventListener("click", () => freeze(null));
document.addEventListener("keydown", (event) => event.key === "Escape" && freeze(null));
triggering?.addEventListener("click", trigger);
if (may("operate")) {
  byId("shift-reset").append(asking(t("shift.reset"), t("shift.reset.ask"), () => act("reset"), "button quiet"));
}

function freeze(inspection) {
  frozen = inspection;
  picture.show(inspection);
  strip.freeze(inspection?.id ?? null);
  draw(feed);
}

function trigger() {
  freeze(null);
  act("trigger");
}

/** Have the line do something; a refusal is told in the banner. */
async function act(what) {
  try {
    await send("POST", `/api/v1/cameras/${encodeURIComponent(camera)}/${what}`, undefined, { within: 15000 });
  } catch (refused) {
    notice(t("trigger.refused", { reason: refused.message }));
  }
  feed.ask();
}

let noticeUntil = 0;
let noticeText = "";
function notice(text) {
  noticeText = text;
  noticeUntil = performance.now() + 6000;
  draw(feed);
}

/** What is wrong with the line itself, worst first; empty while all is well. */
function trouble() {
  const status = feed.status;
  if (feed.lost || !feed.up || !status) return "";
  if (performance.now() < noticeUntil) return noticeText;
  if (status.closed) {
    const { code, reason } = status.closed;
    const word = has(`code.${code}`) ? t(`code.${code}`) : "";
    return t("closed", { reason: [word, reason].filter(Boolean).join(" – ") });
  }
  if (status.source.state === "lost") return t("picture.lost", { reason: status.source.reason });
  if (status.fault) return t("fault", { reason: status.fault });
  if (status.records.failing) return t("records.failing", { reason: status.records.failing });
  if (status.pictures.failing) return t("pictures.failing", { reason: status.pictures.failing });
  if (feed.document.records !== "ok") return t("records.failing", { reason: feed.document.records });
  if (feed.document.records_notice) return t("records.replaced", { reason: feed.document.records_notice });
  return "";
}

function draw() {
  const known = feed.document !== null;
  const state = feed.lost ? "lost" : !known ? "waiting" : feed.up ? "up" : "down";
  view.dataset.state = state;
  const text = trouble();
  byId("banner").hidden = !text;
  say(byId("banner"), text);
  if (triggering) triggering.disabled = state !== "up";
  picture.draw(feed);
  drawVerdict(state);
  drawFound(state);
  if (!known) return;
  const newest = `${feed.inspections[0]?.id}/${feed.status?.shift.total}/${feed.status?.shift.missed}/${state}`;
  if (newest === drawnFor) return;
  drawnFor = newest;
  if (feed.status) drawHead(feed.status), drawShift(feed.status.shift);
  drawLatency();
  byId("trend").replaceChildren(...yieldTrend(feed.inspections));
  strip.take(feed.inspections);
}

function drawHead(status) {
  const job = status.job_name ? `${status.job} ${status.job_name}` : status.job;
  say(byId("top-job"), `${t("fact.job")} ${job} · ${status.model}`);
  say(byId("surroundings"), surroundings().filter(Boolean).join(" · "));
  const warning = status.warning && has(`code.${status.warning}`) ? t(`code.${status.warning}`) : "";
  byId("warning").hidden = !warning;
  say(byId("warning-text"), warning);
}

function surroundings() {
  const { celsius, slowed, free_bytes: free } = feed.document.box;
  return [
    celsius === null ? "" : `${number(celsius)} °C`,
    slowedBy(slowed),
    free === null ? "" : t("system.free", { n: number(free / 1e9, free < 1e10 ? 1 : 0) }),
  ];
}

/** What the large field shows: a frozen part, trouble, or the line's last answer. */
function subject(state) {
  if (frozen) return { verdict: frozen.verdict, inspection: frozen, age: null };
  if (state === "lost") return { verdict: "LOST", since: feed.silence, why: t("lost.why") };
  if (state === "down") {
    const since = (feed.document.line.down_s ?? 0) + feed.silence;
    return { verdict: "DOWN", since, why: t("down.why") };
  }
  const last = feed.last;
  if (!last) return { verdict: "WAITING" };
  const record = feed.inspections.find((inspection) => inspection.id === last.id);
  return { verdict: last.verdict, inspection: record ?? fromShot(last), age: last.age };
}

/** The line's short form of a part whose record is still on its way. */
function fromShot(last) {
  return { ...last, trigger: last.n, total_ms: last.ms, scores: {}, captured_at: feed.document.time - last.age, model: feed.status.model };
}

function drawVerdict(state) {
  const shown = subject(state);
  const panel = byId("verdict");
  panel.dataset.verdict = shown.verdict;
  panel.toggleAttribute("data-frozen", frozen !== null);
  panel.toggleAttribute("data-old", !frozen && (shown.age ?? 0) > oldAfter());
  byId("verdict-shape").dataset.shape = shapeOf(shown.verdict);
  say(byId("verdict-word"), t(`verdict.${shown.verdict}`));
  announce(shown.verdict);
  drawFrozenBar();
  if (shown.inspection) drawReason(shown);
  else drawTrouble(shown);
}

/** Boxes belong to the part that was inspected: to a held one's picture, or to a live one for a moment. */
function drawFound(state) {
  const limits = feed.status?.limits;
  if (frozen) return found.draw(frozen, null, limits);
  const last = state === "up" ? feed.last : null;
  const record = last && feed.inspections.find((inspection) => inspection.id === last.id);
  return found.draw(record ?? null, last?.age ?? 0, limits);
}

const QUIET_MS = 5000;
let announcedAt = -QUIET_MS;

/** The tab tells the state; a screen reader hears what needs a person, not every good part. */
function announce(verdict) {
  const word = t(`verdict.${verdict}`);
  const title = [frozen ? "" : word, camera, "Lineside"].filter(Boolean).join(" · ");
  if (document.title !== title) document.title = title;
  const calm = frozen || verdict === "OK" || verdict === "WAITING";
  if (calm || performance.now() - announcedAt < QUIET_MS) return;
  announcedAt = performance.now();
  say(byId("announcement"), word);
}

/** A verdict is old when the line usually brings the next one well within this time. */
function oldAfter() {
  const times = feed.inspections.slice(0, 10).map((inspection) => inspection.captured_at);
  const gaps = times.slice(1).map((time, index) => times[index] - time).sort((a, b) => a - b);
  const usual = gaps[Math.floor(gaps.length / 2)] ?? 0;
  return Math.min(OLD_AT_MOST_S, Math.max(OLD_AFTER_S, usual * 3));
}

function drawFrozenBar() {
  byId("frozen-bar").hidden = !frozen;
  if (!frozen) return;
  const ahead = feed.inspections.findIndex((inspection) => inspection.id <= frozen.id);
  const n = ahead < 0 ? `${feed.inspections.length}+` : ahead;
  say(byId("frozen-text"), n === 0 ? t("frozen.none") : t("frozen", { n }));
}

let reasonFor = "";
function drawReason({ inspection, age }) {
  const facts = byId("facts");
  const key = `${inspection.id}/${Object.keys(inspection.scores).length}/${frozen !== null}`;
  if (key !== reasonFor) {
    reasonFor = key;
    const limits = feed.status?.limits;
    const bar = limits ? limitBar(inspection, limits) : null;
    byId("why").replaceChildren(...reasonLines(inspection, bar !== null));
    byId("limits").replaceChildren(...(bar ? [bar] : []));
    facts.replaceChildren(...factList(inspection));
  }
  const aged = facts.querySelector("[data-age]");
  if (aged) say(aged, age === null || age === undefined ? clock(inspection.captured_at) : `${clock(inspection.captured_at)} · ${t("ago", { age: span(age) })}`);
}

function reasonLines(inspection, hasBar) {
  const { found, limit } = why(inspection.reason, inspection.code);
  const size = { class: found.length > LONG ? "long" : null };
  if (inspection.code || !hasBar) return [h("b", size, found), h("span", {}, limit)];
  if (!inspection.label) return [h("b", {}, found)];
  return [h("b", {}, words(inspection.label)), h("b", { class: "score" }, percent(inspection.score))];
}

function factList(inspection) {
  const facts = [
    ["fact.part", inspection.part || "–", ""],
    ["fact.id", number(inspection.id), ""],
    ["fact.ms", `${ms(inspection.total_ms)} ms`, ""],
    ["fact.time", "", true],
  ];
  return facts.map(([name, value, aged]) =>
    h("div", {}, h("dt", {}, t(name)), h("dd", { "data-age": aged || null }, value)));
}

function drawTrouble({ verdict, since, why: text }) {
  reasonFor = "";
  const lines = [];
  if (since !== undefined) {
    const device = verdict === "DOWN" ? feed.document.time + feed.silence : Date.now() / 1000;
    const told = t("down.since", { time: clock(device - since), age: span(since) });
    lines.push(h("b", { class: "long" }, told), h("span", {}, text));
  }
  const before = feed.last;
  if (before && verdict !== "WAITING") {
    const word = t(`verdict.${before.verdict}`);
    lines.push(h("span", {}, t("last.verdict", { word, age: span(before.age) })));
  }
  byId("why").replaceChildren(...lines);
  byId("limits").replaceChildren();
  byId("facts").replaceChildren();
}

function drawShift(shift) {
  say(byId("yield"), shift.total ? percent(shift.ok / shift.total) : "–");
  say(byId("shift-since"), t("since", { time: clock(shift.since) }));
  const names = [["ok", "OK"], ["review", "REVIEW"], ["ng", "NG"], ["none", "NONE"]];
  const counts = names.map(([name, verdict]) =>
    h("li", { "data-verdict": verdict, "data-zero": shift[name] === 0 },
      h("b", {}, number(shift[name])), h("span", {}, t(`count.${name}`))));
  if (shift.missed) counts.push(h("li", { "data-verdict": "MISSED" }, h("b", {}, number(shift.missed)), h("span", {}, t("count.missed"))));
  byId("counts").replaceChildren(...counts);
  byId("ribbon").replaceChildren(...names.filter(([name]) => shift[name]).map(([name, verdict]) =>
    withShare(h("span", { "data-verdict": verdict }), "--share", shift[name])));
}

function drawLatency() {
  const shown = feed.inspections.slice(0, SLOTS);
  const budget = feed.status?.deadline_ms ?? 200;
  byId("latency-chart").replaceChildren(latencyChart(shown, budget, SLOTS));
  if (!shown.length) return;
  const found = percentiles(shown.map((inspection) => inspection.total_ms));
  const late = shown.filter((inspection) => inspection.total_ms >= budget).length;
  say(byId("latency-note"), [t("latency.note", { n: shown.length }), late ? t("latency.late", { n: late }) : ""].filter(Boolean).join(" · "));
  byId("percentiles").replaceChildren(...["p50", "p95", "p99"].map((name) =>
    h("div", { "data-late": found[name] >= budget }, h("dt", {}, name.toUpperCase()), h("dd", {}, ms(found[name]), h("small", {}, " ms")))));
}
