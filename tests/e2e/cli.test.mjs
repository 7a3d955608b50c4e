// The command line, as a person types it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, queryOne, startSystem } from "./system.mjs";

let system;
before(async () => { system = await startSystem(); });
after(() => system?.stop());

test("up says where the page is and how to say hello; twice, that it runs already", async () => {
  assert.match(system.hello, /page +http:\/\/127\.0\.0\.1:\d+\/login\?code=/);
  assert.match(system.hello, /vx11 chat "Which port is switch on\?"/);
  const again = await system.vx11("up", "--detach");
  assert.match(again.stdout, /runs already/);
});

test("chat answers from the guide model", async () => {
  const { stdout } = await system.vx11("chat", "Which port is switch on?");
  assert.match(stdout, /8002/);
});

test("chat works in a pipe", async () => {
  const { code, stdout, stderr } = await system.pipe("¿En qué puerto está hermes?\n", "chat");
  assert.equal(code, 0, stderr);
  assert.match(stdout, /8003/);
  assert.doesNotMatch(stdout, /\x1b/);
});

test("status as JSON measures every module that exists, and no other", async () => {
  const status = JSON.parse((await system.vx11("status", "--json")).stdout);
  assert.deepEqual(status.modules.map((m) => m.name).sort(), ["hermes", "link", "operator", "switch"]);
  for (const m of status.modules) {
    assert.equal(m.health, "ok");
    assert.ok(m.pid > 1 && m.rss_bytes > 1e6 && m.uptime_s > 0);
  }
});

test("models list shows what the file's header says", async () => {
  const models = JSON.parse((await system.vx11("models", "list", "--json")).stdout);
  const list = models.models ?? models.local ?? models;
  const guide = list.find((m) => m.name === "vx11-guide");
  assert.equal(guide.architecture, "llama");
  assert.equal(guide.context_length, 2048);
  assert.ok(guide.parameters > 3e6 && guide.parameters < 4e6, `${guide.parameters}`);
});

test("standby refuses work and active serves again", async () => {
  await system.vx11("modules", "set", "switch", "standby");
  const refused = await fetch(`http://127.0.0.1:${system.ports.switch}/switch/context`, { headers: { authorization: `Bearer ${system.token}` } });
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).error.code, "module_standby");
  await system.vx11("modules", "set", "switch", "active");
  const served = await fetch(`http://127.0.0.1:${system.ports.switch}/switch/context`, { headers: { authorization: `Bearer ${system.token}` } });
  assert.equal(served.status, 200);
});

test("a token with scope read may look and may not chat; revoked, neither", async () => {
  const made = (await system.vx11("token", "create", "--scope", "read", "--name", "reader")).stdout;
  const token = made.match(/vx11_[A-Za-z0-9_-]{43}/)[0];
  const get = () => fetch(`${system.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
  for (let i = 0; i < 40 && (await get()).status === 401; i++) await new Promise((r) => setTimeout(r, 100));
  assert.equal((await get()).status, 200);
  const chat = await fetch(`${system.url}/v1/chat/completions`, {
    method: "POST", headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: JSON.stringify({ messages: [{ role: "user", content: "hi" }] }),
  });
  assert.equal(chat.status, 403);
  await system.vx11("token", "revoke", "reader");
  for (let i = 0; i < 40 && (await get()).status === 200; i++) await new Promise((r) => setTimeout(r, 100));
  assert.equal((await get()).status, 401);
});

test("a token's last use is noted", async () => {
  const made = (await system.vx11("token", "create", "--scope", "read", "--name", "seen")).stdout;
  const token = made.match(/vx11_[A-Za-z0-9_-]{43}/)[0];
  const lastUse = () => queryOne(system.home, "SELECT last_used_at FROM auth_token WHERE name = 'seen'");
  assert.equal((await lastUse()).last_used_at, null);
  const before = Date.now();
  await eventually(async () => (await fetch(`${system.url}/v1/models`, { headers: { authorization: `Bearer ${token}` } })).status === 200);
  const { last_used_at } = await eventually(async () => { const row = await lastUse(); return row.last_used_at && row; });
  assert.ok(last_used_at >= before && last_used_at <= Date.now());
});
