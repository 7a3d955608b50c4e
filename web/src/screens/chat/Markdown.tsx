/* Markdown as React elements, built from marked's tokens. Raw HTML in it is shown as the text that it is; links lead only to
 * http, https and mail, and open elsewhere; pictures of other hosts are not fetched but named. */
import { Fragment, memo, useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import { ExternalLink, ImageIcon, WrapText } from "lucide-react";
import { useText } from "../../i18n";
import { CopyButton, IconButton } from "../../ui";
import { Blocks, blocksOf, decode, safeHref } from "./blocks";
import type { Block, Token, Tokens } from "./blocks";
import { languageOf, spansKept, spansOf } from "./highlight";
import type { Span } from "./highlight";
import { text } from "./text";
import s from "./markdown.module.css";

function Code({ code, info, open }: { code: string; info: string; open: boolean }) {
  const t = useText(text);
  const name = languageOf(info);
  const [spans, setSpans] = useState<readonly Span[] | null>(() => (name ? spansKept(name, code) : null));
  const [wrap, setWrap] = useState(false);
  const shown = useRef(code);
  useEffect(() => {
    if (!name || open) return;
    const had = spansKept(name, code);
    shown.current = code;
    if (had) {
      setSpans(had);
      return;
    }
    let gone = false;
    spansOf(name, code).then((x) => { if (!gone) setSpans(x); }, () => undefined); // without the language it stays plain
    return () => { gone = true; };
  }, [name, code, open]);
  const coloured = spans && shown.current === code && !open ? spans : null;
  const label = info.trim().split(/[\s,{:]/)[0] ?? "";
  return (
    <figure className={s.code}>
      <figcaption>
        <span className={s.codeName}>{label || t("code.plain")}</span>
        <IconButton small icon={WrapText} label={wrap ? t("code.unwrap") : t("code.wrap")} aria-pressed={wrap} onClick={() => setWrap(!wrap)} />
        <CopyButton text={code} label={t("code.copy")} />
      </figcaption>
      <pre tabIndex={0} role="group" aria-label={label ? t("code.of", { language: label }) : t("code.plain")} data-wrap={wrap ? "" : undefined}>
        <code>{coloured ? coloured.map((x, i) => (x.classes ? <span key={i} className={x.classes}>{x.text}</span> : x.text)) : code}</code>
      </pre>
    </figure>
  );
}

function Picture({ token }: { token: Tokens.Image }) {
  const t = useText(text);
  const alt = decode(token.text);
  if (/^data:image\/(png|jpeg|gif|webp);base64,/.test(token.href)) return <img className={s.picture} src={token.href} alt={alt} />;
  const href = safeHref(token.href);
  if (!href) return <span className="soft">{alt}</span>;
  return (
    <a className={s.remote} href={href} target="_blank" rel="noopener noreferrer" title={t("image.remote_hint")}>
      <ImageIcon aria-hidden />{alt ? t("image.remote_named", { name: alt, host: new URL(href).host }) : t("image.remote", { host: new URL(href).host })}<ExternalLink aria-hidden />
    </a>
  );
}

function inline(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, i) => <Fragment key={i}>{inlineOne(token)}</Fragment>);
}
function inlineOne(token: Token): ReactNode {
  switch (token.type) {
    case "text": {
      const x = token as Tokens.Text;
      return x.tokens ? inline(x.tokens) : decode(x.text);
    }
    case "escape": return (token as Tokens.Escape).text;
    case "strong": return <strong>{inline(token.tokens)}</strong>;
    case "em": return <em>{inline(token.tokens)}</em>;
    case "del": return <del>{inline(token.tokens)}</del>;
    case "codespan": return <code className={s.span}>{(token as Tokens.Codespan).text}</code>;
    case "br": return <br />;
    case "link": {
      const href = safeHref((token as Tokens.Link).href);
      if (!href) return inline(token.tokens);
      return <a href={href} target="_blank" rel="noopener noreferrer" title={(token as Tokens.Link).title ?? undefined}>{inline(token.tokens)}</a>;
    }
    case "image": return <Picture token={token as Tokens.Image} />;
    case "checkbox": return <input type="checkbox" checked={(token as Tokens.Checkbox).checked} readOnly disabled aria-hidden className={s.task} />;
    case "html": return /^<br\s*\/?>$/i.test(token.raw.trim()) ? <br /> : token.raw;
    default: return "text" in token && typeof token.text === "string" ? decode(token.text) : token.raw;
  }
}

function ListItem({ item }: { item: Tokens.ListItem }) {
  const t = useText(text);
  return (
    <li className={item.task ? s.taskItem : undefined}>
      {item.task && <span className="visually-hidden">{item.checked ? t("task.done") : t("task.open")}</span>}
      {item.task && !item.tokens.some((x) => x.type === "checkbox" || (x as { tokens?: Token[] }).tokens?.[0]?.type === "checkbox") && <input type="checkbox" checked={item.checked === true} readOnly disabled aria-hidden className={s.task} />}
      {item.tokens.map((x, i) => <Fragment key={i}>{block(x, false)}</Fragment>)}
    </li>
  );
}

function Grid({ table }: { table: Tokens.Table }) {
  const t = useText(text);
  return (
    <div className={s.tableBox} tabIndex={0} role="group" aria-label={t("table")}>
      <table>
        <thead><tr>{table.header.map((c, i) => <th key={i} scope="col" data-align={c.align ?? undefined}>{inline(c.tokens)}</th>)}</tr></thead>
        <tbody>{table.rows.map((r, k) => <tr key={k}>{r.map((c, i) => <td key={i} data-align={c.align ?? undefined}>{inline(c.tokens)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

function block(token: Token, open: boolean): ReactNode {
  switch (token.type) {
    case "paragraph": return <p>{inline(token.tokens)}</p>;
    case "text": return token.tokens ? inline(token.tokens) : decode((token as Tokens.Text).text);
    case "heading": {
      const Name = (["h3", "h4", "h5", "h6", "h6", "h6"] as const)[(token as Tokens.Heading).depth - 1] ?? "h6"; // h2 is who speaks
      return <Name>{inline(token.tokens)}</Name>;
    }
    case "code": return <Code code={(token as Tokens.Code).text} info={(token as Tokens.Code).lang ?? ""} open={open} />;
    case "blockquote": return <blockquote>{token.tokens?.map((x, i) => <Fragment key={i}>{block(x, open)}</Fragment>)}</blockquote>;
    case "list": {
      const list = token as Tokens.List;
      const items = list.items.map((item, i) => <ListItem key={i} item={item} />);
      return list.ordered ? <ol start={list.start === "" ? undefined : list.start}>{items}</ol> : <ul>{items}</ul>;
    }
    case "table": return <Grid table={token as Tokens.Table} />;
    case "hr": return <hr />;
    case "html": return <p className={s.raw}>{token.raw.trimEnd()}</p>;
    case "space":
    case "def": return null;
    default: return inlineOne(token);
  }
}

const Piece = memo(
  function Piece({ piece, open }: { piece: Block; open: boolean }) {
    return <>{block(piece.token, open)}</>;
  },
  (a, b) => a.open === b.open && a.piece.raw === b.piece.raw,
);

/** growing: more of the text is on its way. */
export const Markdown = memo(function Markdown({ source, growing }: { source: string; growing: boolean }) {
  const blocks = useRef<Blocks | null>(null);
  if (growing) blocks.current ??= new Blocks();
  const list = blocks.current ? blocks.current.update(source, growing) : blocksOf(source);
  return (
    <div className={s.markdown}>
      {list.map((b, i) => <Piece key={b.at} piece={b} open={growing && i === list.length - 1} />)}
    </div>
  );
});
