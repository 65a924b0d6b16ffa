// A button that asks once, in place, before it does what can't be undone by looking away.

import { h } from "./dom.js";
import { t } from "./words.js";

const PATIENCE_MS = 8000;

/** A button; after a Yes it runs `action`. Without an answer it goes back to what it was. */
export function asking(label, question, action, kind = "button") {
  const place = h("span", { class: "asking" });
  const button = h("button", { type: "button", class: kind, onclick: ask }, label);
  let timer = 0;
  function back() {
    clearTimeout(timer);
    place.replaceChildren(button);
  }
  function ask() {
    const yes = h("button", { type: "button", class: "button primary", onclick: () => (back(), action(button)) }, t("yes"));
    const no = h("button", { type: "button", class: "button", onclick: back }, t("no"));
    place.replaceChildren(h("span", { class: "question", role: "alert" }, question), yes, no);
    no.focus();
    timer = setTimeout(back, PATIENCE_MS);
  }
  back();
  return place;
}
