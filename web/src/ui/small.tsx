/* The small pieces: badges, states, cards, meters, times. */
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import { Check, CircleCheck, CircleDashed, CircleX, Copy, Info, TriangleAlert } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { ApiError } from "../lib/api";
import { useFormat } from "../lib/format";
import { Button, IconButton } from "./Button";
import { toast } from "./Toast";
import { Tooltip } from "./Tooltip";
import { cx } from "./cx";
import s from "./ui.module.css";

export type BadgeTone = "ok" | "warn" | "bad" | "info" | "accent" | "none";
export function Badge({ tone = "none", icon: Icon, children }: { tone?: BadgeTone; icon?: LucideIcon; children: ReactNode }) {
  return <span className={s.badge} data-tone={tone}>{Icon && <Icon aria-hidden />}{children}</span>;
}

const toneIcons: Record<"ok" | "warn" | "bad" | "info" | "none", LucideIcon> = { ok: CircleCheck, warn: TriangleAlert, bad: CircleX, info: Info, none: CircleDashed };
/** A state: its shape and its word say it, the colour only helps. */
export function Status({ tone, children }: { tone: "ok" | "warn" | "bad" | "info" | "none"; children: ReactNode }) {
  const Icon = toneIcons[tone];
  return <span className={s.status} data-tone={tone}><Icon aria-hidden />{children}</span>;
}

export interface CardProps {
  title?: ReactNode;
  actions?: ReactNode;
  /** No padding, for tables. */
  flush?: boolean;
  className?: string;
  children: ReactNode;
}
export function Card({ title, actions, flush, className, children }: CardProps) {
  return (
    <section className={cx(s.card, className)}>
      {(title || actions) && <div className={s.cardHead}><h2>{title}</h2>{actions}</div>}
      <div className={cx(s.cardBody, flush && s.cardFlush)}>{children}</div>
    </section>
  );
}

/** A screen's frame: heading, actions beside it, content at a sensible width. */
export function Page({ title, lead, actions, narrow, children }: { title: ReactNode; lead?: ReactNode; actions?: ReactNode; narrow?: boolean; children: ReactNode }) {
  return (
    <div className={cx(s.page, narrow && s.pageNarrow)}>
      <div className={s.pageHead}><h1>{title}</h1>{actions}</div>
      {lead && <p className={s.pageLead}>{lead}</p>}
      {children}
    </div>
  );
}

export function KeyValues({ items }: { items: readonly (readonly [label: string, value: ReactNode] | null | false)[] }) {
  return (
    <dl className={s.kv}>
      {items.map((item) => item && <div key={item[0]} style={{ display: "contents" }}><dt>{item[0]}</dt><dd>{item[1]}</dd></div>)}
    </dl>
  );
}

export function EmptyState({ icon: Icon, title, children, action }: { icon?: LucideIcon; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={s.empty}>
      {Icon && <Icon aria-hidden />}
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

/** What a failure means, in words for a person. */
export function useErrorText(): (error: unknown) => string {
  const t = useText(common);
  return (error) => {
    if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
    if (error.code === "unreachable") return t("error.unreachable");
    if (error.code === "cut_off") return t("error.cut_off");
    return error.message;
  };
}

export function ErrorState({ error, onRetry, title }: { error: unknown; onRetry?: () => void; title?: string }) {
  const t = useText(common);
  const f = useFormat();
  const text = useErrorText();
  const api = error instanceof ApiError ? error : null;
  return (
    <div className={s.error} role="alert">
      <CircleX aria-hidden />
      <div>
        <strong>{title ?? t("error.title")}</strong>
        <span>{text(error)}{api?.status === 403 && ` ${t("error.forbidden")}`}{api?.retryAfterMs != null && ` ${t("error.after", { time: f.duration(api.retryAfterMs) })}`}</span>
        {api?.requestId && <span className={s.hint}>{t("error.request", { id: api.requestId })}</span>}
      </div>
      {onRetry && <Button small onClick={onRetry}>{t("action.retry")}</Button>}
    </div>
  );
}

export function Note({ tone = "info", children }: { tone?: "info" | "warn" | "bad" | "ok"; children: ReactNode }) {
  const Icon = toneIcons[tone];
  return <div className={s.note} data-tone={tone}><Icon aria-hidden /><div>{children}</div></div>;
}

/** The place of something that is on its way. */
export function Skeleton({ width = "100%", height = "1em" }: { width?: string; height?: string }) {
  return <span className={s.skeleton} style={{ width, height }} aria-hidden />;
}
export function SkeletonLines({ lines = 4 }: { lines?: number }) {
  const t = useText(common);
  return (
    <div className="stack" role="status">
      <span className="visually-hidden">{t("loading")}</span>
      {Array.from({ length: lines }, (_, i) => <Skeleton key={i} width={`${90 - (i % 3) * 18}%`} />)}
    </div>
  );
}

/** How full something is (role meter), or how far something has come (progress). value null: nobody knows. */
export function Meter({ label, value, max = 1, tone = "accent", text, progress }: { label: string; value: number | null; max?: number; tone?: "accent" | "warn" | "bad"; text?: string; progress?: boolean }) {
  const share = value === null ? null : Math.min(Math.max(max > 0 ? value / max : 0, 0), 1);
  const values = share === null ? {} : { "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100) };
  return (
    <span role={progress ? "progressbar" : "meter"} aria-label={label} aria-valuetext={text} className={s.meter} data-tone={tone} data-indeterminate={share === null && progress ? "" : undefined}
      {...(share === null && !progress ? { "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 } : values)}>
      <span style={share === null ? {} : { width: `${share * 100}%` }} />
    </span>
  );
}

export function CopyButton({ text, label, small = true }: { text: string | (() => string | Promise<string>); label?: string; small?: boolean }) {
  const t = useText(common);
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => {
    try {
      await copyText(typeof text === "string" ? text : await text());
      setDone(true);
    } catch {
      toast(t("action.copy_failed"), "bad");
    }
  };
  return <IconButton small={small} icon={done ? Check : Copy} label={done ? t("action.copied") : label ?? t("action.copy")} onClick={() => void copy()} />;
}

/** The clipboard API needs https or localhost; elsewhere the old way. */
export async function copyText(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.style.position = "fixed";
  area.style.opacity = "0";
  const before = document.activeElement;
  (document.querySelector("[role=dialog]") ?? document.body).append(area);
  area.select();
  const ok = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  if (!ok) throw new Error("copy");
}

/** Text as it is, with a copy button. children: the same text with highlighting. */
export function CodeBlock({ text, wrap, label, children }: { text: string; wrap?: boolean; label?: string; children?: ReactNode }) {
  return (
    <div className={s.code}>
      <pre tabIndex={0} data-wrap={wrap ? "" : undefined} {...(label !== undefined && { role: "group", "aria-label": label })}><code>{children ?? text}</code></pre>
      <CopyButton text={text} />
    </div>
  );
}

let tick = 0;
const tickers = new Set<(n: number) => void>();
let ticking: ReturnType<typeof setInterval> | undefined;
/** Redraws every 10 seconds, together with all others. */
function useTick(): void {
  const [, set] = useState(tick);
  useEffect(() => {
    tickers.add(set);
    ticking ??= setInterval(() => {
      tick++;
      for (const f of tickers) f(tick);
    }, 10_000);
    return () => {
      tickers.delete(set);
      if (tickers.size > 0) return;
      clearInterval(ticking);
      ticking = undefined;
    };
  }, []);
}

/** A moment: relative, with the absolute time as its tooltip. */
export function Time({ at, absolute }: { at: number; absolute?: boolean }) {
  const f = useFormat();
  useTick();
  return (
    <Tooltip text={absolute ? f.relative(at) : f.dateTime(at)}>
      <time dateTime={new Date(at).toISOString()} className="nowrap">{absolute ? f.dateTime(at) : f.relative(at)}</time>
    </Tooltip>
  );
}

/** What nobody knows: a dash, and why. */
export function Unknown({ reason }: { reason?: string | null | undefined }) {
  const t = useText(common);
  const text = reason ? t("unknown.because", { reason }) : t("unknown");
  return <Tooltip text={text} label={false}><span className={s.unknown} tabIndex={0} role="img" aria-label={text}>—</span></Tooltip>;
}

export const Kbd = ({ children }: { children: ReactNode }) => <kbd className={s.kbd}>{children}</kbd>;
