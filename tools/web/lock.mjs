// Mends web/package-lock.json after `npm install PACKAGE`: node tools/web/lock.mjs
// No registry's address stays in it. Optional packages of other platforms that the registry at hand did not offer are
// entered by name and version (npm ci wants them listed); on this platform nothing fetches them.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../../web/package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const packages = lock.packages;
for (const p of Object.values(packages)) delete p.resolved;
for (const [where, p] of Object.entries(packages)) {
  for (const [name, version] of Object.entries(p.optionalDependencies ?? {})) {
    if (packages[`node_modules/${name}`] || packages[`${where}/node_modules/${name}`]) continue;
    const m = /-(android|darwin|freebsd|linux|openbsd|openharmony|win32)-(arm64|arm|x64|ia32|ppc64|riscv64|s390x|loong64)(?:-|$)/.exec(name);
    if (!m || !/^\d/.test(version)) continue;
    packages[`node_modules/${name}`] = { version, cpu: [m[2]], ...(p.dev && { dev: true }), license: p.license, optional: true, os: [m[1]], ...(m[1] === "linux" && { libc: [name.includes("musl") ? "musl" : "glibc"] }) };
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
