/* One report of the doctor: what is wrong first, with what mends it; then all of it by group. */
import { Stethoscope } from "lucide-react";
import type { SupervisorDoctorCheck, SupervisorDoctorReport } from "../../api";
import { useText } from "../../i18n";
import type { Text } from "../../i18n";
import type en from "../../i18n/en/readiness";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, Card, CopyButton, EmptyState, ErrorState, Note, SkeletonLines, Status, Table, Time, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { ChoreBar } from "../chores/Chore";
import type { Chore } from "../chores/Chore";
import { text } from "./text";
import s from "./readiness.module.css";

type Check = SupervisorDoctorCheck;
const rank = { block: 0, warn: 1, info: 2 } as const;
const toneOf = (c: Check) => (c.state === "ok" ? "ok" : c.severity === "block" ? "bad" : c.severity === "warn" ? "warn" : "info");
const keyOfCheck = (c: Check) => `${c.id} ${c.subject ?? ""}`;
export const verdictTone = { ready: "ok", ready_with_warnings: "warn", not_ready: "bad" } as const;

export function Checks({ doctor, report, onLatest }: { doctor: Chore; report: string | null; onLatest: () => void }) {
  const t = useText(text);
  const latest = useApi("supervisor.doctor_reports", { params: { limit: 1 }, refetchInterval: 30_000 });
  const newest = latest.data?.reports[0]?.id ?? null;
  const id = report ?? newest;
  const whole = useApi("supervisor.doctor_report", { params: { id: id ?? "" }, enabled: id !== null, staleTime: Infinity, retry: false });
  const error = (report === null ? latest.error : null) ?? whole.error;
  return (
    <div className={s.panel}>
      <ChoreBar chore={doctor} label={t("run")} icon={Stethoscope} />
      {report !== null && newest !== null && report !== newest && <Note><span className="row-wrap">{t("old_report")}<Button small onClick={onLatest}>{t("to_latest")}</Button></span></Note>}
      {error ? <ErrorState error={error} onRetry={() => { void latest.refetch(); if (id !== null) void whole.refetch(); }} />
        : latest.data && id === null ? <EmptyState icon={Stethoscope} title={t("never")}>{t("never_text")}</EmptyState>
          : whole.data ? <Report r={whole.data} /> : <SkeletonLines lines={10} />}
    </div>
  );
}

function saidOf(t: Text<typeof en>, r: SupervisorDoctorReport): string {
  const parts = [
    r.blocking > 0 && t("count.blocking", { count: r.blocking }), r.warnings > 0 && t("count.warnings", { count: r.warnings }),
    r.notes > 0 && t("count.notes", { count: r.notes }), r.unknown > 0 && t("count.unknown", { count: r.unknown }),
  ].filter((x): x is string => x !== false);
  return parts.length > 0 ? `${parts.join(", ")}.` : t("all_fine");
}

function Report({ r }: { r: SupervisorDoctorReport }) {
  const t = useText(text);
  const f = useFormat();
  const wrong = r.checks.filter((c) => c.state !== "ok").sort((a, b) => rank[a.severity] - rank[b.severity]);
  const groups = [...new Set(r.checks.map((c) => c.group))];
  const tone = verdictTone[r.verdict];
  const columns: Column<Check>[] = [
    { id: "state", header: t("c.state"), width: "8.5rem", cell: (c) => <Status tone={toneOf(c)}>{t(`state.${c.state}`)}</Status>, sort: (c) => (c.state === "ok" ? 9 : rank[c.severity]) },
    { id: "check", header: t("c.check"), cell: (c) => <span className={s.words}>{c.title}{c.subject !== null && <> <code className="wrap-any">{c.subject}</code></>}</span>, sort: (c) => c.title },
    { id: "measured", header: t("c.measured"), cell: (c) => <span className={s.words}>{c.measured ?? <Unknown reason={c.reason ?? t("c.nothing")} />}</span>, hide: "narrow", width: "26%" },
    { id: "limit", header: t("c.limit"), cell: (c) => <span className={s.words}>{c.limit ?? <span className="soft">{t("c.no_limit")}</span>}</span>, hide: "narrow", width: "18%" },
    { id: "time", header: t("c.time"), cell: (c) => f.duration(c.duration_ms), sort: (c) => c.duration_ms, align: "end", hide: "medium", width: "6rem" },
  ];
  return (
    <>
      <div className={s.verdict} data-tone={tone} role="status">
        <h2><Status tone={tone}>{t(`verdict.${r.verdict}`)}</Status></h2>
        <p>{saidOf(t, r)}</p>
        <p className="soft"><Time at={r.at} />. {t("said", { count: r.checks.length, time: f.duration(r.duration_ms), origin: t(`origin.${r.origin}`), version: r.version })}</p>
      </div>
      {r.not_kept !== null && <Note tone="warn">{t("not_kept", { reason: r.not_kept })}</Note>}
      {wrong.length > 0 && (
        <Card title={t("wrong")}>
          <ul className={s.wrong}>{wrong.map((c) => <Wrong key={keyOfCheck(c)} c={c} />)}</ul>
        </Card>
      )}
      {r.fixes.length > 0 && (
        <Card title={t("fixes")}>
          <ul className={s.wrong}>{r.fixes.map((x, i) => <li key={i}><Status tone={x.ok ? "ok" : "bad"}>{x.action}{x.reason !== null && `: ${x.reason}`}</Status></li>)}</ul>
        </Card>
      )}
      {groups.map((g) => {
        const rows = r.checks.filter((c) => c.group === g);
        return (
          <Card key={g} flush title={t(`group.${g}`)} actions={<span className="soft">{t("fine", { count: rows.filter((c) => c.state === "ok").length })}</span>}>
            <Table label={t(`group.${g}`)} columns={columns} rows={rows} rowKey={keyOfCheck} initialSort={{ column: "state", down: false }} />
          </Card>
        );
      })}
    </>
  );
}

function Wrong({ c }: { c: Check }) {
  const t = useText(text);
  return (
    <li>
      <div className="row-wrap">
        <Status tone={toneOf(c)}><strong>{c.title}</strong></Status>
        {c.subject !== null && <code className="wrap-any">{c.subject}</code>}
        <Badge tone={c.severity === "block" ? "bad" : c.severity === "warn" ? "warn" : "info"}>{t(`severity.${c.severity}`)}</Badge>
        {c.state === "unknown" && <Badge>{t("state.unknown")}</Badge>}
        {c.fixable && <Badge tone="accent">{t("c.fixable")}</Badge>}
      </div>
      {c.reason !== null && <p>{c.reason}</p>}
      {(c.measured !== null || c.limit !== null) && (
        <p className="soft">{[c.measured !== null && `${t("c.measured")}: ${c.measured}`, c.limit !== null && `${t("c.limit")}: ${c.limit}`].filter(Boolean).join(". ")}</p>
      )}
      {c.mend !== null && (
        <div className={s.mend}><span className="soft">{t("c.mend")}</span><code className="wrap-any">{c.mend}</code><CopyButton text={c.mend} /></div>
      )}
    </li>
  );
}
