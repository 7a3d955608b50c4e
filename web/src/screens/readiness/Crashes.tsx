/* Crash reports: the list, and one with its backtrace. */
import { useState } from "react";
import { HeartPulse } from "lucide-react";
import type { SupervisorForensicReport, SupervisorForensicShow } from "../../api";
import { useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { CodeBlock, Dialog, EmptyState, ErrorState, KeyValues, Note, SkeletonLines, Status, Table, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { text } from "./text";
import s from "./readiness.module.css";

export function Crashes() {
  const t = useText(text);
  const f = useFormat();
  const [open, setOpen] = useState<SupervisorForensicReport | null>(null);
  const list = useApi("supervisor.forensic", { params: { limit: 200 }, refetchInterval: 30_000 });
  if (list.error) return <div className={s.panel}><ErrorState error={list.error} onRetry={() => void list.refetch()} /></div>;
  if (!list.data) return <div className={s.panel}><SkeletonLines lines={6} /></div>;
  const { reports, total, bytes, keep_count, keep_bytes, keep_ms } = list.data;
  const columns: Column<SupervisorForensicReport>[] = [
    { id: "at", header: t("f.at"), cell: (r) => <button type="button" className={s.plain} onClick={() => setOpen(r)}>{f.dateTime(r.at)}</button>, sort: (r) => r.at },
    { id: "module", header: t("f.module"), cell: (r) => r.module, sort: (r) => r.module },
    { id: "signal", header: t("f.signal"), cell: (r) => r.signal ?? <Unknown reason={r.reason ?? t("f.unknown")} />, sort: (r) => r.signal },
    { id: "state", header: t("f.state"), cell: (r) => (
      <Status tone={!r.readable ? "bad" : r.complete ? "ok" : "warn"}><span className={s.words}>{!r.readable ? t("f.unreadable", { reason: r.reason ?? t("f.unknown") }) : r.complete ? t("f.whole") : r.reason ?? t("f.partly")}</span></Status>
    ), hide: "narrow" },
    { id: "version", header: t("f.version"), cell: (r) => r.version ?? <Unknown reason={t("f.unknown")} />, sort: (r) => r.version, hide: "narrow" },
  ];
  return (
    <div className={s.panel}>
      {reports.length === 0 ? <EmptyState icon={HeartPulse} title={t("f.none")}>{t("f.none_text")}</EmptyState> : (
        <>
          <p className="soft">{t("f.sum", { count: total, size: f.bytes(bytes) })}. {t("f.keep", { count: keep_count, size: f.bytes(keep_bytes), time: f.duration(keep_ms) })}</p>
          <Table label={t("tab.crashes")} columns={columns} rows={reports} rowKey={(r) => r.id} initialSort={{ column: "at", down: true }} />
        </>
      )}
      <p className="soft">{t("f.bundle")}</p>
      <CodeBlock text="vx11 forensic bundle" label={t("f.bundle")} />
      <Dialog open={open !== null} onClose={() => setOpen(null)} side="right" title={open ? `${open.module}: ${t("f.open", { when: f.dateTime(open.at) })}` : ""}>
        {open && <One id={open.id} />}
      </Dialog>
    </div>
  );
}

function One({ id }: { id: string }) {
  const show = useApi("supervisor.forensic_report", { params: { id }, staleTime: Infinity, retry: false });
  if (show.error) return <ErrorState error={show.error} onRetry={() => void show.refetch()} />;
  return show.data ? <Inside x={show.data} /> : <SkeletonLines lines={10} />;
}

function Inside({ x }: { x: SupervisorForensicShow }) {
  const t = useText(text);
  const f = useFormat();
  const r = x.report;
  const frames = x.frames.map((k) => `#${String(k.number).padEnd(2)} ${k.function ?? k.address}${k.source !== null ? `  ${k.source}${k.line !== null ? `:${k.line}` : ""}` : k.object !== null ? `  ${k.object}${k.offset !== null ? `+${k.offset}` : ""}` : ""}${k.inlined ? "  (inline)" : ""}`);
  return (
    <div className={s.sheet}>
      <p><strong>{x.summary}</strong></p>
      {r.reason !== null && <Note tone="warn">{r.reason}</Note>}
      <KeyValues items={[
        [t("f.signal"), r.signal ?? <Unknown key="s" reason={t("f.unknown")} />],
        [t("f.pid"), String(r.pid)],
        r.thread !== null && [t("f.thread"), String(r.thread)],
        r.address !== null && [t("f.address"), <code key="a">{r.address}</code>],
        r.sent_by_pid !== null && [t("f.sent_by"), String(r.sent_by_pid)],
        r.request_id !== null && [t("f.request"), <code key="r" className="wrap-any">{r.request_id}</code>],
        [t("f.version"), r.version ?? <Unknown key="v" reason={t("f.unknown")} />],
        r.build_id !== null && [t("f.build"), <code key="b" className="wrap-any">{r.build_id}</code>],
        [t("f.file"), <code key="f" className="wrap-any">{r.file}</code>],
      ]} />
      <h3>{t("f.run")}</h3>
      {x.run === null ? <p className="soft">{t("f.run_none", { reason: x.run_reason ?? t("f.unknown") })}</p> : (
        <p>{x.run.ended_at !== null && t("f.run_text", { time: f.duration(x.run.ended_at - x.run.started_at) })} {x.run.oom && t("f.oom")} {x.run.reason}</p>
      )}
      <h3>{t("f.frames")}</h3>
      {frames.length === 0 ? <p className="soft">{t("f.no_frames")}</p> : <CodeBlock text={frames.join("\n")} label={t("f.frames")} />}
      {x.frames.length > 0 && x.frames.every((k) => k.known_from === "offset") && <p className="soft">{x.frames[0]?.reason ?? t("f.offset")}</p>}
      <h3>{t("f.log")}</h3>
      {x.log.length === 0 ? <p className="soft">{t("f.no_log")}</p> : <CodeBlock text={x.log.join("\n")} label={t("f.log")} />}
      {x.registers.length > 0 && <><h3>{t("f.registers")}</h3><CodeBlock text={x.registers.map((k) => `${k.name.padEnd(4)} ${k.value}`).join("\n")} label={t("f.registers")} /></>}
    </div>
  );
}
