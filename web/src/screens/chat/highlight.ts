/* Colours for code, as a tree of spans (never as markup). The library and each language are loaded when the first block
 * of that language is seen, after the page has been drawn. */
import type { createLowlight } from "lowlight";

type Lowlight = ReturnType<typeof createLowlight>;
export interface Span {
  classes: string | null;
  text: string;
}

const load = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  clojure: () => import("highlight.js/lib/languages/clojure"),
  cmake: () => import("highlight.js/lib/languages/cmake"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  dart: () => import("highlight.js/lib/languages/dart"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  elixir: () => import("highlight.js/lib/languages/elixir"),
  erlang: () => import("highlight.js/lib/languages/erlang"),
  go: () => import("highlight.js/lib/languages/go"),
  graphql: () => import("highlight.js/lib/languages/graphql"),
  haskell: () => import("highlight.js/lib/languages/haskell"),
  http: () => import("highlight.js/lib/languages/http"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  julia: () => import("highlight.js/lib/languages/julia"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  latex: () => import("highlight.js/lib/languages/latex"),
  lisp: () => import("highlight.js/lib/languages/lisp"),
  lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  matlab: () => import("highlight.js/lib/languages/matlab"),
  nginx: () => import("highlight.js/lib/languages/nginx"),
  nix: () => import("highlight.js/lib/languages/nix"),
  objectivec: () => import("highlight.js/lib/languages/objectivec"),
  ocaml: () => import("highlight.js/lib/languages/ocaml"),
  perl: () => import("highlight.js/lib/languages/perl"),
  php: () => import("highlight.js/lib/languages/php"),
  powershell: () => import("highlight.js/lib/languages/powershell"),
  protobuf: () => import("highlight.js/lib/languages/protobuf"),
  python: () => import("highlight.js/lib/languages/python"),
  r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  scala: () => import("highlight.js/lib/languages/scala"),
  scss: () => import("highlight.js/lib/languages/scss"),
  shell: () => import("highlight.js/lib/languages/shell"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  vim: () => import("highlight.js/lib/languages/vim"),
  x86asm: () => import("highlight.js/lib/languages/x86asm"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
} as const;
type Name = keyof typeof load;
const alias: Readonly<Record<string, Name>> = {
  sh: "bash", zsh: "bash", console: "shell", "shell-session": "shell", h: "c", "c++": "cpp", cc: "cpp", hpp: "cpp", cxx: "cpp", "c#": "csharp", cs: "csharp", patch: "diff", docker: "dockerfile",
  ex: "elixir", golang: "go", gql: "graphql", hs: "haskell", toml: "ini", conf: "ini", js: "javascript", jsx: "javascript", mjs: "javascript", jsonc: "json", json5: "json", jl: "julia", kt: "kotlin", tex: "latex",
  make: "makefile", md: "markdown", objc: "objectivec", pl: "perl", ps1: "powershell", proto: "protobuf", py: "python", python3: "python", rb: "ruby", rs: "rust", ts: "typescript", tsx: "typescript",
  html: "xml", svg: "xml", vue: "xml", yml: "yaml", asm: "x86asm", sqlite: "sql", postgresql: "sql", mysql: "sql", sass: "scss", less: "scss",
};
/** Longer code stays plain: colouring it would hold up the page. */
const MOST = 40_000;

export function languageOf(info: string): Name | null {
  const name = info.trim().split(/[\s,{:]/)[0]?.toLowerCase() ?? "";
  if (Object.hasOwn(load, name)) return name as Name;
  return Object.hasOwn(alias, name) ? alias[name] ?? null : null;
}

let lowlight: Promise<Lowlight> | null = null;
const ready = new Map<Name, Promise<Lowlight>>();

function languageReady(name: Name): Promise<Lowlight> {
  let p = ready.get(name);
  if (p) return p;
  lowlight ??= import("./lowlight").then((m) => m.createLowlight());
  p = Promise.all([lowlight, load[name]()]).then(([l, m]) => {
    l.register(name, m.default);
    return l;
  });
  ready.set(name, p);
  p.catch(() => {
    ready.delete(name);
    lowlight = null;
  });
  return p;
}

interface Node {
  type: string;
  value?: string;
  properties?: { className?: unknown };
  children?: Node[];
}
function flatten(nodes: readonly Node[], classes: string | null, out: Span[]) {
  for (const n of nodes) {
    if (n.type === "text") {
      const last = out[out.length - 1];
      if (last && last.classes === classes) last.text += n.value ?? "";
      else out.push({ classes, text: n.value ?? "" });
    } else if (n.children) {
      const own = n.properties?.className;
      flatten(n.children, Array.isArray(own) ? own.filter((x) => typeof x === "string").join(" ") : classes, out);
    }
  }
}

const kept = new Map<string, readonly Span[]>();
const idle: (f: () => void) => void = typeof requestIdleCallback === "function" ? (f) => void requestIdleCallback(f, { timeout: 1000 }) : (f) => void setTimeout(f, 30);

/** What was coloured before. */
export function spansKept(name: Name, code: string): readonly Span[] | null {
  return kept.get(`${name}\n${code}`) ?? null;
}

/** Colours code when the page has nothing else to do. */
export async function spansOf(name: Name, code: string): Promise<readonly Span[] | null> {
  if (code.length > MOST) return null;
  const l = await languageReady(name);
  await new Promise<void>((resolve) => idle(resolve));
  const out: Span[] = [];
  flatten(l.highlight(name, code).children, null, out);
  if (kept.size > 300) kept.delete(kept.keys().next().value ?? "");
  kept.set(`${name}\n${code}`, out);
  return out;
}
