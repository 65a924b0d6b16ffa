// Who is logged in, and out again.

import { send } from "./api.js";
import { byId } from "./dom.js";

byId("log-out")?.addEventListener("click", async () => {
  await send("DELETE", "/api/v1/session").catch(() => {});
  location.reload();
});
