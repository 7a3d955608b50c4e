// The screen Chat in a real Chromium against a real system: the guide answers, and an upstream that can be slow, fail or call tools.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { axeFinds, launch, openPage, shot, sideways } from "./page.mjs";
import { eventually, queryOne, startSystem } from "./system.mjs";
import { listen, Refused, sleep } from "./upstream/server.mjs";

const MARKDOWN = `# A plan

Some **bold** words, \`code\`, a [link](https://example.com/page) and <script>alert(1)</script> as text.

- [x] measured
- [ ] written down

\`\`\`python
def double(n):
    return 2 * n  # twice
\`\`\`

| Method | Speed |
|:--|--:|
| block | 1,200 |

![chart](https://example.com/chart.png)
`;

// Answers by the words it was sent: "slow" a word every 30 ms, "markdown" the text above, "break" half an answer, "refuse" an error,
// "tool NAME {json}" a call of that tool, else what was said, said back.
const words = (content) => (typeof content === "string" ? content : (content ?? []).map((p) => p.text ?? `[${p.type}]`).join(" "));
const startUpstream = () => listen({
  shape: (e) => ({ error: { message: e.message, type: e.type, param: null, code: null } }),
  answer: async (r, res) => {
    if (r.method === "GET") return { object: "list", data: [{ id: "teller", object: "model", created: 1, owned_by: "teller" }] };
    const last = r.body.messages.at(-1), said = words(last.content), base = { id: "c", object: "chat.completion.chunk", created: 1, model: "teller" };
    if (/^refuse/.test(said)) throw new Refused(500, "server_error", "the model fell over");
    let text = `You said: ${said}`, calls = null;
    if (last.role === "tool") text = `The tool said: ${said.slice(0, 200)}`;
    else if (/^markdown/.test(said)) text = MARKDOWN;
    else if (/^slow/.test(said)) text = Array.from({ length: 400 }, (_, i) => `word${i}`).join(" ");
    const tool = /^tool (\S+) (\{.*\})/.exec(said);
    if (tool && r.body.tools && last.role === "user") calls = [{ index: 0, id: "call_1", type: "function", function: { name: tool[1], arguments: tool[2] } }];
    const usage = { prompt_tokens: 31, completion_tokens: 12, total_tokens: 43 };
    if (!r.body.stream) return { ...base, object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }], usage };
    res.writeHead(200, { "content-type": "text/event-stream" });
    const send = (delta, finish_reason = null) => res.write(`data: ${JSON.stringify({ ...base, choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
    if (calls) { send({ role: "assistant", content: null, tool_calls: calls }); send({}, "tool_calls"); }
    else {
      for (const piece of text.match(/\s*\S+/g)) {
        send({ content: piece });
        if (/^slow/.test(said)) await sleep(30);
        if (/^break/.test(said)) { await sleep(100); res.destroy(); return undefined; }
        if (res.destroyed) return undefined;
      }
      send({}, "stop");
    }
    res.end(`data: ${JSON.stringify({ ...base, choices: [], usage })}\n\ndata: [DONE]\n\n`);
    return undefined;
  },
});

let system, browser, upstream;
before(async () => {
  upstream = await startUpstream();
  system = await startSystem({
    env: { TELLER_KEY: "sk-test" },
    config: `switch:
  retries: 0
  breaker_threshold: 1000
  providers:
    - {name: local, kind: local}
    - {name: teller, kind: openai, base_url: "${upstream.url}", key_env: TELLER_KEY, models: [teller]}
`,
  });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await system?.stop().catch((e) => { if (!/^modules died: link: signal 9 \(Killed\)$/.test(e.message)) throw e; }); // one test kills it
  await upstream?.stop();
});

const api = async (method, route, body) => {
  const reply = await fetch(`${system.url}${route}`, { method, headers: { authorization: `Bearer ${system.token}`, "content-type": "application/json" }, ...(body && { body: JSON.stringify(body) }) });
  const text = await reply.text();
  assert.ok(reply.ok, `${method} ${route}: ${reply.status} ${text}`);
  return text ? JSON.parse(text) : null;
};
const box = (page) => page.getByRole("textbox", { name: /^(Message|Mensaje)$/ });
const send = async (page, text) => {
  await box(page).fill(text);
  await page.keyboard.press("Enter");
};
const answers = (page) => page.locator("article[data-role=assistant]");
const rests = (page) => page.getByRole("button", { name: /^(Stop|Stopping …|Detener|Deteniendo …)$/ }).waitFor({ state: "detached", timeout: 30_000 });
const began = (page) => page.waitForURL(/\/ui\/chat\/[0-9A-Z]{26}$/);
const idOf = (page) => new URL(page.url()).pathname.split("/")[3];
// A page on a new session that the upstream answers.
async function teller(options) {
  const opened = await openPage(browser, system, options);
  const session = await api("POST", "/operator/sessions", { title: options?.title ?? "With the teller", model: "teller", source: "web" });
  await opened.go(`/chat/${session.id}`);
  return { ...opened, session };
}

test("the first question is answered by the guide; a reload keeps everything", async () => {
  const { page, problems, go, close } = await openPage(browser, system);
  await go("/chat");
  await page.getByText("What would you like to know?").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.getByRole("button", { name: "Which port is switch on?" }).click();
  assert.equal(await box(page).inputValue(), "Which port is switch on?");
  await page.keyboard.press("Enter");
  await began(page);
  const answer = answers(page).last();
  await answer.getByText("switch listens on port 8002.").waitFor({ timeout: 30_000 });
  await answer.getByRole("heading", { name: "vx11-guide" }).waitFor();
  await answer.getByText(/→ \d+ tokens/).waitFor();
  await answer.getByText(/tokens\/s/).waitFor();
  await page.getByRole("status").filter({ hasText: "Answer: switch listens on port 8002." }).waitFor({ state: "attached" });
  await page.getByRole("link", { name: "Which port is switch on?" }).waitFor();
  await answer.getByRole("button", { name: "Why this model?" }).click();
  await page.getByRole("dialog", { name: "Why this model" }).getByText("Who could have answered").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await page.keyboard.press("Escape");
  await page.reload();
  await answer.getByText("switch listens on port 8002.").waitFor();
  const stored = await queryOne(system.home, `SELECT status, model FROM operator_message WHERE session_id = '${idOf(page)}' AND role = 'assistant'`);
  assert.deepEqual(stored, { status: "ok", model: "vx11-guide" });
  assert.deepEqual(problems, []);
  await close();
});

test("Markdown is drawn and coloured, never as markup, and no picture of another host is fetched", async () => {
  const { page, problems, close } = await teller();
  const outside = [];
  page.on("request", (r) => { if (!r.url().startsWith(new URL(system.page).origin)) outside.push(r.url()); });
  await send(page, "markdown please");
  const answer = answers(page).last();
  await answer.getByRole("heading", { name: "A plan" }).waitFor();
  await rests(page);
  await answer.getByText("<script>alert(1)</script>", { exact: false }).waitFor();
  const link = answer.getByRole("link", { name: "link", exact: true });
  assert.deepEqual([await link.getAttribute("rel"), await link.getAttribute("target")], ["noopener noreferrer", "_blank"]);
  await answer.getByRole("cell", { name: "1,200" }).waitFor();
  await answer.locator("pre .hljs-keyword").first().waitFor();
  await answer.getByRole("link", { name: "chart (picture at example.com)" }).waitFor();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await answer.getByRole("button", { name: "Copy code" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "def double(n):\n    return 2 * n  # twice");
  assert.deepEqual(await axeFinds(page), []);
  assert.deepEqual([outside, problems], [[], []]);
  await close();
});

test("a long answer can be stopped; the view stays at its end unless one scrolls up", async () => {
  const { page, problems, close } = await teller({ height: 420 });
  await send(page, "slow one");
  await page.locator("article p", { hasText: "word60 " }).first().waitFor({ timeout: 15_000 });
  const gap = () => page.getByRole("log").evaluate((el) => Math.round(el.scrollHeight - el.scrollTop - el.clientHeight));
  assert.ok(await gap() < 80, "at the end while it grows");
  await page.getByRole("log").hover();
  // As a person does: once more when the growing answer was faster.
  await eventually(async () => {
    await page.mouse.wheel(0, -150);
    await sleep(100);
    return page.getByRole("button", { name: "To the latest" }).isVisible();
  });
  const top = await page.getByRole("log").evaluate((el) => el.scrollTop);
  await sleep(600);
  assert.equal(await page.getByRole("log").evaluate((el) => el.scrollTop), top, "stays where the person scrolled");
  await page.getByRole("button", { name: "To the latest" }).click();
  await page.keyboard.press("Escape");
  await answers(page).last().getByText("Stopped here. This is a part of an answer.").waitFor({ timeout: 15_000 });
  await rests(page);
  assert.equal((await queryOne(system.home, `SELECT status FROM operator_message WHERE session_id = '${idOf(page)}' AND role = 'assistant'`)).status, "cancelled");
  assert.deepEqual(problems, []);
  await close();
});

test("a failed answer is an error with what to do, never an answer; trying again replaces it", async () => {
  const { page, problems, close } = await teller();
  for (const say of ["refuse this", "break this"]) {
    await send(page, say);
    const answer = answers(page).last();
    await answer.getByText("There is no answer").waitFor({ timeout: 20_000 });
    await rests(page);
    assert.equal(await answer.getAttribute("data-status"), "failed");
    await answer.getByRole("button", { name: "Try again", exact: true }).waitFor();
  }
  await answers(page).last().getByText("What came before it failed").waitFor();
  assert.deepEqual(await axeFinds(page), []);
  const failed = await answers(page).last().getAttribute("data-message");
  await answers(page).last().getByRole("button", { name: "Try again with another model" }).click();
  await page.getByRole("combobox", { name: "Find a model" }).fill("guide");
  await page.getByRole("option", { name: /vx11-guide/ }).first().waitFor();
  await page.keyboard.press("Enter");
  await eventually(async () => (await answers(page).last().getAttribute("data-message")) !== failed);
  await answers(page).last().getByRole("heading", { name: "vx11-guide" }).waitFor({ timeout: 30_000 });
  await rests(page);
  assert.ok((await queryOne(system.home, `SELECT replaced_by FROM operator_message WHERE id = '${failed}'`)).replaced_by);
  assert.deepEqual(problems, []);
  await close();
});

test("edit, retry and branch; earlier versions are kept", async () => {
  const { page, problems, close } = await teller();
  await send(page, "first words");
  await answers(page).last().getByText("You said: first words").waitFor({ timeout: 15_000 });
  await rests(page);
  const mine = page.locator("article[data-role=user]");
  await mine.last().hover();
  await mine.last().getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edited message" }).fill("second words");
  await page.keyboard.press("Enter");
  await answers(page).last().getByText("You said: second words").waitFor({ timeout: 15_000 });
  await rests(page);
  assert.equal(await mine.count(), 1);
  const before = await answers(page).last().getAttribute("data-message");
  await answers(page).last().getByRole("button", { name: "Answer again" }).click();
  await eventually(async () => (await answers(page).last().getAttribute("data-message")) !== before && (await answers(page).count()) === 1);
  await answers(page).last().getByText("You said: second words").waitFor({ timeout: 15_000 });
  await rests(page);
  await page.getByRole("button", { name: "Show earlier versions" }).first().click();
  await page.getByText("first words", { exact: true }).waitFor();
  assert.ok(await page.locator("article[data-old]").count() >= 2);
  const id = idOf(page);
  await answers(page).last().getByRole("button", { name: "Branch from here" }).click();
  await eventually(() => idOf(page) !== id);
  await answers(page).last().getByText("You said: second words").waitFor();
  await page.getByRole("link", { name: "Branch", exact: true }).waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("sessions are searched, renamed, pinned, saved and deleted, by keyboard too", async () => {
  const { page, problems, session, close } = await teller({ title: "About zebras" });
  await send(page, "the quick brown okapi");
  await answers(page).last().getByText("You said: the quick brown okapi").waitFor({ timeout: 15_000 });
  await rests(page);
  const wanted = await answers(page).last().getAttribute("data-message");
  await page.goto(new URL("/ui/chat", system.page).href);
  await page.getByText("What would you like to know?").waitFor();
  await eventually(async () => { // the field to type in takes the focus when it is there; then "/" is a key of the page's
    await page.getByRole("heading", { level: 1 }).click();
    await page.keyboard.press("/");
    return page.getByRole("searchbox").evaluate((el) => el === document.activeElement);
  });
  await page.keyboard.type("okapi");
  const hit = page.locator("a", { hasText: "You said: the quick brown okapi" });
  await hit.locator("mark", { hasText: "okapi" }).waitFor();
  assert.deepEqual(await axeFinds(page), []);
  await hit.click();
  await page.waitForURL(new RegExp(`${session.id}/${wanted}$`));
  await eventually(() => page.evaluate(() => document.activeElement?.getAttribute("data-message")).then((x) => x === wanted));
  await page.getByRole("searchbox").fill("");
  const link = page.getByRole("link", { name: "About zebras", exact: true });
  await link.focus();
  await page.keyboard.press("F2");
  await page.getByRole("textbox", { name: "Title of the conversation" }).fill("About giraffes");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "About giraffes", level: 1 }).waitFor();
  const menu = async (item) => {
    await page.getByRole("button", { name: "Options of About giraffes" }).last().click();
    await page.getByRole("menuitem", { name: item }).click();
  };
  await menu("Pin");
  await page.getByRole("heading", { name: "Pinned" }).waitFor();
  const download = page.waitForEvent("download");
  await menu("Save as Markdown");
  const file = await download;
  assert.equal(file.suggestedFilename(), "About giraffes.md");
  assert.match(await readFile(await file.path(), "utf8"), /the quick brown okapi/);
  await menu("Delete");
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete conversation" }).click();
  await page.waitForURL(/\/ui\/chat$/);
  assert.equal((await queryOne(system.home, `SELECT count(*) n FROM operator_session WHERE id = '${session.id}'`)).n, 0);
  assert.deepEqual(problems, []);
  await close();
});

test("files go along; what is none is refused in words", async () => {
  const { page, problems, close } = await teller({ expected: /status of 415/ });
  const chooser = async (...files) => {
    const open = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Attach files" }).click();
    await (await open).setFiles(files);
  };
  await chooser({ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("The secret number is 4711.\n") });
  await page.getByRole("list", { name: "Files to send" }).getByText(/bytes/).waitFor();
  await chooser({ name: "thing.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 1, 2, 3, 0xff, 0xfe, 0, 0, 0x80]) });
  await page.getByText("Neither text, image nor sound.").waitFor();
  await page.getByRole("button", { name: "Remove thing.bin" }).click();
  await send(page, "Read it.");
  await answers(page).last().getByText(/4711/).waitFor({ timeout: 15_000 });
  await page.getByRole("link", { name: /notes.txt/ }).waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("a tool's steps are shown; one that changes something waits for the person", async () => {
  const { page, problems, close } = await teller();
  const tools = (await api("GET", "/operator/tools")).tools;
  const reads = tools.find((x) => !x.mutating && x.available && !(x.parameters.required?.length > 0)), acts = tools.find((x) => x.mutating && x.available);
  await page.getByRole("switch", { name: "Tools" }).click();
  await send(page, `tool ${reads.name} {}`);
  await answers(page).last().getByText("1 step").waitFor({ timeout: 20_000 });
  await answers(page).last().getByText(/^The tool said/).waitFor({ timeout: 20_000 });
  await rests(page);
  await answers(page).last().locator("summary", { hasText: reads.name }).click();
  await answers(page).last().getByRole("heading", { name: "Result" }).waitFor();
  assert.deepEqual(await axeFinds(page), []);
  if (acts) {
    for (const [press, said] of [["Refuse", "refused"], ["Confirm", /done|failed/]]) {
      await send(page, `tool ${acts.name} ${JSON.stringify({ url: "http://127.0.0.1:9/" })}`);
      const step = answers(page).last().locator("details", { hasText: acts.name });
      await step.getByText("waits for you").waitFor({ timeout: 20_000 });
      if (press === "Refuse") assert.deepEqual(await axeFinds(page), []);
      await step.getByRole("button", { name: press }).click();
      await step.locator("summary").getByText(said).waitFor({ timeout: 30_000 });
      await answers(page).last().getByText(/^The tool said/).waitFor({ timeout: 20_000 });
      await rests(page);
    }
    const { rows } = await api("GET", "/supervisor/ledger?kind=confirmation.&limit=2");
    assert.deepEqual(rows.map((x) => [x.kind, x.subject]), [["confirmation.given", acts.name], ["confirmation.refused", acts.name]]);
  }
  await page.getByRole("switch", { name: "Tools" }).click();
  assert.deepEqual(problems, []);
  await close();
});

test("thumbs and a note are kept", async () => {
  const { page, problems, close } = await teller();
  await send(page, "rate me");
  await answers(page).last().getByText("You said: rate me").waitFor({ timeout: 15_000 });
  await rests(page);
  const good = answers(page).last().getByRole("button", { name: "Good answer" });
  await good.click();
  await eventually(async () => (await good.getAttribute("aria-pressed")) === "true");
  await answers(page).last().getByRole("button", { name: "Bad answer" }).click();
  await page.getByRole("textbox", { name: "Note, if you like" }).fill("too short");
  await page.getByRole("button", { name: "Send", exact: true }).last().click();
  const id = await answers(page).last().getAttribute("data-message");
  await eventually(async () => (await queryOne(system.home, `SELECT note FROM operator_feedback WHERE message_id = '${id}' AND rating < 0`))?.note === "too short");
  assert.deepEqual(problems, []);
  await close();
});

test("the server dies in the middle and comes back: nothing is lost, and the page says how it is", async () => {
  const { page, close } = await teller({ expected: /./ });
  await send(page, "slow and cut off");
  // In a paragraph: "word2" and a footer that begins with 0 are not word20.
  await page.locator("article p", { hasText: "word20 " }).first().waitFor({ timeout: 15_000 });
  const status = JSON.parse((await system.vx11("status", "--json")).stdout);
  const link = status.modules.find((m) => m.name === "link").pid;
  process.kill(link, "SIGKILL");
  await page.getByText("The connection broke while this was being generated.").waitFor({ timeout: 15_000 });
  await page.locator("article p", { hasText: "word20 " }).first().waitFor();
  await box(page).fill("typed meanwhile");
  await rests(page); // the supervisor starts link again; the stored answer is read
  await page.getByText("The connection broke while this was being generated.").waitFor({ state: "detached" });
  assert.equal(await box(page).inputValue(), "typed meanwhile");
  const row = await queryOne(system.home, `SELECT status FROM operator_message WHERE session_id = '${idOf(page)}' AND role = 'assistant'`);
  assert.notEqual(row.status, "streaming");
  await page.reload();
  assert.equal(await box(page).inputValue(), "typed meanwhile", "the draft is kept");
  await close();
});

// Time that the page's main thread worked in each of its tasks, whatever else the machine did: [ms, …] of those past a bound.
async function longTasks(page, bound, act) {
  const cdp = await page.context().newCDPSession(page);
  const events = [];
  cdp.on("Tracing.dataCollected", (e) => events.push(...e.value));
  await cdp.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline", "toplevel", "devtools.timeline"] } });
  await act();
  const done = new Promise((resolve) => { cdp.once("Tracing.tracingComplete", resolve); });
  await cdp.send("Tracing.end");
  await done;
  const main = events.find((e) => e.name === "thread_name" && e.args?.name === "CrRendererMain");
  const tasks = events.filter((e) => e.name === "RunTask" && e.tdur !== undefined && (!main || (e.pid === main.pid && e.tid === main.tid))).map((e) => Math.round(e.tdur / 1000));
  return tasks.length === 0 ? null : tasks.filter((ms) => ms > bound); // null: the browser traced nothing
}

test("a session of 500 messages scrolls and takes typing smoothly", async () => {
  const session = await api("POST", "/operator/sessions", { title: "Five hundred messages", source: "web" });
  const id = (n) => `01${String(n).padStart(24, "0")}`;
  const quoted = (x) => `'${x.replaceAll("'", "''")}'`;
  const rows = Array.from({ length: 500 }, (_, i) => {
    const content = i % 2 === 0 ? `Question ${i}: how does step ${i} work?` : i % 10 === 1 ? MARKDOWN : `Answer ${i}: it reads a block and goes on. `.repeat(1 + (i % 9));
    return `('${id(i)}', '${session.id}', ${i + 1}, '${i % 2 ? "assistant" : "user"}', ${quoted(content)}, ${Buffer.byteLength(content)}, 'ok', ${Date.now()}, ${Date.now()})`;
  });
  await new Promise((resolve, reject) => {
    const sqlite = spawn("sqlite3", ["-bail", "-cmd", ".timeout 5000", path.join(system.home, "vx11.db")], { stdio: ["pipe", "inherit", "inherit"] });
    sqlite.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`sqlite3: ${code}`))));
    sqlite.stdin.end(`INSERT INTO operator_message (id, session_id, seq, role, content, bytes, status, created_at, ended_at) VALUES ${rows.join(",\n")};\nUPDATE operator_session SET last_seq = 500 WHERE id = '${session.id}';\n`);
  });
  const { page, problems, go, close } = await openPage(browser, system);
  await go(`/chat/${session.id}`);
  await page.getByText("Answer 499").first().waitFor();
  await sleep(500);
  const long = await longTasks(page, 50, async () => {
    const seen = await page.getByRole("log").evaluate(async (el) => {
      const seen = new Set();
      for (const until = performance.now() + 25_000; performance.now() < until && !seen.has("Question 0: how does step 0 work?");) {
        el.scrollTop -= 350;
        await new Promise((resolve) => requestAnimationFrame(resolve));
        for (const m of el.querySelectorAll("article[data-role=user] p")) seen.add(m.textContent);
      }
      return seen.size;
    });
    assert.equal(seen, 250, "every question was passed on the way up");
    assert.ok(await page.locator("article").count() < 40, "only what is in sight is drawn");
    await box(page).pressSequentially("typed with all of them above ");
  });
  console.log(`500 messages: tasks of more than 50 ms of processor time: ${long === null ? "unknown" : long.length === 0 ? "none" : long.join(", ")}`); // told, not judged: machines differ
  await go(`/chat/${session.id}/${id(11)}`);
  await eventually(() => page.evaluate(() => document.activeElement?.getAttribute("data-message")).then((x) => x === id(11)), 15_000);
  assert.deepEqual(problems, []);
  await close();
});

test("in Spanish, dark, on a phone and on a large screen; axe finds nothing", async () => {
  const session = (await api("GET", "/operator/sessions?q=teller")).sessions.at(-1);
  for (const [name, options] of [["chat-phone", { width: 360, height: 740, hasTouch: true, isMobile: true }], ["chat-dark-es", { language: "es", dark: true }], ["chat-4k", { width: 3840, height: 2160 }]]) {
    const { page, problems, go, close } = await openPage(browser, system, options);
    await go("/chat");
    await shot(page, `${name}-new`);
    await go(`/chat/${session.id}`);
    await page.locator("article").first().waitFor();
    assert.deepEqual(await axeFinds(page), [], name);
    assert.equal(await sideways(page), 0, name);
    if (options.width === 360) {
      await page.getByRole("button", { name: "Conversations" }).click();
      await page.getByRole("searchbox").waitFor();
      assert.deepEqual(await axeFinds(page), [], `${name}, list`);
      await page.getByRole("link", { name: "With the teller" }).first().click();
      await page.getByRole("searchbox").waitFor({ state: "detached" });
    }
    if (options.language === "es") {
      await page.getByRole("button", { name: "Nueva conversación" }).click();
      await page.getByText("¿Qué quieres saber?").waitFor();
      await send(page, "¿En qué puerto está switch?");
      await answers(page).last().getByText(/8002/).waitFor({ timeout: 30_000 });
      await rests(page);
    }
    await shot(page, name);
    assert.deepEqual(problems, [], name);
    await close();
  }
});

test("without a login it says how to get in, and keeps what was typed", async () => {
  const { page, context, close } = await teller({ expected: /./ });
  await box(page).fill("still here");
  await sleep(500);
  const cookies = await context.cookies();
  await context.clearCookies();
  await page.keyboard.press("Enter");
  await page.getByText("Not logged in").waitFor({ timeout: 15_000 });
  await context.addCookies(cookies);
  await box(page).waitFor({ timeout: 15_000 });
  assert.equal(await box(page).inputValue(), "still here");
  await close();
});
