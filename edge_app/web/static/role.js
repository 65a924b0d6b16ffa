// What the person before the screen may do: the device decides, the page only doesn't offer more.

const roles = (document.documentElement.dataset.roles ?? "").split(" ");

/** Whether this person has a role, or one above it. */
export const may = (role) => roles.includes(role);

/** Take away what this person may not do. */
export function hideForbidden() {
  for (const element of document.querySelectorAll("[data-needs]")) {
    if (!may(element.dataset.needs)) element.remove();
  }
}
