// What the person before the screen may do: the device decides, the page only doesn't offer more.

const needs = (document.documentElement.dataset.may ?? "").split(" ");

/** Whether this person may `predict`, `operate`, `engineer` or `admin`. */
export const may = (need) => needs.includes(need);

/** Take away what this person may not do. */
export function hideForbidden() {
  for (const element of document.querySelectorAll("[data-needs]")) {
    if (!may(element.dataset.needs)) element.remove();
  }
}
