// Small things for making elements: no framework, no inline styles, no HTML from strings.

const SVG = "http://www.w3.org/2000/svg";

/** An element by its id; the templates promise that it is there. */
export const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element: `h("p", {class: "why"}, "text", other)`. */
export const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** An icon of `icons.svg`. */
export const icon = (name, kind = "icon") =>
  s("svg", { class: kind, "aria-hidden": "true" }, s("use", { href: `/static/icons.svg#${name}` }));

/** Change a text only where it differs: no needless layout, no needless announcement. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An element whose share of a track is set by a custom property, as CSP forbids style texts. */
export function withShare(element, name, value) {
  element.style.setProperty(name, value);
  return element;
}
