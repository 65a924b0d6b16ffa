// Asking the device: every question has its time limit and one kind of error.

import { t } from "./words.js";

/** A refusal or a failure, with a sentence for people. */
export class Refused extends Error {
  constructor(message, { status = 0, code = "" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function refusal(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // Not ours (a proxy's page): the status says it all.
  }
  const status = { status: response.status, code: error.code ?? "" };
  return new Refused(error.message ?? `HTTP ${response.status}`, status);
}

const token = document.querySelector("meta[name=csrf-token]")?.content;

/** What tells the device that a change comes from its own page. */
export const guardHeaders = () => (token ? { "X-CSRF-Token": token } : {});

/** Ask; the answer's `Response` if it is a good one. */
export async function ask(path, { within = 5000, ...options } = {}) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(within), ...options });
  } catch (error) {
    throw new Refused(t(error.name === "TimeoutError" ? "error.timeout" : "error.network"));
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Ask for a document. */
export async function get(path, options) {
  return (await ask(path, options)).json();
}

/** Tell the device something; `body` becomes JSON unless it is a form. */
export async function send(method, path, body, options = {}) {
  const json = body !== undefined && !(body instanceof FormData) && !(body instanceof Blob);
  const response = await ask(path, {
    method,
    body: json ? JSON.stringify(body) : body,
    headers: { ...guardHeaders(), ...(json ? { "Content-Type": "application/json" } : {}) },
    ...options,
  });
  return response.status === 204 ? null : response.json();
}
