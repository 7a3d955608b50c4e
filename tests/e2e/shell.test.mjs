// The page's frame in a real Chromium: login, languages, themes, palette, shortcuts, a server that dies and comes back, what the first load
// costs, how files are cached; and the screens Settings and Help.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeFinds, launch, openPage, shot, sideways } from "./page.mjs";
import { eventually, startSystem } from "./system.mjs";

let system, browser;
before(async () => {
  system = await startSystem({ config: "link:\n  events_max_rows: 5000\n" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

const looks = [
  { name: "light", language: "en", dark: false, width: 1440, height: 900 },
  { name: "dark", language: "es", dark: true, width: 1440, height: 900 },
  { name: "narrow", language: "es", dark: false, width: 360, height: 740 },
  { name: "narrow-dark", language: "en", dark: true, width: 360, height: 740 },
];
const screens = [
  ["settings", "/settings"], ["settings-config", "/settings/config"], ["settings-tokens", "/settings/tokens"], ["help", "/help"],
];

test("without a login it says how to log in, and goes on by itself after one in another tab", async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(system.page);
  await page.getByRole("heading", { level: 1, name: "Not logged in" }).waitFor();
  assert.match(page.url(), /\/ui\//);
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "locked");
  const other = await context.newPage();
  const link = await system.loginLink();
  await other.goto(link);
  await other.waitForURL((url) => url.pathname.startsWith("/ui"));
  await page.getByRole("heading", { level: 1, name: "Not logged in" }).waitFor({ state: "detached", timeout: 10_000 });
  const again = await other.goto(link);
  assert.equal(again.status(), 403);
  await other.getByRole("heading", { name: "This link does not work any more" }).waitFor();
  assert.deepEqual(await axeFinds(other), []);
  await shot(other, "login-used");
  await context.close();
});

for (const look of looks) {
  test(`settings and help: ${look.name}, ${look.language}, ${look.width} px`, async () => {
    const p = await openPage(browser, system, look);
    for (const [name, path] of screens) {
      await p.go(path);
      await eventually(async () => (await p.page.locator("[class*=skeleton]").count()) === 0);
      assert.equal(await p.page.evaluate(() => document.documentElement.lang), look.language);
      assert.deepEqual(await axeFinds(p.page), [], `${name}: axe`);
      assert.ok(await sideways(p.page) <= 0, `${name} scrolls sideways`);
      await shot(p.page, `${name}-${look.name}`);
    }
    assert.deepEqual(p.problems, []);
    await p.close();
  });
}

test("a 4K screen is filled sensibly", async () => {
  const p = await openPage(browser, system, { width: 3840, height: 2160 });
  for (const [name, path] of [["help", "/help"], ["settings-config", "/settings/config"]]) {
    await p.go(path);
    await eventually(async () => (await p.page.locator("[class*=skeleton]").count()) === 0);
    const used = await p.page.evaluate(() => document.querySelector("main h1").parentElement.parentElement.getBoundingClientRect().width / window.innerWidth);
    assert.ok(used > 0.55, `${name} uses ${used}`);
    await shot(p.page, `${name}-4k`);
  }
  await p.close();
});

test("the command palette and the shortcuts by keyboard alone", async () => {
  const p = await openPage(browser, system, {});
  const { page } = p;
  await p.go("/help");
  await page.keyboard.press("Control+k");
  const input = page.getByRole("combobox", { name: "Commands" });
  await input.waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "palette");
  await page.keyboard.type("sett");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
  assert.equal(await page.title(), "Settings · VX11");
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "main"); // the focus went along
  await page.keyboard.press("Control+b");
  await page.getByRole("button", { name: "Widen navigation" }).waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("espanol"); // found without its tilde
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Ayuda" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "es");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("oscuro");
  await page.keyboard.press("Enter");
  await eventually(() => page.evaluate(() => document.documentElement.dataset.theme === "dark"));
  await page.reload(); // remembered
  await page.getByRole("heading", { level: 1, name: "Ayuda" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Saltar al contenido");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  assert.deepEqual(p.problems, []);
  await p.close();
});

test("on a phone the navigation is a drawer", async () => {
  const p = await openPage(browser, system, { width: 360, height: 740 });
  await p.go("/help");
  await p.page.getByRole("button", { name: "Open navigation" }).click();
  const drawer = p.page.getByRole("dialog", { name: "VX11" });
  await drawer.waitFor();
  assert.deepEqual(await axeFinds(p.page), []);
  await shot(p.page, "drawer");
  await drawer.getByRole("link", { name: "Settings" }).click();
  await p.page.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
  await drawer.waitFor({ state: "detached" });
  assert.deepEqual(p.problems, []);
  await p.close();
});

test("an address that leads nowhere says so; API paths stay the API's", async () => {
  const p = await openPage(browser, system, {});
  await p.go("/no/such/page");
  await p.page.getByRole("heading", { level: 1, name: "There is no such page" }).waitFor();
  await p.close();
  const json = await fetch(`${system.url}/ui/help`, { headers: { accept: "application/json" } });
  assert.equal(json.status, 404);
  assert.equal((await json.json()).error.code, "not_found");
  const html = await fetch(`${system.url}/ui/help`, { headers: { accept: "text/html,*/*;q=0.8" } });
  assert.equal(html.status, 200);
  assert.match(html.headers.get("content-security-policy"), /default-src 'none'; script-src 'self'; style-src 'self';/);
  assert.equal(html.headers.get("cache-control"), "no-cache");
  const tag = html.headers.get("etag");
  const same = await fetch(`${system.url}/`, { headers: { "if-none-match": tag } });
  assert.equal(same.status, 304);
  const text = await html.text();
  assert.doesNotMatch(text, /https?:\/\//);
  const script = /src="(\/assets\/[^"]+)"/.exec(text)[1];
  const sizes = {};
  for (const coding of ["br", "gzip", "identity", "br;q=0, gzip;q=0.5"]) {
    const file = await fetch(system.url + script, { headers: { "accept-encoding": coding } });
    assert.equal(file.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.equal(file.headers.get("vary"), "Accept-Encoding");
    assert.equal(file.headers.get("content-encoding"), { br: "br", gzip: "gzip", identity: null }[coding] ?? (coding === "identity" ? null : "gzip"));
    sizes[coding] = Number(file.headers.get("content-length"));
    await file.arrayBuffer();
  }
  assert.ok(sizes.br < sizes.gzip && sizes.gzip < sizes.identity);
  assert.equal((await fetch(`${system.url}/assets/index.html`)).status, 404);
  assert.match(await (await fetch(`${system.url}/assets/licenses.txt`)).text(), /react-dom 18/);
});

test("the first load of the chat stays under 200 kB, and the second transfers next to nothing", async (t) => {
  const p = await openPage(browser, system, {}); // logs in; a fresh context then, so that nothing is cached
  const state = await p.context.storageState();
  await p.close();
  const context = await browser.newContext({ storageState: state, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send("Network.enable");
  const urls = new Map(), files = [];
  let bytes = 0;
  cdp.on("Network.responseReceived", (e) => urls.set(e.requestId, new URL(e.response.url).pathname));
  cdp.on("Network.loadingFinished", (e) => {
    const path = urls.get(e.requestId);
    if (!path || !(path.startsWith("/assets/") || path.startsWith("/ui"))) return;
    bytes += e.encodedDataLength;
    files.push([path, e.encodedDataLength]);
  });
  await page.goto(new URL("/ui/chat", system.page).href);
  await page.getByRole("heading", { level: 1 }).first().waitFor();
  await page.waitForTimeout(1500);
  t.diagnostic(`first load: ${bytes} bytes in ${files.length} files`);
  assert.ok(bytes > 50_000, "measured");
  assert.ok(bytes < 200_000, `${bytes} bytes: ${files.sort((a, b) => b[1] - a[1]).slice(0, 8).join("; ")}`);
  assert.deepEqual(files.filter(([path]) => /chart|uplot/i.test(path)), []);
  bytes = 0;
  await page.reload();
  await page.getByRole("heading", { level: 1 }).first().waitFor();
  await page.waitForTimeout(500);
  assert.ok(bytes < 5_000, `${bytes} bytes the second time`);
  await context.close();
});

test("a token is made, shown once, works, and is revoked", async () => {
  const p = await openPage(browser, system, {});
  const { page } = p;
  await p.go("/settings/tokens");
  await page.getByRole("cell", { name: "owner owner" }).waitFor();
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("a bad name");
  await page.getByRole("button", { name: "Make token" }).click();
  await page.getByText("1 to 63 letters").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "token-new");
  await page.getByRole("textbox", { name: "Name" }).fill("robot");
  await page.getByRole("combobox", { name: "Works for" }).selectOption("7");
  await page.keyboard.press("Tab");
  await page.getByRole("button", { name: "Make token" }).click();
  const shown = page.getByRole("alertdialog", { name: "Token robot" });
  const secret = (await shown.locator("pre").textContent()).trim();
  assert.match(secret, /^vx11_/);
  assert.deepEqual(await axeFinds(page), []);
  await shown.getByRole("button", { name: "I have it" }).click();
  assert.equal(await page.getByText(secret).count(), 0);
  const asks = () => fetch(`${system.url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
  await eventually(async () => (await asks()).status === 200);
  await page.getByRole("button", { name: "Options of robot" }).click();
  await page.getByRole("menuitem", { name: "Revoke" }).click();
  await page.getByRole("alertdialog", { name: "Revoke robot?" }).getByRole("button", { name: "Revoke robot" }).click();
  await page.getByText("robot was revoked.").waitFor();
  await eventually(async () => (await asks()).status === 401);
  await page.getByRole("cell", { name: "robot" }).waitFor({ state: "detached" });
  assert.deepEqual(p.problems, []);
  await p.close();
});

test("the configuration says who set a value", async () => {
  const p = await openPage(browser, system, {});
  const { page } = p;
  await p.go("/settings/config");
  await page.getByRole("searchbox", { name: "Search keys and descriptions" }).fill("page_port");
  const row = page.getByRole("listitem").filter({ hasText: "link.page_port" });
  await row.getByText("VX11_LINK__PAGE_PORT").waitFor();
  assert.equal(await page.getByText("1 key", { exact: true }).count(), 1);
  await page.getByRole("searchbox").fill("events_max_rows");
  await page.getByText(/config\.yaml:2/).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("checkbox", { name: "Only what differs" }).check();
  await eventually(async () => (await page.locator("main li code").count()) < 12);
  assert.deepEqual(p.problems, []);
  await p.close();
});

test("the server dies under the page and comes back", async () => {
  const p = await openPage(browser, system, { expected: /dynamically imported module|ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|40[0-9]|50[0-9]/ });
  const { page } = p;
  await p.go("/settings/config");
  await page.getByText("link.page_port").first().waitFor();
  await system.vx11("down");
  await page.getByRole("link", { name: "Help" }).click();
  const banner = page.getByRole("alert").filter({ hasText: "The server does not answer" });
  await banner.waitFor({ timeout: 15_000 });
  await page.getByRole("heading", { level: 1, name: "The server is away" }).waitFor(); // that screen was never loaded
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "unreachable");
  await system.vx11("up", "--detach");
  await page.getByRole("heading", { level: 1, name: "Help" }).waitFor({ timeout: 20_000 });
  assert.equal(await banner.count(), 0);
  await p.go("/settings");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { level: 1, name: "Not logged in" }).waitFor();
  assert.deepEqual(p.problems, []);
  await p.close();
});
