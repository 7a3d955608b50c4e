// Overview, Logs and Database in a real Chromium against a real system: what they show is compared with what happens.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { axeFinds, launch, openPage, shot, sideways } from "./page.mjs";
import { eventually, queryOne, startSystem } from "./system.mjs";

const run = promisify(execFile);
let system, browser;
before(async () => {
  system = await startSystem({ config: "operator:\n  samples: {interval_ms: 1000}\n" });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  // Two of the tests kill modules on purpose: that they had to be started again is no failure here.
  await system?.stop().catch((e) => { if (!/^Error: modules died/.test(`${e}`)) throw e; });
});

const api = async (to, options = {}) => {
  const reply = await fetch(`${system.url}${to}`, { ...options, headers: { authorization: `Bearer ${system.token}`, "content-type": "application/json", ...options.headers } });
  return { status: reply.status, json: await reply.json().catch(() => null) };
};
const ask = (text = "Which port is switch on?") => api("/v1/chat/completions", { method: "POST", body: JSON.stringify({ model: "vx11-guide", messages: [{ role: "user", content: text }] }) });
const modules = async () => Object.fromEntries((await api("/supervisor/status")).json.modules.map((m) => [m.name, m]));

test("the map shows the way of a real request, and a node its facts", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/overview");
  await page.getByRole("heading", { name: "Everything works" }).waitFor();
  for (const name of ["link", "switch", "hermes", "operator"]) await page.locator(`[data-node="${name}"]`).waitFor();
  const traffic = setInterval(() => void ask(), 500);
  try {
    await page.locator('[data-edge="programs>link"] b').waitFor({ timeout: 60_000 });
    await page.locator('[data-edge="link>switch"] b').waitFor({ timeout: 30_000 });
    await page.locator('[data-edge="switch>engine/vx11-guide"] b').waitFor({ timeout: 30_000 });
  } finally {
    clearInterval(traffic);
  }
  const said = Number((await page.locator('[data-edge="link>switch"] b').textContent()).replace(/\D/g, ""));
  const map = (await api("/operator/map")).json;
  assert.ok(said > 0 && map.edges.some((e) => e.from === "link" && e.to === "switch" && e.calls > 0));

  const { pid } = (await modules()).switch;
  await page.locator('[data-node="switch"]').press("Enter");
  const sheet = page.getByRole("dialog", { name: "Switch" });
  await sheet.getByText("Health checks").waitFor();
  await sheet.getByText(String(pid), { exact: true }).waitFor();
  await sheet.getByText("called by Link").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  await sheet.waitFor({ state: "hidden" });

  await page.getByRole("button", { name: "List", exact: true }).click();
  await page.locator('li[data-edge="link>switch"]').getByText(/\d+ calls?/).waitFor();
  await page.getByRole("button", { name: "Map", exact: true }).click();
  assert.deepEqual(problems, []);
  await close();
});

test("charts have what was measured, and a table behind them", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/overview");
  const memory = page.getByRole("region", { name: "Memory by module" });
  await memory.getByRole("button", { name: /Switch/ }).waitFor({ timeout: 30_000 });
  await memory.getByRole("button", { name: "Memory by module: as a table" }).click();
  await memory.getByRole("columnheader", { name: "Switch" }).waitFor();
  assert.match(await memory.locator("tbody td").first().textContent(), /MB|—/);
  await page.getByRole("combobox", { name: "Time range" }).selectOption({ label: "7 days" });
  await page.getByText("by the hour").first().waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("standby is asked about, is real, and is taken back", async () => {
  const { page, problems, go, close } = await openPage(browser, system, { expected: /503/ });
  await go("/overview");
  await page.getByRole("button", { name: "State of Switch: Active" }).click();
  await page.getByRole("menuitem", { name: /^Standby/ }).click();
  const question = page.getByRole("alertdialog", { name: "Put Switch in standby?" });
  await question.getByText("No chat, completion or embedding is answered").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await question.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await modules()).switch.state, "active");

  await page.getByRole("button", { name: "State of Switch: Active" }).click();
  await page.getByRole("menuitem", { name: /^Standby/ }).click();
  await question.getByRole("button", { name: "Put in standby" }).click();
  await page.getByText("Switch is in standby: it answers for its health and refuses work.").waitFor();
  const refused = await ask();
  assert.equal(refused.status, 503);
  assert.equal(refused.json.error.code, "module_standby");
  await page.getByRole("button", { name: "Set active" }).click();
  await page.getByRole("heading", { name: "Everything works" }).waitFor();
  assert.equal((await ask()).status, 200);
  await page.getByText(/Switch went from standby to active/).waitFor();

  // The page itself comes through operator: its name is wanted once more.
  await page.getByRole("button", { name: "State of Operator: Active" }).click();
  await page.getByRole("menuitem", { name: /^Off/ }).click();
  const vital = page.getByRole("alertdialog", { name: "Switch Operator off?" });
  assert.equal(await vital.getByRole("button", { name: "Switch off" }).isDisabled(), true);
  await vital.getByRole("textbox").fill("operator");
  assert.equal(await vital.getByRole("button", { name: "Switch off" }).isDisabled(), false);
  await page.keyboard.press("Escape");
  await vital.waitFor({ state: "hidden" });
  assert.equal((await modules()).operator.state, "active");
  assert.deepEqual(problems, []);
  await close();
});

test("a module that is killed shows in the timeline, and comes back", async () => {
  const { page, problems, go, close } = await openPage(browser, system, { expected: /50[0-9]/ });
  await go("/overview");
  await page.getByTestId("events-state").getByText("live").waitFor();
  const before = (await modules()).hermes;
  process.kill(before.pid, "SIGKILL");
  await page.getByText(/Hermes ended by itself/).first().waitFor({ timeout: 20_000 });
  await eventually(async () => {
    const m = (await modules()).hermes;
    return m.health === "ok" && m.pid !== before.pid;
  }, 20_000);
  await page.getByRole("heading", { name: "Everything works" }).waitFor({ timeout: 20_000 });
  await page.getByText(/Hermes serves/).first().waitFor();
  await page.getByRole("combobox", { name: "Module" }).last().selectOption("hermes");
  await page.getByText(/Hermes ended by itself/).first().waitFor();
  assert.equal(await page.getByText(/^Link serves/).count(), 0);
  assert.deepEqual(problems, []);
  await close();
});

test("events go on after the server was gone; they wait while one looks", async () => {
  const { page, go, close } = await openPage(browser, system, { expected: /Failed to load|ERR_/ });
  const publish = (message) => api("/events/ingest", { method: "POST", body: JSON.stringify({ source: "e2e", type: "system.alert", payload: { timestamp: Date.now(), alert_id: message, severity: "L3", message } }) });
  await go("/overview");
  await page.getByTestId("events-state").getByText("live").waitFor();
  await publish("before it goes");
  await page.getByText("before it goes").waitFor();
  const { pid } = (await modules()).link;
  process.kill(pid, "SIGKILL");
  await page.getByTestId("events-state").getByText("live").waitFor({ state: "hidden", timeout: 20_000 }).catch(() => {}); // it may be back sooner than that shows
  await eventually(async () => (await publish("while nobody listened").catch(() => ({ status: 0 }))).status === 202, 20_000);
  await page.getByText("while nobody listened").waitFor({ timeout: 30_000 });
  assert.equal(await page.getByText("while nobody listened").count(), 1);
  await page.getByTestId("events-state").getByText("live").waitFor({ timeout: 20_000 });

  await page.getByRole("region", { name: "Events, newest first" }).hover();
  await publish("while one looks");
  await page.getByRole("button", { name: /1 new event/ }).waitFor();
  assert.equal(await page.getByText("while one looks").count(), 0);
  await page.getByRole("button", { name: /1 new event/ }).click();
  await page.getByText("while one looks").waitFor();
  await close();
});

test("logs: history, filters, live records, holding, a record in full", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/logs");
  await page.getByText("New records come in as they are written.").waitFor({ timeout: 20_000 });
  const word = `e2e-${Date.now()}`;
  await fetch(`${system.url}/v1/models/${word}`, { headers: { authorization: `Bearer ${system.token}`, "x-request-id": word } });
  await page.getByRole("searchbox").fill(word);
  await page.waitForURL(new RegExp(`q=${word}`));
  const record = page.getByRole("button", { expanded: false }).filter({ hasText: word }).first();
  await record.waitFor();
  await record.click();
  await page.getByRole("link", { name: "See request" }).first().waitFor();
  await page.getByRole("button", { name: "Copy as JSON" }).first().waitFor();
  const file = await run("grep", ["-c", word, path.join(system.home, "log", "link.log")]).then((r) => Number(r.stdout));
  assert.ok(file > 0);
  assert.deepEqual(await axeFinds(page), []);

  await page.getByRole("button", { name: "Hold" }).click();
  await fetch(`${system.url}/v1/models/again`, { headers: { authorization: `Bearer ${system.token}`, "x-request-id": `${word}-2` } });
  await page.getByRole("button", { name: /\d+ new records?/ }).click();
  await page.getByText(`${word}-2`).first().waitFor();

  await page.getByRole("searchbox").fill("");
  await page.getByRole("combobox", { name: "Module" }).selectOption("switch");
  await eventually(async () => {
    const seen = await page.locator('[data-level] [data-field="module"]').allTextContents();
    return seen.length > 3 && seen.every((m) => m === "switch");
  });
  await page.getByRole("combobox", { name: "Level" }).selectOption("error");
  await page.waitForURL(/level=error/);
  assert.deepEqual(problems, []);
  await close();
});

test("database: the rows are those that sqlite3 counts; columns, keys, the map", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/database");
  const row = page.getByRole("row").filter({ has: page.getByRole("button", { name: "Columns, indices and keys of auth_token" }) });
  await row.waitFor({ timeout: 20_000 });
  const { n } = await queryOne(system.home, "SELECT count(*) AS n FROM auth_token");
  assert.equal(Number(await row.getByRole("cell").nth(1).textContent()), n);
  const { t } = await queryOne(system.home, "SELECT count(*) AS t FROM retention");
  const kept = (await api("/operator/database")).json.tables.filter((x) => x.retention !== null).length;
  assert.equal(kept, t);
  await page.getByRole("searchbox").fill("auth_ses");
  await row.waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Columns, indices and keys of auth_session" }).click();
  const sheet = page.getByRole("dialog", { name: "auth_session" });
  await sheet.getByText("last_seen_at").first().waitFor();
  await sheet.getByText("BLAKE2b-256 of the cookie's value").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Map" }).click();
  await page.getByRole("button", { name: /^operator_message .*points to .*operator_session/ }).waitFor();
  assert.deepEqual(problems, []);
  await close();
});

for (const [language, dark] of [["en", false], ["es", true]]) {
  test(`axe and 360 pixels: ${language}, ${dark ? "dark" : "light"}`, async () => {
    const wide = await openPage(browser, system, { language, dark, width: 1440, height: 900 });
    const words = language === "es" ? ["Todo funciona", "Registros", "Base de datos"] : ["Everything works", "Logs", "Database"];
    for (const [i, screen] of ["overview", "logs", "database"].entries()) {
      await wide.go(`/${screen}`);
      await wide.page.getByRole("heading", { name: words[i] }).first().waitFor();
      await wide.page.waitForTimeout(1500);
      assert.deepEqual(await axeFinds(wide.page), [], `${screen} ${language}`);
      await shot(wide.page, `${screen}-${language}`);
    }
    assert.deepEqual(wide.problems, []);
    await wide.close();
    const narrow = await openPage(browser, system, { language, dark, width: 360, height: 740 });
    for (const screen of ["overview", "logs", "database"]) {
      await narrow.go(`/${screen}`);
      await narrow.page.waitForTimeout(1200);
      assert.equal(await sideways(narrow.page), 0, `${screen} scrolls sideways`);
      assert.deepEqual(await axeFinds(narrow.page), [], `${screen} ${language} narrow`);
      await shot(narrow.page, `${screen}-${language}-narrow`);
    }
    await narrow.close();
  });
}

test("the palette knows what can be done here", async () => {
  const { page, go, close } = await openPage(browser, system);
  await go("/overview");
  await page.getByRole("heading", { name: "Everything works" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("dialog").getByRole("combobox").fill("restart hermes");
  await page.getByRole("option", { name: /Restart Hermes/ }).waitFor();
  await page.keyboard.press("Enter");
  const question = page.getByRole("alertdialog", { name: "Restart Hermes?" });
  const { pid } = (await modules()).hermes;
  await question.getByRole("button", { name: "Restart Hermes" }).click();
  await page.getByText("Hermes runs again.").waitFor({ timeout: 30_000 });
  assert.notEqual((await modules()).hermes.pid, pid);
  await close();
});
