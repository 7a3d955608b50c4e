/* The timeline: what happened, newest first, by the minute. New events come in over the page's one stream; while one points at
 * the list or has the focus in it, they wait. Older pages on demand. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ArrowUp, Pause, Play } from "lucide-react";
import type { LinkEvent } from "../../api";
import { common } from "../../i18n/common";
import { useText } from "../../i18n";
import { call } from "../../lib/api";
import { useEvents, useEventsState } from "../../lib/events";
import { useFormat } from "../../lib/format";
import { Button, Card, CodeBlock, EmptyState, ErrorState, IconButton, Select, SkeletonLines, Status } from "../../ui";
import { byMinute, moduleOf, Timeline } from "./timeline";
import type { Minute } from "./timeline";
import { sayEvent, titled, useWords } from "./words";
import s from "./overview.module.css";

const TYPES: readonly LinkEvent["type"][] = [
  "system.alert", "module.run", "module.state.changed", "hermes.model.load", "hermes.model.pull", "switch.tension.updated",
  "madre.decision.explained", "shub.action.narrated", "system.correlation.updated", "forensic.snapshot.created",
];
const PAGE = 50;
type Type = LinkEvent["type"] | "";

export function Events({ modules }: { modules: readonly string[] }) {
  const t = useWords();
  const c = useText(common);
  const stream = useEventsState();
  const [type, setType] = useState<Type>("");
  const [module, setModule] = useState("");
  const [line, setLine] = useState(() => new Timeline());
  const [, redraw] = useState(0);
  const [older, setOlder] = useState<{ before: string | null; loading: boolean; error: unknown; asked: boolean }>({ before: null, loading: true, error: null, asked: false });
  const [held, setHeld] = useState(false); // by its button
  const [looking, setLooking] = useState(false); // by pointer or focus
  const waiting = useRef<LinkEvent[]>([]);
  const box = useRef<HTMLDivElement>(null);
  const current = useRef(line);

  const fits = useCallback((e: LinkEvent) => (type === "" || e.type === type) && (module === "" || moduleOf(e) === module), [type, module]);
  const load = useCallback(async (into: Timeline, before: string | null, signal?: AbortSignal) => {
    setOlder((o) => ({ ...o, loading: true, error: null }));
    try {
      const reply = await call("link.event_history", {
        params: { limit: PAGE, ...(type !== "" && { type }), ...(module !== "" && { q: module }), ...(before !== null && { before }) }, ...(signal && { signal }),
      });
      into.add(reply.events.filter(fits));
      if (into === current.current) setOlder({ before: reply.next_before, loading: false, error: null, asked: true });
      return true;
    } catch (error) {
      if (signal?.aborted !== true && into === current.current) setOlder((o) => ({ ...o, loading: false, error }));
      return false;
    }
  }, [type, module, fits]);

  // Another filter is another timeline.
  useEffect(() => {
    const fresh = new Timeline();
    current.current = fresh;
    waiting.current = [];
    setLine(fresh);
    setOlder({ before: null, loading: true, error: null, asked: false });
    const abort = new AbortController();
    void load(fresh, null, abort.signal);
    return () => abort.abort();
  }, [load]);

  // The stream goes on where it stopped; what was before its first byte is in the history.
  const opened = useRef(false);
  useEffect(() => {
    if (stream !== "open") return;
    if (opened.current) return;
    opened.current = true;
    const timer = setTimeout(() => void call("link.event_history", { params: { limit: PAGE } }).then((r) => {
      if (current.current.add(r.events.filter(fits))) redraw((n) => n + 1);
    }, () => undefined), 500);
    return () => clearTimeout(timer);
  }, [stream, fits]);

  const still = held || looking;
  useEvents((e) => {
    if (!fits(e)) return;
    if (still) waiting.current.push(e);
    else line.add([e]);
    redraw((n) => n + 1);
  });
  const release = useCallback(() => {
    if (waiting.current.length > 0) line.add(waiting.current);
    waiting.current = [];
    redraw((n) => n + 1);
  }, [line]);
  useEffect(() => {
    if (!still) release();
  }, [still, release]);
  const toTop = () => {
    release();
    box.current?.scrollTo({ top: 0 });
  };

  const events = line.all();
  const minutes = useMemo(() => byMinute(events), [events]);
  const news = waiting.current.length;
  const filtered = type !== "" || module !== "";
  const tone = stream === "open" ? "ok" : stream === "connecting" ? "info" : stream === "waiting" ? "warn" : "none";
  return (
    <Card title={t("events.title")} flush className={s.events ?? ""} actions={
      <>
        <span className={s.live} data-testid="events-state"><Status tone={tone}>{c(`state.${stream}`)}</Status></span>
        <IconButton small icon={held ? Play : Pause} label={held ? t("events.resume") : t("events.pause")} aria-pressed={held} onClick={() => setHeld(!held)} />
      </>
    }>
      <div className={s.filters}>
        <Select label={t("events.type")} hideLabel value={type} onChange={setType} options={[{ value: "", label: t("events.all_types") }, ...TYPES.map((x) => ({ value: x, label: t(`type.${x}`) }))]} />
        <Select label={t("events.module")} hideLabel value={module} onChange={setModule} options={[{ value: "", label: t("events.all_modules") }, ...modules.map((x) => ({ value: x, label: titled(x) }))]} />
      </div>
      <div className={s.timelineBox}>
        {news > 0 && <Button small kind="primary" icon={ArrowUp} className={s.news} onClick={toTop}>{t("events.new", { count: news })}</Button>}
        <div ref={box} className={s.timeline} tabIndex={0} role="region" aria-label={t("events.list")} data-held={still || undefined}
          onPointerEnter={(e) => { if (e.pointerType !== "touch") setLooking(true); }} onPointerLeave={() => { if (!box.current?.contains(document.activeElement)) setLooking(false); }}
          onFocus={() => setLooking(true)} onBlur={(e) => { if (!e.currentTarget.contains(e.relatedTarget)) setLooking(false); }}>
          {events.length === 0 && !older.asked && older.error === null && <div className={s.padded}><SkeletonLines lines={5} /></div>}
          {events.length === 0 && older.asked && !older.loading && older.before === null && (
            <EmptyState title={t(filtered ? "events.none" : "events.empty")}>{t(filtered ? "events.none_text" : "events.empty_text")}</EmptyState>
          )}
          {minutes.map((m, i) => <MinuteOf key={`${m.at} ${i}`} at={m.at} events={m.events} before={minutes[i - 1]?.at} />)}
          {older.error !== null && <div className={s.padded}><ErrorState error={older.error} onRetry={() => void load(line, older.before).then(() => redraw((n) => n + 1))} /></div>}
          {older.asked && older.error === null && (older.before !== null ? (
            <div className={s.more}><Button small busy={older.loading} onClick={() => void load(line, older.before).then(() => redraw((n) => n + 1))}>{t("events.older")}</Button></div>
          ) : events.length > 0 && <p className={s.end}>{t("events.end")}</p>)}
        </div>
      </div>
    </Card>
  );
}

function MinuteOf({ at, events, before }: { at: number; events: Minute["events"]; before: number | undefined }) {
  const f = useFormat();
  const day = new Date(at).toDateString();
  const newDay = before === undefined ? day !== new Date().toDateString() : day !== new Date(before).toDateString();
  return (
    <section className={s.minute}>
      <h3><time dateTime={new Date(at).toISOString()}>{newDay ? `${f.date(at)}, ` : ""}{f.time(at).slice(0, 5)}</time></h3>
      <ul>{events.map((e) => <EventRow key={e.event.id} {...e} />)}</ul>
    </section>
  );
}

function EventRow({ event, steps }: Minute["events"][number]) {
  const t = useWords();
  const f = useFormat();
  const [open, setOpen] = useState(false);
  const said = sayEvent(t, f, event);
  return (
    <li className={s.event} data-type={event.type}>
      <details onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>
          <Status tone={said.tone}><span className={s.eventText}>{said.text}{steps > 1 && <span className="soft"> {t("events.steps", { count: steps })}</span>}</span></Status>
          <time className={s.seconds} dateTime={new Date(event.timestamp).toISOString()}>{f.time(event.timestamp)}</time>
        </summary>
        {open && <CodeBlock wrap label={t("events.raw")} text={JSON.stringify({ id: event.id, type: event.type, source: event.source, ...(event.payload as object) }, null, 2)} />}
      </details>
    </li>
  );
}
