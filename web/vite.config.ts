/* The page's build: static files in /assets, which the binary carries. A file whose name has two dots (NAME.HASH.js)
 * never changes and is cached for good by the browser; what comes from public/ has one.
 * `npm run dev` serves the sources and sends API calls on to a running VX11 (VX11_URL). */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { defineConfig } from "vite";
import type { Plugin } from "vite";

const api = ["/v1", "/vx11", "/hermes", "/switch", "/operator", "/supervisor", "/events", "/intent", "/login", "/logout", "/health", "/openapi.json"];
const target = process.env.VX11_URL ?? "http://127.0.0.1:8020";

/** The licences of the packages whose code is in the page, as /assets/licenses.txt. */
function licenses(): Plugin {
  return {
    name: "vx11-licenses",
    generateBundle() {
      const packages = new Set<string>();
      for (const id of this.getModuleIds()) {
        const m = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replace(/^\0/, ""));
        if (m?.[1] !== undefined) packages.add(m[1]);
      }
      const texts = [...packages].filter((dir) => existsSync(path.join(dir, "package.json"))).map((dir) => {
        const { name, version, license } = JSON.parse(readFileSync(path.join(dir, "package.json"), "utf8")) as { name: string; version: string; license?: string };
        const file = readdirSync(dir).find((f) => /^licen[cs]e/i.test(f));
        return `${name} ${version} (${license ?? "see below"})\n\n${file === undefined ? "" : readFileSync(path.join(dir, file), "utf8").trim()}\n`;
      });
      texts.sort();
      this.emitFile({ type: "asset", fileName: "assets/licenses.txt", source: texts.join(`\n${"-".repeat(72)}\n\n`) });
    },
  };
}

/** react-aria brings its words in thirty languages; the page has two. */
function twoLanguages(): Plugin {
  return {
    name: "vx11-two-languages",
    enforce: "pre",
    load: (id) => (/\/react-(?:aria|stately)\/.*\/intl\/.*\/(?!en-US|es-ES)[a-z]{2}-[A-Z]{2}\.m?js$/.test(id) ? "export default {};" : null),
  };
}

export default defineConfig({
  esbuild: { jsx: "automatic", legalComments: "none" },
  plugins: [twoLanguages(), licenses()],
  build: {
    outDir: process.env.VX11_WEB_OUT ?? "../build/web/dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      output: { entryFileNames: "assets/[name].[hash:10].js", chunkFileNames: "assets/[name].[hash:10].js", assetFileNames: "assets/[name].[hash:10][extname]" },
      onwarn(warning, warn) {
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning); // "use client" says nothing here
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      // The front door refuses foreign origins: here it hears its own.
      api.map((prefix) => [prefix, { target, changeOrigin: true, headers: { origin: target } }]),
    ),
  },
});
