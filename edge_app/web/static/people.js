// People and tokens: who may do what on this device. For administrators.

import { get, send } from "./api.js";
import { asking } from "./confirm.js";
import { h, say } from "./dom.js";
import { clock, t } from "./words.js";

const ROLES = ["viewer", "operator", "engineer", "admin"];

const roleField = (chosen) =>
  h("select", { "aria-label": t("role") }, ...ROLES.map((role) => h("option", { value: role, selected: role === chosen }, t(`role.${role}`))));

const textField = (label, attributes = {}) =>
  h("input", { class: "text-input", autocomplete: "off", autocapitalize: "none", "aria-label": label, placeholder: label, required: true, ...attributes });

const personUrl = (name) => `/api/v1/people/${encodeURIComponent(name)}`;
const tokenUrl = (id) => `/api/v1/tokens/${encodeURIComponent(id)}`;

/** The two lists, drawn into a place. */
export async function people(place) {
  const note = h("p", { class: "note", role: "status" });
  const change = async (what) => {
    try {
      const told = await what();
      await draw();
      say(note, told ?? "");
    } catch (refused) {
      say(note, refused.message);
    }
  };
  async function draw() {
    const [{ people: known }, { tokens }] = await Promise.all([get("/api/v1/people"), get("/api/v1/tokens")]);
    place.replaceChildren(
      h("h2", {}, t("people")), h("ul", { class: "people" }, ...known.map((each) => personRow(each, change))), newPerson(change),
      h("h2", {}, t("tokens")), h("ul", { class: "people" }, ...tokens.map((each) => tokenRow(each, change))), newToken(change), note);
  }
  await draw();
}

const removal = (name, url, change) =>
  asking(t("model.remove"), t("people.remove.ask", { name }), () => change(() => send("DELETE", url)));

function personRow({ name, role }, change) {
  const field = roleField(role);
  field.addEventListener("change", () => change(async () => {
    await send("PUT", personUrl(name), { role: field.value });
    return t("job.saved");
  }));
  return h("li", {}, h("b", {}, name), field, removal(name, personUrl(name), change));
}

function newPerson(change) {
  const name = textField(t("people.name"));
  const password = textField(t("people.password"), { type: "password", autocomplete: "new-password", minlength: 10 });
  const role = roleField("operator");
  const add = (event) => {
    event.preventDefault();
    change(async () => {
      await send("PUT", personUrl(name.value), { role: role.value, password: password.value });
      return t("job.saved");
    });
  };
  return h("form", { class: "people-new", onsubmit: add }, name, password, role, h("button", { class: "button", type: "submit" }, t("people.add")));
}

function tokenRow({ id, name, role, made_at: madeAt }, change) {
  return h("li", {}, h("b", {}, name), h("span", {}, t(`role.${role}`)), h("span", { class: "soft" }, clock(madeAt)), removal(name, tokenUrl(id), change));
}

function newToken(change) {
  const name = textField(t("tokens.name"));
  const role = roleField("operator");
  const add = (event) => {
    event.preventDefault();
    change(async () => {
      const made = await send("POST", "/api/v1/tokens", { name: name.value, role: role.value });
      return t("tokens.made", { token: made.token });
    });
  };
  return h("form", { class: "people-new", onsubmit: add }, name, role, h("button", { class: "button", type: "submit" }, t("tokens.add")));
}
