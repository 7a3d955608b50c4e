/* Text that grows, cut into Markdown blocks. Only what may still change is read again: all blocks but the last two are
 * settled once something follows them, so a token of a long answer costs as much as one of a short answer. */
import { Lexer } from "marked";
import type { Token, Tokens } from "marked";

export type { Token, Tokens };
export interface Block {
  /** Where it begins: its key while the text grows. */
  at: number;
  raw: string;
  token: Token;
}

const OPTIONS = { gfm: true, breaks: false } as const;
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

export class Blocks {
  private text = "";
  private settled: Block[] = [];
  private settledEnd = 0;
  private links: Lexer["tokens"]["links"] = Object.create(null) as Lexer["tokens"]["links"];
  blocks: Block[] = [];

  /** The blocks of text. growing: more is on its way. */
  update(source: string, growing: boolean): Block[] {
    const text = source.includes("\r") ? source.replace(/\r\n?/g, "\n") : source;
    if (text === this.text && this.blocks.length > 0) return this.blocks;
    if (!text.startsWith(this.text) || (!growing && DEFINITION.test(text))) this.reset();
    this.text = text;
    const lexer = new Lexer(OPTIONS);
    lexer.tokens.links = this.links;
    const rest = text.slice(this.settledEnd);
    const tail: Block[] = [];
    let at = this.settledEnd;
    for (const token of lexer.lex(rest)) {
      if (token.type !== "space" && token.type !== "def") tail.push({ at, raw: token.raw, token });
      at += token.raw.length;
    }
    this.blocks = [...this.settled, ...tail];
    // What marked rewrote on its way cannot be cut by length: then all is read again the next time.
    if (tail.length > 2 && at === text.length) {
      const open = tail[tail.length - 2];
      this.settled = this.blocks.slice(0, -2);
      this.settledEnd = open?.at ?? this.settledEnd;
    }
    return this.blocks;
  }

  private reset() {
    this.settled = [];
    this.settledEnd = 0;
    this.links = Object.create(null) as Lexer["tokens"]["links"];
  }
}

const kept = new Map<string, Block[]>();
const KEPT = 400;

/** Blocks of a whole text, remembered: scrolling back does not read it again. */
export function blocksOf(text: string): Block[] {
  let blocks = kept.get(text);
  if (blocks) {
    kept.delete(text);
  } else {
    blocks = new Blocks().update(text, false);
    if (kept.size >= KEPT) kept.delete(kept.keys().next().value ?? "");
  }
  kept.set(text, blocks);
  return blocks;
}

const NAMED: Readonly<Record<string, string>> = {
  amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…", mdash: "—", ndash: "–", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”",
  laquo: "«", raquo: "»", bull: "•", middot: "·", times: "×", divide: "÷", deg: "°", plusmn: "±", euro: "€", pound: "£", cent: "¢", yen: "¥", sect: "§", para: "¶", larr: "←", rarr: "→",
  uarr: "↑", darr: "↓", harr: "↔", le: "≤", ge: "≥", ne: "≠", asymp: "≈", infin: "∞", micro: "µ", frac12: "½", frac14: "¼", frac34: "¾", sup2: "²", sup3: "³", iexcl: "¡", iquest: "¿",
  aacute: "á", eacute: "é", iacute: "í", oacute: "ó", uacute: "ú", ntilde: "ñ", uuml: "ü", check: "✓",
};

/** Markdown lets characters be written as entities; React does not know them. */
export function decode(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z][a-zA-Z0-9]{1,31}));/g, (whole, dec?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    const code = dec !== undefined ? Number(dec) : parseInt(hex ?? "", 16);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
  });
}

/** Where a link of a model's may lead; null: nowhere. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(decode(href), "https://relative.invalid/");
    if (url.hostname === "relative.invalid") return null; // a path would lead into this page
    return url.protocol === "https:" || url.protocol === "http:" || url.protocol === "mailto:" ? url.href : null;
  } catch {
    return null;
  }
}

/** The text without its marks, for reading aloud. */
export function plain(blocks: readonly Block[], codeWord: string): string {
  const out: string[] = [];
  const walk = (token: Token) => {
    if (token.type === "code") {
      out.push(` ${codeWord}. `);
      return;
    }
    if (token.type === "table") {
      const table = token as Tokens.Table;
      for (const row of [table.header, ...table.rows]) out.push(`${row.map((c) => decode(c.text)).join(", ")}. `);
      return;
    }
    if (token.type === "list") {
      for (const item of (token as Tokens.List).items) {
        item.tokens.forEach(walk);
        out.push(". ");
      }
      return;
    }
    const inner = (token as { tokens?: Token[] }).tokens;
    if (inner) inner.forEach(walk);
    else if ("text" in token && typeof token.text === "string") out.push(decode(token.text));
    if (token.type === "paragraph" || token.type === "heading") out.push(" ");
  };
  for (const b of blocks) walk(b.token);
  return out.join("").replace(/\s+/g, " ").trim();
}
