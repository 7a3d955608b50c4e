// The page in a real Chromium: log in by the link, ask, see the answer come, the modules, an event, a download; nothing without the login.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import WebSocket from "ws";
import { eventually, startSystem } from "./system.mjs";

const SHOTS = path.join(process.env.VX11_BUILD ?? "build/release", "screenshots");
let system, browser;
before(async () => {
  system = await startSystem({ config: "hermes:\n  pull: {allow_private: true, chunk_bytes: 65536, connections: 1, margin_bytes: 0}\n" });
  await mkdir(SHOTS, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (e) => errors.push(`${e}`));
  page.on("console", (m) => { if (m.type() === "error" && !/401/.test(m.text())) errors.push(m.text()); });
  return { context, page, errors };
}

test("without a login it shows nothing but how to log in", async () => {
  const { context, page, errors } = await open();
  await page.goto(system.page);
  await page.getByText("Not logged in").waitFor();
  assert.equal(await page.locator("#app").isVisible(), false);
  assert.deepEqual(errors, []);
  await context.close();
});

test("the link logs in once; the chat streams a real answer; modules are measured", async () => {
  const link = await system.loginLink();
  const { context, page, errors } = await open({ viewport: { width: 1280, height: 800 } });
  await page.goto(link);
  await page.waitForURL(system.page);
  await page.getByRole("textbox", { name: "Message" }).fill("Which port is switch on?");
  await page.keyboard.press("Enter");
  await page.getByText("switch listens on port 8002.").waitFor({ timeout: 30_000 });
  await page.getByText(/vx11-guide \(local\), \d+ tokens/).waitFor();
  await page.getByText("All 3 modules are healthy").waitFor();
  assert.equal(await page.locator("#modules td.ok").count(), 3);
  const cookie = (await context.cookies()).find((c) => c.name === "vx11_session");
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Strict");
  await fetch(`${system.url}/events/ingest`, {
    method: "POST", headers: { authorization: `Bearer ${system.token}`, "content-type": "application/json" },
    body: JSON.stringify({ source: "e2e", type: "system.alert", payload: { timestamp: Date.now(), alert_id: "e2e-1", severity: "L3", message: "a test alert" } }),
  });
  await page.getByText("a test alert").waitFor();
  await page.screenshot({ path: path.join(SHOTS, "page.png") });
  assert.deepEqual(errors, []);

  const second = await open();
  const reply = await second.page.goto(link);
  assert.equal(reply.status(), 403);
  await second.context.close();

  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("Not logged in").waitFor();
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

test("a download is shown as it goes, to who comes later too, and cancelled by its button", async (t) => {
  const drip = await dripServer();
  t.after(() => drip.close());
  const { context, page, errors } = await open({ viewport: { width: 1280, height: 800 } });
  await page.goto(await system.loginLink());
  await page.waitForURL(system.page);
  await page.getByText("modules are healthy").waitFor();
  const panel = page.locator("#pulls-panel");
  assert.equal(await panel.isVisible(), false);

  const headers = { authorization: `Bearer ${system.token}`, "content-type": "application/json" };
  const asked = await fetch(`http://127.0.0.1:${system.ports.hermes}/hermes/models/pull`, { method: "POST", headers, body: JSON.stringify({ source: drip.url, name: "drip" }) });
  assert.equal(asked.status, 202);
  const { id } = await asked.json();
  const fact = (where, name) => where.locator("#pulls dt", { hasText: name }).locator("xpath=following-sibling::dd[1]").textContent();
  await panel.getByText("drip", { exact: true }).waitFor();
  await eventually(async () => (await fact(page, "Phase")) === "resolving");
  assert.equal(await fact(page, "Downloaded"), "0 B of unknown");
  assert.equal(await fact(page, "Rate"), "unknown");
  assert.equal(await fact(page, "Time left"), "unknown");
  assert.equal(await panel.locator("progress").isVisible(), false);

  drip.release();
  await eventually(async () => /B\/s$/.test(await fact(page, "Rate")) && / (s|min)$/.test(await fact(page, "Time left")));
  assert.equal(await fact(page, "Phase"), "downloading");
  assert.match(await fact(page, "Downloaded"), /^[\d.]+ [KM]?B of 3\.\d MB$/);
  const bar = () => panel.locator("progress").evaluate((e) => ({ value: e.value, max: e.max }));
  const first = await bar();
  assert.equal(first.max, drip.size);
  let latest = first.value; // beyond a chunk, and never back
  await eventually(async () => {
    const { value } = await bar();
    assert.ok(value >= latest, `${latest} bytes, then ${value}`);
    latest = value;
    return value > first.value + 65536;
  }, 20_000);

  const later = await context.newPage();
  await later.goto(system.page);
  await eventually(async () => /^\d.*B\/s$/.test(await fact(later, "Rate")));
  await eventually(async () => !(await fact(later, "Downloaded")).startsWith("0 B"));
  await page.screenshot({ path: path.join(SHOTS, "pull.png") });
  await later.setViewportSize({ width: 360, height: 740 });
  assert.ok(await later.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
  await later.locator("#pulls-panel").screenshot({ path: path.join(SHOTS, "pull-narrow.png") });

  const foreign = await context.request.delete(`${system.page}hermes/pulls/${id}`, { headers: { origin: "http://evil.example" } });
  assert.equal(foreign.status(), 403);
  await page.getByRole("button", { name: "Cancel the download of drip" }).click();
  await panel.waitFor({ state: "hidden" });
  await later.locator("#pulls-panel").waitFor({ state: "hidden" });
  await page.getByText("drip: download cancelled").waitFor();
  const pull = await (await fetch(`http://127.0.0.1:${system.ports.hermes}/hermes/pulls/${id}`, { headers })).json();
  assert.equal(pull.state, "cancelled");
  await page.reload(); // the stored events of a pull that is over bring none back
  await page.getByText("drip.gguf: download cancelled").waitFor();
  assert.equal(await panel.isVisible(), false);
  assert.deepEqual(errors, []);
  await context.close();
});

test("works at 360 pixels, without sideways scrolling, light and dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { context, page } = await open({ viewport: { width: 360, height: 740 }, colorScheme });
    await page.goto(await system.loginLink());
    await page.waitForURL(system.page);
    await page.getByText("modules are healthy").waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    await page.screenshot({ path: path.join(SHOTS, `narrow-${colorScheme}.png`), fullPage: true });
    await context.close();
  }
});

test("a foreign page's Origin gets nowhere", async () => {
  const { context, page } = await open();
  await page.goto(await system.loginLink());
  await page.waitForURL(system.page);
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
