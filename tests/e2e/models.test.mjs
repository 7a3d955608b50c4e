// The screens Models and Requests against a real system: load, pin, unload, pull with progress, providers, budgets; the decision log
// with one request's story, and ten thousand rows.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { axeFinds, launch, openPage, shot, sideways } from "./page.mjs";
import { startOpenAI } from "./upstream/openai.mjs";
import { eventually, queryOne, startSystem } from "./system.mjs";

const run = promisify(execFile);
let system, browser, upstream;
before(async () => {
  upstream = await startOpenAI();
  system = await startSystem({
    config: `hermes:
  pull: {allow_private: true, chunk_bytes: 65536, connections: 1, margin_bytes: 0}
switch:
  log_bodies: all
  retries: 1
  providers:
    - {name: local, kind: local}
    - {name: faraway, kind: openai, base_url: "${upstream.url}", preset: openai, models: [gpt-test], key_env: FARAWAY_KEY}
`,
    env: { FARAWAY_KEY: "sk-test" },
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await system?.stop();
  await upstream?.stop();
});

const ask = (body) => fetch(`${system.url}/v1/chat/completions`, {
  method: "POST", headers: { authorization: `Bearer ${system.token}`, "content-type": "application/json" }, body: JSON.stringify(body),
});
const question = [{ role: "user", content: "Which port is switch on?" }];

test("a model is loaded, kept, let go and unloaded; the numbers are the machine's", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/models");
  const row = page.getByRole("row", { name: /vx11-guide/ });
  await row.getByText("not loaded").waitFor();
  const menu = async (item) => {
    await row.getByRole("button", { name: /Actions/ }).click();
    await page.getByRole("menuitem", { name: item, exact: true }).click();
  };
  await menu("Load");
  await row.getByText("loaded", { exact: true }).waitFor({ timeout: 30_000 });
  await row.getByText(/\d+(\.\d)? MB/).first().waitFor();
  await menu("Keep loaded");
  await row.getByText("pinned").waitFor();
  assert.equal((await queryOne(system.home, "SELECT count(*) AS n FROM model_pin JOIN model ON model.id = model_id WHERE name = 'vx11-guide'")).n, 1);
  await menu("Let go when memory is needed");
  await row.getByText("pinned").waitFor({ state: "detached" });
  await menu("Unload");
  await row.getByText("not loaded").waitFor({ timeout: 15_000 });
  await row.click();
  const details = page.getByRole("dialog");
  await details.getByText("It fits beside what is loaded.").waitFor();
  await details.getByText("comes with VX11").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "models");
  assert.deepEqual(problems, []);
  await close();
});

test("a model is pulled with its progress, and removed with its file", async () => {
  const file = await readFile(path.join(system.home, "models", "builtin", "vx11-guide.gguf"));
  const hub = createServer((req, res) => { // ranges, slowly: half a second for the whole
    const m = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
    const from = m ? +m[1] : 0, to = m?.[2] ? +m[2] : file.length - 1;
    const head = { "accept-ranges": "bytes", "content-length": to - from + 1, ...(m && { "content-range": `bytes ${from}-${to}/${file.length}` }), etag: "\"1\"" };
    setTimeout(() => { res.writeHead(m ? 206 : 200, head); res.end(req.method === "HEAD" ? undefined : file.subarray(from, to + 1)); }, 10);
  });
  await new Promise((resolve) => hub.listen(0, "127.0.0.1", resolve));
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/models/get");
  await page.getByText("Qwen", { exact: false }).first().waitFor();
  await page.getByLabel("From the hub or an address").fill(`http://127.0.0.1:${hub.address().port}/second.gguf`);
  await page.getByRole("button", { name: "Download", exact: true }).click();
  const downloads = page.getByRole("region").or(page.locator("section")).filter({ has: page.getByRole("heading", { name: "Downloads" }) }).last();
  await downloads.getByRole("progressbar").waitFor();
  await downloads.getByText("done").waitFor({ timeout: 30_000 });
  assert.deepEqual(await axeFinds(page), []);
  await page.getByRole("tab", { name: "On this machine" }).click();
  const row = page.getByRole("row", { name: /second/ });
  await row.waitFor();
  await row.getByRole("button", { name: /Actions/ }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  const dialog = page.getByRole("alertdialog");
  await dialog.getByRole("checkbox").check();
  await dialog.getByRole("button", { name: /Remove and delete/ }).click();
  await row.waitFor({ state: "detached" });
  assert.deepEqual(problems, []);
  await close();
  hub.close();
});

test("providers show their health, breaker and spend; one is added and removed", async () => {
  assert.equal((await ask({ model: "gpt-test", messages: question })).status, 200);
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/models/providers");
  const far = page.getByRole("row", { name: /faraway/ });
  await far.getByText("lets through").waitFor();
  await eventually(async () => (await far.innerText()).includes("\t1\t") || /\b1\b/.test(await far.innerText()));
  await page.getByRole("button", { name: "Add a provider" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Whose server").selectOption("none");
  await form.getByLabel("Name", { exact: true }).fill("second-server");
  await form.getByLabel("Address").fill(upstream.url);
  await form.getByLabel("Models").fill("far-2");
  assert.deepEqual(await axeFinds(page), []);
  await form.getByRole("button", { name: "Save" }).click();
  const second = page.getByRole("row", { name: /second-server/ });
  await second.waitFor({ timeout: 15_000 });
  await second.click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
  await second.waitFor({ state: "detached", timeout: 15_000 });
  await shot(page, "providers");
  assert.deepEqual(problems, []);
  await close();
});

test("budgets: what was spent, and the limits of a token are set", async () => {
  await system.vx11("token", "create", "limited", "--scope", "chat");
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/models/budgets");
  await page.getByRole("row", { name: /gpt-test/ }).waitFor();
  await page.getByRole("button", { name: /Set limits.*limited/ }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Tokens per day").fill("1000");
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByRole("meter", { name: "Tokens per day" }).waitFor();
  assert.deepEqual(await axeFinds(page), []);
  assert.deepEqual(problems, []);
  await close();
});

test("a request's story: who could answer, why this one, each attempt in time, what was said", async () => {
  assert.equal((await ask({ model: "auto", messages: question })).status, 200);
  assert.equal((await ask({ model: "no-such-model", messages: question })).status, 404);
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/requests");
  const table = page.getByRole("table", { name: "Requests" });
  await table.getByText("refused").first().waitFor();
  await page.getByLabel("Outcome").selectOption("ok");
  await table.getByText("refused").first().waitFor({ state: "detached" });
  await page.getByRole("searchbox", { name: "Search requests" }).fill("gpt-test");
  await table.getByRole("row", { name: /gpt-test/ }).first().click();
  const story = page.getByRole("dialog");
  await story.getByText("Who could answer").waitFor();
  await story.getByRole("img", { name: /Times of attempt 1/ }).waitFor();
  assert.ok(await story.getByRole("table", { name: "Who could answer" }).getByRole("row").count() >= 2);
  await story.getByText("Which port is switch on?").first().waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await shot(page, "request");
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Over time" }).click();
  await page.getByRole("heading", { name: "First token, median" }).waitFor();
  assert.deepEqual(await axeFinds(page), []);
  assert.deepEqual(problems, []);
  await close();
});

test("Spanish, dark, a phone and a wall: nothing overflows, axe finds nothing", async () => {
  for (const [language, dark, width, height] of [["es", true, 360, 740], ["en", true, 1280, 800], ["es", false, 3840, 2160]]) {
    const { page, problems, go, close } = await openPage(browser, system, { language, dark, width, height });
    for (const to of ["/models", "/models/get", "/models/providers", "/models/budgets", "/requests", "/requests/charts"]) {
      await go(to);
      await page.locator("[role=status] .visually-hidden").first().waitFor({ state: "detached" }); // nothing is loading any more
      assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      assert.ok(await sideways(page) <= 0, `${to} at ${width}: ${await sideways(page)} px too wide`);
      assert.deepEqual(await axeFinds(page), [], `${to} in ${language}${dark ? ", dark" : ""} at ${width}`);
      await shot(page, `${to.slice(1).replace("/", "-")}-${language}${dark ? "-dark" : ""}-${width}`);
    }
    assert.deepEqual(problems, []);
    await close();
  }
});

test("ten thousand requests scroll without a long wait", async () => {
  // Rows as Switch writes them, by SQL: asking ten thousand times is another test's work.
  const at = Date.now();
  await run("sqlite3", [path.join(system.home, "vx11.db"), ".timeout 10000", `
    INSERT INTO decision (id, request_id, at, route, provider, model, reason, attempts, stream, outcome, status, total_ms, prompt_tokens, completion_tokens)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    SELECT printf('01A0000000%016d', i), printf('seed-%d', i), ${at} - 86400000 - (10000 - i) * 1000, 'chat_completions', 'faraway', 'gpt-test', 'seeded', 1, 0, 'ok', 200, i % 977, 10, i % 300 FROM n;`]);
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/requests");
  const box = page.getByRole("region", { name: "Requests" });
  await box.getByRole("row").nth(5).waitFor();
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration); }).observe({ type: "longtask" });
  });
  const shown = async () => Number(/([\d,]+) requests? shown/.exec(await page.locator("main").innerText())?.[1]?.replaceAll(",", "") ?? 0);
  await eventually(async () => {
    await box.evaluate((el) => { el.scrollTop = el.scrollHeight; });
    return await shown() >= 10_000;
  }, 60_000);
  assert.ok(await box.getByRole("row").count() < 150, "only what is seen is drawn");
  for (let i = 0; i <= 40; i++) {
    await box.evaluate((el, share) => { el.scrollTop = el.scrollHeight * share; }, i / 40);
    await page.waitForTimeout(16);
  }
  const longest = await page.evaluate(() => window.longest);
  console.log(`10,000 rows: longest task ${Math.round(longest)} ms`); // told, not judged: machines differ
  assert.ok(await box.getByRole("row").count() > 5);
  assert.deepEqual(problems, []);
  await close();
});
