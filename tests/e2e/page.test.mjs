// The page's door in a real Chromium: nothing without the login, a link that works once, a cookie that scripts cannot read, a download
// that is shown as it goes and cancelled by its button, and no other site's page that gets in. Its screens have tests of their own.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { launch, openPage, shot } from "./page.mjs";
import { eventually, startSystem } from "./system.mjs";

let system, browser;
before(async () => {
  system = await startSystem({ config: "hermes:\n  pull: {allow_private: true, chunk_bytes: 65536, connections: 1, margin_bytes: 0}\n" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

async function open(options) {
  const context = await browser.newContext(options);
  return { context, page: await context.newPage() };
}

test("without a login it shows nothing but how to log in", async () => {
  const { context, page } = await open();
  await page.goto(system.page);
  await page.getByRole("heading", { name: "Not logged in" }).waitFor();
  assert.equal(await page.getByRole("textbox").count(), 0);
  assert.equal((await context.request.get(`${system.page}operator/sessions`)).status(), 401);
  await context.close();
});

test("the link logs in once; the cookie is the browser's alone; logging out ends it", async () => {
  const link = await system.loginLink();
  const { context, page } = await open();
  await page.goto(link);
  await page.waitForURL(/\/ui/);
  await page.getByRole("navigation").first().waitFor();
  const cookie = (await context.cookies()).find((c) => c.name === "vx11_session");
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Strict");
  assert.equal((await context.request.get(`${system.page}vx11/session`)).status(), 200);

  const second = await open();
  assert.equal((await second.page.goto(link)).status(), 403);
  await second.context.close();

  await page.goto(new URL("/ui/settings", system.page).href);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Not logged in" }).waitFor();
  assert.equal((await context.request.get(`${system.page}vx11/session`)).status(), 401);
  await context.close();
});

// Serves one model with ranges: nothing before it is released, then a little at a time.
async function dripServer() {
  const model = await readFile(path.join(import.meta.dirname, "../../models/guide/guide.gguf"));
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const server = createServer(async (request, reply) => {
    await released;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const from = range ? Number(range[1]) : 0;
    const to = range?.[2] ? Math.min(Number(range[2]), model.length - 1) : model.length - 1;
    reply.writeHead(range ? 206 : 200, {
      "content-length": to - from + 1, "accept-ranges": "bytes", etag: '"drip"',
      ...(range ? { "content-range": `bytes ${from}-${to}/${model.length}` } : {}),
    });
    if (request.method === "HEAD") return reply.end();
    for (let at = from; at <= to && !reply.destroyed; at += 8192) {
      reply.write(model.subarray(at, Math.min(at + 8192, to + 1)));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    reply.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/drip.gguf`, size: model.length, release,
    close: () => { release(); server.closeAllConnections(); server.close(); },
  };
}

test("a download is shown as it goes, and cancelled by its button", async (t) => {
  const drip = await dripServer();
  t.after(() => drip.close());
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/models/get");
  const headers = { authorization: `Bearer ${system.token}`, "content-type": "application/json" };
  const asked = await fetch(`${system.url}/hermes/models/pull`, { method: "POST", headers, body: JSON.stringify({ source: drip.url, name: "drip" }) });
  assert.equal(asked.status, 202);
  const { id } = await asked.json();
  const bar = page.getByRole("progressbar", { name: "drip" });
  await bar.waitFor();
  assert.equal(await bar.getAttribute("aria-valuenow"), null, "nobody knows yet how much there is");
  await page.getByText("asking the hub").waitFor();
  drip.release();
  await page.getByText(/ of 3\.7 MB/).waitFor();
  await page.getByText(/B\/s/).waitFor();
  const share = async () => Number(await bar.getAttribute("aria-valuenow"));
  let latest = await share();
  const first = latest;
  await eventually(async () => { // beyond a chunk, and never back
    const now = await share();
    assert.ok(now >= latest, `${latest} %, then ${now}`);
    latest = now;
    return now >= first + 4;
  }, 20_000);
  await shot(page, "pull");
  await page.getByRole("button", { name: "Cancel: drip" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Cancel download" }).click();
  await page.getByText("cancelled").first().waitFor();
  await bar.waitFor({ state: "detached" });
  assert.equal((await (await fetch(`${system.url}/hermes/pulls/${id}`, { headers })).json()).state, "cancelled");
  assert.deepEqual(problems, []);
  await close();
});

test("a foreign page's Origin gets nowhere", async () => {
  const { context, page } = await open();
  await page.goto(await system.loginLink());
  await page.waitForURL(/\/ui/);
  const reply = await context.request.post(`${system.page}v1/chat/completions`, {
    headers: { origin: "http://evil.example", "content-type": "application/json" }, data: { messages: [{ role: "user", content: "hi" }] },
  });
  assert.equal(reply.status(), 403);
  await context.close();
});

test("events come over a WebSocket with the token, and not without", async () => {
  const url = `ws://127.0.0.1:${system.ports.link}/ws`;
  const refused = await new Promise((resolve) => {
    const ws = new WebSocket(url);
    ws.on("unexpected-response", (_, reply) => resolve(reply.statusCode));
    ws.on("open", () => resolve("open"));
    ws.on("error", () => {});
  });
  assert.equal(refused, 401);
  const ws = new WebSocket(url, { headers: { authorization: `Bearer ${system.token}` } });
  await new Promise((resolve, reject) => { ws.on("open", resolve); ws.on("error", reject); });
  const message = new Promise((resolve) => ws.on("message", (data) => resolve(JSON.parse(data))));
  await fetch(`${system.url}/events/ingest`, {
    method: "POST", headers: { authorization: `Bearer ${system.token}`, "content-type": "application/json" },
    body: JSON.stringify({ source: "e2e", type: "shub.action.narrated", payload: { timestamp: Date.now(), action: "a", reason: "b", next_step: "c" } }),
  });
  assert.equal((await message).type, "shub.action.narrated");
  const closed = new Promise((resolve) => ws.on("close", resolve));
  ws.send("{}");
  assert.equal(await closed, 1008);
});
