// Texts in the reader's language, and numbers, times and ages in the reader's form.

const PLACES = { en: 0, zh: 1 };
const root = document.documentElement;

export const language = root.dataset.language in PLACES ? root.dataset.language : "en";
const locale = language === "zh" ? "zh-CN" : "en-GB";
const place = PLACES[language];
const texts = await (await fetch("/static/words.json")).json();

/** Whether there is a text for a key. */
export const has = (key) => key in texts;

/** The text of a key with its {holes} filled. */
export function t(key, values = {}) {
  const text = texts[key]?.[place] ?? key;
  return text.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
}

/** A label as words: `missing_hole` is read as "missing hole". */
export const words = (label) => label.replace(/_+/g, " ");

const forms = new Map();
function form(digits, style) {
  const key = `${style}${digits}`;
  if (!forms.has(key)) {
    const range = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    forms.set(key, new Intl.NumberFormat(locale, { style, ...range }));
  }
  return forms.get(key);
}

export const number = (value, digits = 0) => form(digits, "decimal").format(value);
export const percent = (share, digits = 1) => form(digits, "percent").format(share);

/** Milliseconds as they are read: 8.4, 42, 1,204. */
export const ms = (value) => number(value, value < 10 ? 1 : 0);

const timeOfDay = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

/** Wall-clock time of seconds since 1970; with the date unless it is today. */
export function clock(seconds, always = false) {
  const moment = new Date(seconds * 1000);
  const today = moment.toDateString() === new Date().toDateString();
  return (today && !always ? timeOfDay : dayAndTime).format(moment);
}

/** How long something is ago: 0.4 s, 12 s, 3 min, 5 h. */
export function span(seconds) {
  if (seconds < 9.95) return t("unit.s", { n: number(Math.max(0, seconds), 1) });
  if (seconds < 99.5) return t("unit.s", { n: number(seconds) });
  if (seconds < 99.5 * 60) return t("unit.min", { n: number(seconds / 60) });
  if (seconds < 48 * 3600) return t("unit.h", { n: number(seconds / 3600) });
  return t("unit.d", { n: number(seconds / 86400) });
}

/** What slows the processor down, of the words that the device has for it. */
export const slowedBy = (words) => (words || "").split(", ").filter(Boolean).map((word) => t(`slowed.${word}`)).join(", ");

const RULES = [
  [/^(.*?), accepted from ([\d.]+%)$/, ([, said, limit]) => [said, "why.accepted.from", { limit }]],
  [/^(.*?), rejected below ([\d.]+%)$/, ([, said, limit]) => [said, "why.rejected.below", { limit }]],
  [/^(.*?), between (\S+) and (\S+)$/, ([, said, low, high]) => [said, "why.between", { low, high }]],
  [/^(.*?), accepted up to (\S+)$/, ([, said, limit]) => [said, "why.accepted.to", { limit }]],
  [/^(.*?), rejected from (\S+)$/, ([, said, limit]) => [said, "why.rejected.from", { limit }]],
];

/** What was found, in the device's words, and the key of the same in the reader's. */
const FOUND = [
  [/^anomaly (\S+)$/, "why.anomaly", ["score"]],
  [/^(.+) covers (\S+)$/, "why.covers", ["label", "share"]],
  [/^(\S+) of the picture reaches (\S+)$/, "why.reaches", ["share", "level"]],
  [/^(\d+(?: to \d+)?) (.+), expected (\d+(?: to \d+)?)$/, "why.count", ["found", "label", "wanted"]],
];

function told(text) {
  for (const [pattern, key, names] of FOUND) {
    const found = pattern.exec(text);
    if (found) return t(key, Object.fromEntries(names.map((name, place) => [name, found[place + 1].replace(/^(\d+) to (\d+)$/, "$1–$2")])));
  }
  return text.replace(/\bgood ([\d.]+%)/, (_, score) => t("why.good", { score }));
}

function finding(text) {
  for (const [pattern, read] of RULES) {
    const found = pattern.exec(text);
    if (found) {
      const [said, key, values] = read(found);
      return [told(said), t(key, values)];
    }
  }
  return [told(text), ""];
}

/** The device's reason in the reader's language: what was found, and the limit that decided. */
export function why(reason, code) {
  if (code && has(`code.${code}`)) {
    return { found: t(`code.${code}`), limit: language === "en" ? reason : "" };
  }
  const parts = words(reason).split("; ").map(finding);
  return {
    found: parts.map(([said]) => said).join("; "),
    limit: parts.map(([, limit]) => limit).filter(Boolean).join("; "),
  };
}
