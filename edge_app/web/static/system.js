// The system: how each part is, in plain words, and since when.

import { get } from "./api.js";
import { byId, h, icon, say } from "./dom.js";
import { history } from "./history.js";
import { people } from "./people.js";
import { may } from "./role.js";
import { clock, has, ms, number, slowedBy, span, t } from "./words.js";

const EVERY_MS = 2000;

/** One fact: good, bad, to be warned of, or only to be known. */
const row = (name, state, said) =>
  h("li", { "data-state": state }, icon({ bad: "down", warn: "down", good: "ok" }[state] ?? "none", "shape"), h("b", {}, name), h("span", {}, said));

const kept = (name, failing) => row(name, failing ? "bad" : "good", failing || t("system.fine"));

function lineRows(line) {
  if (!line.up) {
    const since = line.down_s === null ? "" : t("ago", { age: span(line.down_s) });
    return [row(t("system.program"), "bad", [t("system.silent"), since, line.reason].filter(Boolean).join(" · "))];
  }
  const { status } = line;
  const { source, latency_ms: latency } = status;
  const live = source.state === "live";
  const late = latency.p99 >= status.deadline_ms;
  return [
    row(t("system.program"), status.closed ? "bad" : "good", status.closed ? status.closed.reason : t("system.runs", { age: span(status.uptime_s) })),
    row(t("camera"), live ? "good" : "bad", live ? t("system.live", { n: number(source.frames ?? 0), again: number(source.reconnects ?? 0) }) : t("picture.lost", { reason: source.reason })),
    row(t("fact.job"), status.model ? "good" : "bad", `${status.job} ${status.job_name} · ${status.model} · ${status.runtime} × ${status.threads}`),
    row(t("latency"), late ? "bad" : "good", t("system.latency", { p50: ms(latency.p50), p99: ms(latency.p99), most: ms(latency.max), n: number(latency.count), budget: number(status.deadline_ms) })),
    kept(t("view.records"), status.records.failing),
    kept(t("system.pictures"), status.pictures.failing),
    row(t("system.room"), "note", t("system.megabytes", { n: number(status.pictures.kept_bytes / 1e6, 1) })),
    ...(status.warning && has(`code.${status.warning}`) ? [row(t("system.warning"), "warn", t(`code.${status.warning}`))] : []),
  ];
}

function appRows(doc, box) {
  const refused = Object.values(doc.uploads?.refused ?? {}).reduce((sum, count) => sum + count, 0);
  return [
    row("Lineside", "note", `${doc.version} · ${t("system.runs", { age: span(doc.uptime_s) })}`),
    row(t("system.model"), doc.model_loaded ? "good" : "bad", doc.model_loaded ? doc.model : doc.reason),
    kept(t("view.records"), doc.records === "ok" ? doc.records_notice : doc.records),
    row(t("system.uploads"), "note", t("system.refused", { n: number(refused) })),
    row(t("system.runtimes"), "note", Object.entries(doc.runtimes).map(([name, version]) => `${name} ${version}`).join(", ") || String(doc.runtimes)),
    ...boxRows(box),
    ...wearRows(doc, box),
  ];
}

function boxRows(box) {
  const { celsius, slowed, slowed_before: before, under_voltage: weak, clock_kept: clockKept } = box;
  const rows = [];
  if (celsius !== null || slowed) {
    const heat = celsius === null ? "" : `${number(celsius)} °C`;
    rows.push(row(t("system.heat"), box.strained ? "warn" : "good", [heat, slowedBy(slowed)].filter(Boolean).join(" · ")));
  }
  if (weak !== null) rows.push(row(t("system.power"), weak ? "warn" : "good", t(weak ? "slowed.under-voltage" : "system.enough")));
  if (before) rows.push(row(t("system.before"), "note", slowedBy(before)));
  if (clockKept !== null) rows.push(row(t("system.clock"), clockKept ? "good" : "warn", t(clockKept ? "system.kept" : "code.52")));
  if (box.memory_bytes !== null) rows.push(row(t("system.memory"), "note", t("system.of", { n: number(box.memory_free_bytes / 1e9, 1), all: number(box.memory_bytes / 1e9, 1) })));
  if (box.free_bytes !== null) rows.push(row(t("system.disk"), "note", t("system.of", { n: number(box.free_bytes / 1e9, 1), all: number(box.total_bytes / 1e9, 1) })));
  return rows;
}

const PURPOSES = ["pictures", "records", "models", "logs"];

/** What all programs wrote today, and what that means for the card. */
function wearRows(doc, box) {
  const lines = Object.values(doc.lines).map(({ status }) => status);
  const days = [doc, ...lines].map(({ written }) => written?.today ?? {});
  const said = PURPOSES.map((purpose) => {
    const bytes = days.reduce((sum, day) => sum + (day[purpose] ?? 0), 0);
    return `${t(`written.${purpose}`)} ${number(bytes / 1e6, 1)}`;
  });
  const rows = [row(t("system.written"), "note", t("system.mb_today", { said: said.join(", ") }))];
  const limited = [doc, ...lines].map(({ pictures }) => pictures?.limited).filter(Boolean);
  for (const why of limited) rows.push(row(t("system.pictures"), "warn", why));
  if (box.written_per_day !== null) {
    const years = box.card_years === null ? "" : t("system.years", { n: number(box.card_years, 1) });
    rows.push(row(t("system.card"), "note", [t("system.gb_a_day", { n: number(box.written_per_day / 1e9, 1) }), years].filter(Boolean).join(" · ")));
  }
  return rows;
}

const card = (title, rows) => h("section", { class: "card" }, h("h2", {}, title), h("ul", { class: "health-rows" }, ...rows));

async function draw() {
  try {
    const [doc, box] = await Promise.all([get("/api/v1/status", { within: 1500 }), get("/page/box", { within: 1500 })]);
    byId("health").replaceChildren(
      ...Object.entries(doc.lines).map(([name, line]) => card(`${t("view.line")} ${name}`, lineRows(line))),
      card(t("system.app"), appRows(doc, box)));
    byId("health").removeAttribute("data-old");
    say(byId("system-note"), "");
  } catch (refused) {
    byId("health").setAttribute("data-old", "");
    say(byId("system-note"), refused.message);
  }
}

history("", 50).then((list) => {
  if (list) byId("changes").append(h("h2", {}, t("system.changes")), list);
  byId("changes").hidden = !list;
});
const logRow = ({ at, level, logger, text }) =>
  h("li", {}, h("span", { class: "soft" }, clock(at)), h("b", {}, level), h("span", {}, logger), h("span", { class: "change" }, text));

async function drawLog() {
  try {
    const { entries } = await get("/api/v1/log?limit=50", { within: 1500 });
    byId("log").replaceChildren(h("h2", {}, t("system.log")), h("ol", { class: "history", tabindex: "0" }, ...entries.map(logRow)));
    byId("log").removeAttribute("data-old");
  } catch {
    byId("log").setAttribute("data-old", ""); // the note above says what does not answer
  }
}

/** Long, and seldom wanted: folded until somebody asks. */
function drawSettings() {
  const place = byId("settings");
  const text = h("pre", { class: "settings", tabindex: "0" });
  const folded = h("details", { class: "more-about" }, h("summary", { class: "button" }, t("system.settings")), text);
  folded.addEventListener("toggle", async () => {
    try {
      say(text, (await get("/api/v1/settings")).toml);
    } catch (refused) {
      say(text, refused.message);
    }
  }, { once: true });
  place.replaceChildren(folded);
  place.hidden = false;
}

if (may("engineer")) {
  drawSettings();
  byId("log").hidden = false;
  drawLog();
  setInterval(() => document.hidden || drawLog(), 5 * EVERY_MS);
}
if (may("admin")) people(byId("people")).catch((refused) => say(byId("people"), refused.message));
byId("people").hidden = !may("admin");
draw();
setInterval(() => document.hidden || draw(), EVERY_MS);
