// Sending a large file with its progress: the one thing that fetch can't tell.

import { Refused, guardHeaders } from "./api.js";
import { t } from "./words.js";

/** Post a file in a form's field; `progress` gets shares from 0 to 1. */
export function sendFile(path, field, file, progress) {
  const form = new FormData();
  form.append(field, file, file.name);
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(guardHeaders())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status < 300) done(response);
      else failed(new Refused(response?.error?.message ?? `HTTP ${status}`, { status }));
    });
    request.addEventListener("error", () => failed(new Refused(t("error.network"))));
    request.send(form);
  });
}
