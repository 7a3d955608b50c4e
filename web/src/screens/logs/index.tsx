/* The log of every module: history by pages, new records as they are written. Newest first; what is being read never moves. */
import { useCallback, useEffect, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { ArrowUp, CircleX, Pause, Play, ScrollText, Search } from "lucide-react";
import { useCommands } from "../../app/commands";
import { common } from "../../i18n/common";
import { useText } from "../../i18n";
import { call } from "../../lib/api";
import { useStream } from "../../lib/sse";
import { Button, EmptyState, ErrorState, Note, SearchField, Select, SkeletonLines, Status, TextField, VirtualList, toast } from "../../ui";
import { RecordRow } from "./Row";
import { isGap, Records } from "./records";
import type { LogRecord, Row } from "./records";
import { text } from "./text";
import s from "./logs.module.css";

const PAGE = 200;
const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];
const TIMES = { live: 0, "15m": 900_000, "1h": 3_600_000, "24h": 86_400_000, range: 0 } as const;
type Time = keyof typeof TIMES;
interface Filter {
  module: string;
  level: Level;
  q: string;
  time: Time;
  from: string;
  to: string;
}

function filterOf(search: string): Filter {
  const p = new URLSearchParams(search);
  const level = p.get("level");
  const time = p.get("time");
  return {
    module: p.get("module") ?? "", level: (LEVELS as readonly string[]).includes(level ?? "") ? (level as Level) : "info", q: p.get("q") ?? "",
    time: time !== null && time in TIMES ? (time as Time) : "live", from: p.get("from") ?? "", to: p.get("to") ?? "",
  };
}
function searchOf(x: Filter): string {
  const p = new URLSearchParams();
  if (x.module) p.set("module", x.module);
  if (x.level !== "info") p.set("level", x.level);
  if (x.q) p.set("q", x.q);
  if (x.time !== "live") p.set("time", x.time);
  if (x.time === "range" && x.from) p.set("from", x.from);
  if (x.time === "range" && x.to) p.set("to", x.to);
  const out = p.toString();
  return out ? `?${out}` : "";
}
const momentOf = (local: string): number | undefined => {
  const at = local === "" ? NaN : new Date(local).getTime();
  return Number.isFinite(at) ? at : undefined;
};

interface Older {
  loading: boolean;
  error: unknown;
  /** Undefined: not asked yet. */
  next: string | null | undefined;
  cut: boolean;
}

export default function Logs() {
  const t = useText(text);
  const c = useText(common);
  const [, go] = useLocation();
  const search = useSearch();
  const filter = filterOf(search);
  const latest = useRef(filter); // a text that was typed before another filter was changed must not take that back
  latest.current = filter;
  const set = (change: Partial<Filter>) => {
    latest.current = { ...latest.current, ...change };
    go(`/logs${searchOf(latest.current)}`, { replace: true });
  };
  const [typed, setTyped] = useState(filter.q);
  const [records, setRecords] = useState(() => new Records());
  const [older, setOlder] = useState<Older>({ loading: true, error: null, next: undefined, cut: false });
  const [modules, setModules] = useState<readonly string[]>([]);
  const [held, setHeld] = useState(false);
  const [down, setDown] = useState(false);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [, draw] = useState(0);
  const redraw = useCallback(() => draw((n) => n + 1), []);
  const current = useRef(records);
  const list = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const key = searchOf(filter);

  // The text is asked for when the typing rests.
  useEffect(() => {
    if (typed === filter.q) return;
    const timer = setTimeout(() => set({ q: typed }), 300);
    return () => clearTimeout(timer);
  }, [typed]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => setTyped(filter.q), [filter.q]);

  const wish = useCallback(() => {
    const f = filterOf(key);
    const since = f.time === "range" ? momentOf(f.from) : TIMES[f.time] > 0 ? Date.now() - TIMES[f.time] : undefined;
    const until = f.time === "range" ? momentOf(f.to) : undefined;
    return { limit: PAGE, level: f.level, ...(f.module && { module: f.module }), ...(f.q && { q: f.q }), ...(since !== undefined && { since }), ...(until !== undefined && { until }) };
  }, [key]);

  const load = useCallback(async (into: Records, before: string | null, signal?: AbortSignal) => {
    setOlder((o) => ({ ...o, loading: true, error: null }));
    try {
      const reply = await call("operator.logs", { params: { ...wish(), ...(before !== null && { before }) }, ...(signal && { signal }) });
      into.older(reply.records);
      if (into !== current.current) return;
      setModules(reply.modules);
      setOlder({ loading: false, error: null, next: reply.next_before, cut: reply.cut });
    } catch (error) {
      if (into === current.current && signal?.aborted !== true) setOlder((o) => ({ ...o, loading: false, error }));
    }
  }, [wish]);

  useEffect(() => {
    const fresh = new Records();
    current.current = fresh;
    setRecords(fresh);
    setOpen(new Set());
    setDown(false);
    setOlder({ loading: true, error: null, next: undefined, cut: false });
    const abort = new AbortController();
    void load(fresh, null, abort.signal);
    return () => abort.abort();
  }, [load]);

  const growing = filter.time !== "range" || filter.to === "";
  const still = held || down;
  const stillNow = useRef(still);
  stillNow.current = still;
  const pending = useRef(false);
  const stream = useStream("operator.logs_events", { params: { level: filter.level, ...(filter.module && { module: filter.module }), ...(filter.q && { q: filter.q }) } }, {
    enabled: growing,
    onEvent: (e) => {
      if (e.event === "gap") records.live({ id: "", gap: (JSON.parse(e.data) as { skipped: number | null }).skipped });
      else records.live(JSON.parse(e.data) as LogRecord);
      // Many records may come at once: one redraw for a frame's worth of them.
      if (pending.current) return;
      pending.current = true;
      setTimeout(() => {
        pending.current = false;
        if (!stillNow.current) current.current.release();
        redraw();
      }, 100);
    },
  });
  // Whoever keeps the logs was away and is back.
  useEffect(() => {
    if (stream.state === "open" && older.error !== null) void load(records, older.next ?? null);
  }, [stream.state]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => {
    if (!still && records.release()) redraw();
  }, [still, records, redraw]);

  const rise = () => {
    setHeld(false);
    records.release();
    redraw();
    requestAnimationFrame(() => list.current?.querySelector("[data-testid=records]")?.scrollTo({ top: 0 }));
    setDown(false);
  };
  useCommands(() => [
    { id: "logs.follow", label: t("cmd_follow"), icon: held ? Play : Pause, keys: "f", run: () => setHeld((h) => !h) },
    { id: "logs.search", label: t("cmd_search"), icon: Search, keys: "/", run: () => field.current?.focus() },
    { id: "logs.errors", label: t("cmd_errors"), icon: CircleX, keys: "e", run: () => go("/logs?level=error") },
  ], [t, held, go]);

  const rows = records.rows;
  const filtered = searchOf({ ...filter, level: "info" }) !== "" || filter.level !== "info";
  const unfold = (id: string) => setOpen((old) => {
    const next = new Set(old);
    if (!next.delete(id)) next.add(id);
    return next;
  });
  const more = () => {
    if (!older.loading && older.error === null && older.next && !records.full && !older.cut) void load(records, older.next);
  };
  const known = modules.includes(filter.module) || filter.module === "" ? modules : [filter.module, ...modules];
  const waiting = records.waiting.length;
  return (
    <div className={s.logs}>
      <div className={s.head}>
        <h1>{t("title")}</h1>
        <span className={s.state} role="status">{!growing ? t("history") : held ? t("held") : down ? t("scrolled") : stream.state === "open" ? <Status tone="ok">{t("following")}</Status> : <Status tone={stream.state === "waiting" || stream.error ? "warn" : "info"}>{c(`state.${stream.state}`)}</Status>}</span>
        {growing && <Button small icon={held ? Play : Pause} aria-pressed={held} onClick={() => (held ? rise() : setHeld(true))}>{held ? t("follow") : t("pause")}</Button>}
      </div>
      <div className={s.filters}>
        <SearchField ref={field} label={t("search")} value={typed} onChange={setTyped} className={s.search ?? ""} />
        <Select label={t("module")} hideLabel value={filter.module} onChange={(module) => set({ module })} options={[{ value: "", label: t("all_modules") }, ...known.map((m) => ({ value: m, label: m }))]} />
        <Select label={t("level")} hideLabel value={filter.level} onChange={(level) => set({ level })} options={LEVELS.map((l) => ({ value: l, label: t(`least.${l}`) }))} />
        <Select label={t("time")} hideLabel value={filter.time} onChange={(time) => set({ time })} options={(Object.keys(TIMES) as Time[]).map((x) => ({ value: x, label: t(`time.${x}`) }))} />
        {filter.time === "range" && (
          <>
            <TextField label={t("from")} type="datetime-local" value={filter.from} onChange={(from) => set({ from })} />
            <TextField label={t("to")} type="datetime-local" value={filter.to} onChange={(to) => set({ to })} />
          </>
        )}
      </div>
      {older.error !== null && <ErrorState error={older.error} onRetry={() => void load(records, older.next ?? null)} />}
      {stream.error !== null && stream.state === "closed" && older.error === null && <Note tone="warn">{stream.error.message}</Note>}
      <div ref={list} className={s.listBox} hidden={rows.length === 0 && older.error !== null} onScrollCapture={(e) => setDown((e.target as HTMLElement).scrollTop > 24)}>
        {waiting > 0 && <Button small kind="primary" icon={ArrowUp} className={s.news} onClick={rise}>{t("news", { count: waiting })}</Button>}
        {rows.length > 0 ? (
          <VirtualList<Row> label={t("list")} items={rows} itemKey={(r) => r.id} estimate={30} onEnd={more} className={s.list ?? ""} render={(r) => isGap(r) ? (
            <p className={s.gap}>{r.gap === null ? t("gap_unknown") : t("gap", { count: r.gap })}</p>
          ) : <RecordRow record={r} open={open.has(r.id)} onToggle={() => unfold(r.id)} onFailed={() => toast(c("action.copy_failed"), "bad")} />} />
        ) : older.next === undefined && older.error === null ? <SkeletonLines lines={8} /> : older.error === null && !older.loading && !older.cut && (
          <EmptyState icon={ScrollText} title={t(filtered ? "none" : "empty")} action={filtered && <Button small onClick={() => go("/logs")}>{t("clear")}</Button>}>{t(filtered ? "none_text" : "empty_text")}</EmptyState>
        )}
      </div>
      <div className={s.foot} role="status">
        <span>{t("shown", { count: rows.length })}</span>
        {older.loading && rows.length > 0 ? <span>{t("older")}</span>
          : records.full ? <span>{t("full", { count: rows.length })}</span>
            : older.cut ? <><span className={s.warn}>{t("cut")}</span>{older.next && <Button small onClick={() => void load(records, older.next ?? null)}>{t("look")}</Button>}</>
              : older.next === null && rows.length > 0 && <span>{t("end")}</span>}
      </div>
    </div>
  );
}
