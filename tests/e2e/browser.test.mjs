// The screen Browser, and `vx11 browse`: a real Chromium drives a page of the test's through VX11, watched in another Chromium.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { axeFinds, launch, openPage, shot, sideways } from "./page.mjs";
import { startSystem } from "./system.mjs";

const FORM = `<!doctype html><html lang="en"><title>A shop</title><body style="font-family:sans-serif"><h1>Shop</h1>
<form action="/thanks"><label>Your name <input id="name" name="name"></label> <button>Order</button></form></body></html>`;
let system, browser, site, address;
before(async () => {
  site = createServer((req, res) => {
    const url = new URL(req.url, "http://x");
    if (url.pathname === "/away") return res.writeHead(302, { location: "http://169.254.169.254/latest/meta-data/" }).end();
    const name = (url.searchParams.get("name") ?? "").replace(/[<&]/g, "");
    res.writeHead(200, { "content-type": "text/html" });
    res.end(url.pathname === "/thanks" ? `<!doctype html><html lang="en"><title>Thanks</title><h1>Thank you, ${name}</h1></html>` : FORM);
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  address = `127.0.0.1:${site.address().port}`;
  system = await startSystem({ config: `operator:\n  browser:\n    allow: ["${address}"]\n` });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await system?.stop();
  site?.close();
});

test("a form is filled in; steps, screenshot and text are shown; the task is in the list and can be run again", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/browser");
  await page.getByText("No tasks yet").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.getByLabel("Address").fill(`http://${address}/`);
  await page.getByRole("button", { name: "Add a step" }).click();
  await page.getByLabel("What").selectOption("fill");
  await page.getByLabel("Where").fill("#name");
  await page.getByLabel("Text", { exact: true }).fill("Ada");
  await page.getByRole("button", { name: "Add a step" }).click();
  await page.getByLabel("Where").nth(1).fill("button");
  assert.deepEqual(await axeFinds(page), []);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Thanks" }).waitFor({ timeout: 60_000 });
  const picture = page.getByRole("img", { name: /Screenshot of Thanks/ });
  await picture.waitFor();
  assert.ok(await picture.evaluate(async (img) => { await img.decode(); return img.naturalWidth; }) > 300);
  await page.getByText("Thank you, Ada").first().waitFor();
  await page.getByRole("tab", { name: /Requests of the page/ }).click();
  await page.getByText("/thanks?name=Ada").first().waitFor();
  await page.getByRole("tab", { name: "Structure" }).click();
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "browser");
  await page.getByRole("link", { name: "All tasks" }).click();
  await page.getByRole("row", { name: new RegExp(address) }).first().click();
  await page.getByRole("button", { name: "Run again" }).click();
  assert.equal(await page.getByLabel("Address").inputValue(), `http://${address}/`);
  assert.equal(await page.getByLabel("Where").first().inputValue(), "#name");
  assert.deepEqual(problems, []);
  await close();
});

test("a redirect to a private address is refused, and the page says so", async () => {
  const { page, problems, go, close } = await openPage(browser, system, { language: "es", dark: true, width: 360, height: 740 });
  await go("/browser");
  await page.getByLabel("Dirección").fill(`http://${address}/away`);
  await page.getByRole("button", { name: "Ejecutar", exact: true }).click();
  await page.getByText("La dirección no está permitida").waitFor({ timeout: 60_000 });
  assert.ok(await sideways(page) <= 0);
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "browser-es-dark-360");
  assert.deepEqual(problems, []);
  await close();
});

test("vx11 browse does the same from a shell", async () => {
  const file = path.join(system.home, "shot.png");
  const { stdout } = await system.vx11("browse", `http://${address}/`, "--text", "--screenshot", file);
  assert.match(stdout, /Your name/);
  assert.deepEqual([...(await readFile(file)).subarray(1, 4)], [...Buffer.from("PNG")]);
  await assert.rejects(system.vx11("browse", "http://169.254.169.254/"), (e) => e.code !== 0 && /metadata service/.test(e.stderr));
});
