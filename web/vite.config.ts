/* The page's build: static files with hashed names, all in /assets, which the binary carries.
 * `npm run dev` serves the sources and sends API calls on to a running VX11 (VX11_URL). */
import { defineConfig } from "vite";

const api = ["/v1", "/vx11", "/hermes", "/switch", "/operator", "/supervisor", "/events", "/intent", "/login", "/logout", "/health", "/openapi.json"];
const target = process.env.VX11_URL ?? "http://127.0.0.1:8020";

export default defineConfig({
  esbuild: { jsx: "automatic", legalComments: "none" },
  build: {
    outDir: process.env.VX11_WEB_OUT ?? "../build/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    cssCodeSplit: true,
  },
  server: {
    proxy: Object.fromEntries(
      // The front door refuses foreign origins: here it hears its own.
      api.map((path) => [path, { target, changeOrigin: true, headers: { origin: target } }]),
    ),
  },
});
