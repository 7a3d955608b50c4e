// A VX11 of its own for one test file: private home, free ports, stopped at the end. Nothing here knows more than the README says.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
export const BIN = process.env.VX11_BIN ?? path.resolve("build/release/vx11");

async function freePorts(n) {
  const servers = await Promise.all(Array.from({ length: n }, () => new Promise((resolve, reject) => {
    const s = createServer();
    s.on("error", reject);
    s.listen(0, "127.0.0.1", () => resolve(s));
  })));
  const ports = servers.map((s) => s.address().port);
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))));
  return ports;
}

export async function startSystem({ config, env: extra } = {}) {
  const home = await mkdtemp(path.join(tmpdir(), "vx11-e2e-"));
  const [link, page, sw, hermes, operator] = await freePorts(5);
  const env = {
    PATH: process.env.PATH, HOME: process.env.HOME, LANG: "C.UTF-8", VX11_HOME: home,
    VX11_LINK__PORT: `${link}`, VX11_LINK__PAGE_PORT: `${page}`, VX11_SWITCH__PORT: `${sw}`, VX11_HERMES__PORT: `${hermes}`,
    VX11_OPERATOR__PORT: `${operator}`, ...extra,
  };
  if (config) await writeFile(path.join(home, "config.yaml"), config);
  const vx11 = (...args) => run(BIN, args, { env, timeout: 60_000, maxBuffer: 1 << 24 });
  const { stdout } = await vx11("up", "--detach");
  const token = (await readFile(path.join(home, "token"), "utf8")).trim();
  return {
    home, env, token, vx11, hello: stdout, ports: { link, page, switch: sw, hermes, operator },
    url: `http://127.0.0.1:${link}`, page: `http://127.0.0.1:${page}/`,
    loginLink: async () => (await vx11("login")).stdout.trim(),
    // Runs vx11 with text on its standard input.
    pipe: (text, ...args) => new Promise((resolve, reject) => {
      const child = spawn(BIN, args, { env });
      let out = "", err = "";
      child.stdout.on("data", (d) => { out += d; });
      child.stderr.on("data", (d) => { err += d; });
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, stdout: out, stderr: err }));
      child.stdin.end(text);
    }),
    // Whatever a test looked at, no module may have died under it.
    stop: async () => {
      try {
        const { stdout } = await vx11("status", "--json");
        const died = JSON.parse(stdout).modules.filter((m) => m.restarts > 0).map((m) => `${m.name}: ${m.last_exit}`);
        await vx11("down");
        if (died.length > 0) throw new Error(`modules died: ${died.join("; ")}`);
      } finally {
        await vx11("down").catch(() => {});
        if (!process.env.VX11_KEEP) await rm(home, { recursive: true, force: true });
      }
    },
  };
}

// The first row of a query, by the sqlite3 command, as an object.
export async function queryOne(home, sql) {
  const { stdout } = await run("sqlite3", ["-json", "-readonly", path.join(home, "vx11.db"), sql]);
  return JSON.parse(stdout || "[]")[0];
}

// Asks until check gives something truthy, for at most ms.
export async function eventually(check, ms = 10_000) {
  const until = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > until) throw new Error(`still not so after ${ms} ms: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
