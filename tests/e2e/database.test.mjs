// Backups, maintenance, readiness, the ledger and crashes in a real Chromium: what is begun on the page has happened.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axeFinds, launch, openPage, shot, sideways } from "./page.mjs";
import { eventually, queryOne, startSystem } from "./system.mjs";

let system, browser;
before(async () => {
  system = await startSystem();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

test("a backup is made from the page, and verified", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/database?view=backups");
  await page.getByRole("button", { name: "Back up now" }).click();
  const row = page.getByRole("row").filter({ hasText: "asked for" }).first();
  await row.waitFor({ timeout: 60_000 });
  const { stdout } = await system.vx11("db", "list", "--json");
  const made = JSON.parse(stdout).backups.find((b) => b.kind === "manual");
  assert.ok(made && made.bytes > 0 && made.problem === null);
  await page.getByRole("button", { name: `Verify ${made.name}` }).click();
  await row.getByText(/whole, read/).waitFor({ timeout: 60_000 });
  assert.deepEqual(await axeFinds(page), []);
  assert.deepEqual(problems, []);
  await close();
});

test("the doctor is asked from the page; its report says what sqlite3 says", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/readiness");
  await page.getByRole("button", { name: "Look now" }).click();
  const words = { ready: "VX11 is ready", ready_with_warnings: "VX11 is ready, with warnings", not_ready: "VX11 is not ready" };
  const report = await eventually(() => queryOne(system.home, "SELECT id, verdict FROM doctor_report ORDER BY at DESC LIMIT 1"), 120_000);
  await page.getByRole("heading", { name: words[report.verdict], exact: true }).waitFor({ timeout: 60_000 });
  await page.getByRole("region", { name: "Modules" }).first().waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.getByRole("tab", { name: "History" }).click();
  await page.getByRole("cell", { name: words[report.verdict], exact: true }).first().waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("the ledger knows a new token, and its chain is whole; crashes are none", async () => {
  await system.vx11("token", "create", "of-the-test");
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/readiness?view=ledger");
  const row = page.getByRole("row").filter({ hasText: "token.created" }).filter({ hasText: "of-the-test" });
  await row.waitFor({ timeout: 30_000 });
  await page.getByRole("combobox", { name: "Kind" }).selectOption("token.");
  await row.waitFor();
  await page.getByRole("button", { name: "Verify the chain" }).click();
  await page.getByText("The chain is whole").waitFor({ timeout: 30_000 });
  await row.getByRole("button").click();
  await page.getByRole("dialog").getByText("Hash of the row before").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Crashes" }).click();
  await page.getByText("No crash was recorded").waitFor();
  assert.deepEqual(problems, []);
  await close();
});

const SCREENS = ["database?view=map", "database?view=backups", "database?view=maintenance", "readiness", "readiness?view=history", "readiness?view=ledger", "readiness?view=crashes"];
for (const [language, dark, width] of [["en", false, 1440], ["es", true, 360]]) {
  test(`axe and the width: ${language}, ${dark ? "dark" : "light"}, ${width} pixels`, async () => {
    const { page, problems, go, close } = await openPage(browser, system, { language, dark, width });
    for (const screen of SCREENS) {
      await go(`/${screen}`);
      await page.waitForTimeout(1200);
      assert.equal(await sideways(page), 0, `${screen} scrolls sideways`);
      assert.deepEqual(await axeFinds(page), [], `${screen} ${language}`);
      await shot(page, `${screen.replace(/\W+/g, "-")}-${language}`);
    }
    assert.deepEqual(problems, []);
    await close();
  });
}
