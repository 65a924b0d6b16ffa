// Who changed what, when, from what to what: the audit log of one thing, or of all.

import { get } from "./api.js";
import { h } from "./dom.js";
import { clock, has, t } from "./words.js";

const said = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** The fields that differ, as `name: old → new`. */
export function differences(old, now, path = "") {
  const plain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (!plain(old) || !plain(now)) return said(old) === said(now) ? [] : [`${path ? `${path}: ` : ""}${said(old)} → ${said(now)}`];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  return names.flatMap((name) => differences(old[name], now[name], path ? `${path}.${name}` : name));
}

const actionOf = (action) => (has(`audit.${action}`) ? t(`audit.${action}`) : action);

function row(entry) {
  return h("li", {},
    h("span", { class: "soft" }, clock(entry.at)),
    h("b", {}, entry.who),
    h("span", {}, `${actionOf(entry.action)} ${entry.target.split("/").slice(1).join("/")}`),
    h("span", { class: "change" }, differences(entry.old, entry.new).join(" · ")));
}

/** A list of entries, or null where there are none or they may not be seen. */
export async function history(target, limit = 20) {
  try {
    const { entries } = await get(`/api/v1/audit?${new URLSearchParams({ target, limit })}`);
    return entries.length ? h("ol", { class: "history" }, ...entries.map(row)) : null;
  } catch {
    return null;
  }
}
