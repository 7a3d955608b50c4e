// Whether each English text and its Spanish one have the same {holes} and <tags>. tsc sees to the keys.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

const root = new URL("../../web/", import.meta.url);
const esbuild = createRequire(new URL("package.json", root))("esbuild");
async function words(language, file) {
  const source = readFileSync(new URL(`src/i18n/${language}/${file}`, root), "utf8");
  const { code } = await esbuild.transform(source, { loader: "ts", format: "esm" });
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)).default;
}
const marks = (text) => [...new Set(text.match(/\{\w+\}|<\w+>/g) ?? [])].sort().join(" ");
const flat = (entry) => (typeof entry === "string" ? marks(entry) : marks(`${entry.one} ${entry.other}`));
let bad = 0;
for (const file of readdirSync(fileURLToPath(new URL("src/i18n/en/", root)))) {
  const [en, es] = await Promise.all(["en", "es"].map((l) => words(l, file)));
  for (const [key, entry] of Object.entries(en)) {
    if (es[key] === undefined) continue;
    if (flat(entry) !== flat(es[key])) {
      console.log(`i18n/es/${file}: ${key}: has "${flat(es[key])}", the English one "${flat(entry)}"`);
      bad = 1;
    }
  }
}
process.exitCode = bad;
