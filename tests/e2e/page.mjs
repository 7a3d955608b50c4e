// The page in a real Chromium, for the tests of its screens: logged in, in a language, a theme and a width, with axe, and with
// everything that went wrong in it written down.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

export const SHOTS = path.join(process.env.VX11_BUILD ?? "build/release", "screenshots");

export async function launch() {
  await mkdir(SHOTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

// A page that is logged in. problems: errors of scripts, of the console and of the content policy; a failed request that a test
// provokes is let pass by `expected` (a pattern of its console message).
export async function openPage(browser, system, { language = "en", dark = false, width = 1280, height = 860, expected = /^$/, ...rest } = {}) {
  const context = await browser.newContext({
    locale: language === "es" ? "es-ES" : "en-GB", colorScheme: dark ? "dark" : "light", viewport: { width, height }, reducedMotion: "reduce", ...rest,
  });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (e) => problems.push(`${e}`));
  page.on("console", (m) => { if (m.type() === "error" && !expected.test(m.text())) problems.push(m.text()); });
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(await system.loginLink());
  await page.waitForURL((url) => url.pathname.startsWith("/ui"));
  const go = async (to) => {
    await page.goto(new URL(`/ui${to}`, system.page).href);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
  };
  return { context, page, problems, go, close: () => context.close() };
}

// What axe finds against WCAG 2.2 AA, each as one line. evaluate is not bound by the page's content policy.
export async function axeFinds(page, { exclude = [] } = {}) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(
    (exclude) => window.axe.run({ exclude }, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }), exclude);
  return violations.map((v) => `${v.id}: ${v.help} (${v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join("; ")})`);
}

// Whether the page scrolls sideways: by how many pixels.
export const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export const shot = (page, name) => page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
