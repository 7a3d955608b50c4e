// What both upstreams share: a server on a free port that notes what it was asked and can be told to misbehave.
import { createServer } from "node:http";

// A refusal, as the API would word it.
export class Refused extends Error {
  constructor(status, type, message, headers = {}) { super(message); Object.assign(this, { status, type, headers }); }
}
export const need = (good, message) => { if (!good) throw new Refused(400, "invalid_request_error", message); };
// An object with no other keys than these.
export function only(object, keys, where) {
  need(object !== null && typeof object === "object" && !Array.isArray(object), `${where}: Input should be an object`);
  for (const key of Object.keys(object)) need(keys.includes(key), `${where}.${key}: Extra inputs are not permitted`);
}
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// answer(request, body, res) -> JSON value, or undefined when it has answered itself. shape(refused) -> error body.
export async function listen({ answer, shape }) {
  const self = { requests: [], left: 0, faults: [] };
  const server = createServer((req, res) => {
    let text = "";
    req.on("data", (d) => { text += d; });
    res.on("close", () => { if (!res.writableEnded) self.left++; });
    req.on("end", async () => {
      let status = 200, out, headers = {};
      const seen = { method: req.method, path: req.url, headers: req.headers, body: null };
      self.requests.push(seen);
      try {
        if (text) seen.body = JSON.parse(text);
        const fault = self.faults.shift();
        if (fault?.wait) await sleep(fault.wait);
        if (fault?.status) throw new Refused(fault.status, fault.type ?? "api_error", fault.message ?? "as told", fault.headers);
        out = await answer(seen, res, fault ?? {});
      } catch (e) {
        if (!(e instanceof Refused)) throw e;
        ({ status, headers } = e);
        self.refused = e.message;
        out = shape(e);
      }
      if (out === undefined || res.destroyed) return;
      res.writeHead(status, { "content-type": "application/json", ...headers });
      res.end(JSON.stringify(out));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(self, {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    last: () => self.requests.filter((r) => r.method === "POST").at(-1),
    // The next request is answered so: {status, type, message, headers}, {wait}, {cut}, {stall}.
    fault: (...list) => self.faults.push(...list),
    clear: () => { self.requests.length = 0; self.faults.length = 0; self.left = 0; self.refused = undefined; },
    stop: () => { server.closeAllConnections(); return new Promise((resolve) => server.close(resolve)); },
  });
}
