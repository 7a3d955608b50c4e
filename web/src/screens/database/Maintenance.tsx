/* Runs of maintenance, each with what its steps did. */
import { useState } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Wrench } from "lucide-react";
import type { MaintenanceReport, MaintenanceRun } from "../../api";
import { useText } from "../../i18n";
import { call, keyOf, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, CodeBlock, Dialog, EmptyState, ErrorState, KeyValues, Note, SkeletonLines, Status, Table, Unknown, useConfirm } from "../../ui";
import type { Column } from "../../ui";
import { ChoreBar, useChore } from "../chores/Chore";
import { text } from "./text";
import s from "./database.module.css";

const REFRESH = ["supervisor.maintenance_runs", "supervisor.backups", "operator.database"] as const;
const toneOf = { running: "info", done: "ok", failed: "bad", interrupted: "warn" } as const;

export function Maintenance() {
  const t = useText(text);
  const f = useFormat();
  const confirm = useConfirm();
  const [open, setOpen] = useState<MaintenanceRun | null>(null);
  const chore = useChore("maintain", REFRESH);
  const runs = useInfiniteQuery({
    queryKey: keyOf("supervisor.maintenance_runs"),
    queryFn: ({ pageParam, signal }) => call("supervisor.maintenance_runs", { params: { limit: 30, ...(pageParam !== null && { before: pageParam }) }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (x) => x.next_before,
    refetchInterval: 30_000,
  });
  const rows = runs.data?.pages.flatMap((p) => p.runs) ?? [];
  const begin = async () => {
    if (await confirm({ title: t("m.confirm"), text: t("m.confirm_text"), action: t("m.now") })) chore.begin();
  };
  const columns: Column<MaintenanceRun>[] = [
    { id: "at", header: t("m.at"), cell: (r) => <button type="button" className={s.plain} onClick={() => setOpen(r)}>{f.dateTime(r.at)}</button> },
    { id: "state", header: t("m.state"), cell: (r) => <Status tone={toneOf[r.state]}><span className={s.meaning}>{t(`m.state.${r.state}`)}{r.error !== null && `: ${r.error}`}</span></Status> },
    { id: "size", header: t("m.size"), align: "end", cell: (r) => (r.bytes_after === null ? <Unknown reason={t("m.size_unknown")} /> : t("m.from_to", { from: f.bytes(r.bytes_before), to: f.bytes(r.bytes_after) })), hide: "narrow" },
    { id: "rows", header: t("m.rows"), align: "end", cell: (r) => f.number(r.deleted_rows) },
    { id: "archived", header: t("m.archived"), align: "end", cell: (r) => f.number(r.archived_rows), hide: "narrow" },
    { id: "origin", header: t("m.origin"), cell: (r) => <span className="soft">{t(`m.origin.${r.origin}`)}</span>, hide: "narrow" },
  ];
  return (
    <div className={s.panel}>
      <ChoreBar chore={chore} label={t("m.now")} icon={Wrench} onBegin={() => void begin()} />
      {runs.error ? <ErrorState error={runs.error} onRetry={() => void runs.refetch()} /> : !runs.data ? <SkeletonLines lines={6} /> : rows.length === 0 ? (
        <EmptyState icon={Wrench} title={t("m.none")}>{t("m.none_text")}</EmptyState>
      ) : (
        <>
          <Table label={t("tab.maintenance")} columns={columns} rows={rows} rowKey={(r) => r.id} />
          {runs.hasNextPage && <div><Button busy={runs.isFetchingNextPage} onClick={() => void runs.fetchNextPage()}>{t("m.more")}</Button></div>}
        </>
      )}
      <p className="soft">{t("m.full")}</p>
      <CodeBlock text="vx11 db maintain --compact --stop" wrap label={t("m.full")} />
      <Dialog open={open !== null} onClose={() => setOpen(null)} side="right" title={open ? t("m.report", { when: f.dateTime(open.at) }) : ""}>
        {open && <Report id={open.id} error={open.error} />}
      </Dialog>
    </div>
  );
}

function Report({ id, error }: { id: string; error: string | null }) {
  const report = useApi("supervisor.maintenance_report", { params: { id }, retry: false });
  if (report.error) return <div className={s.sheet}>{error !== null && <Note tone="bad">{error}</Note>}<ErrorState error={report.error} onRetry={() => void report.refetch()} /></div>;
  return report.data ? <Inside r={report.data} /> : <SkeletonLines lines={8} />;
}

function Inside({ r }: { r: MaintenanceReport }) {
  const t = useText(text);
  const f = useFormat();
  const change = (from: number, to: number) => t("m.from_to", { from: f.bytes(from), to: f.bytes(to) });
  return (
    <div className={s.sheet}>
      {r.error !== null && <Note tone="bad">{r.error}</Note>}
      {r.tier > 0 && <Note tone="warn">{t("m.tier_text", { tier: r.tier })}</Note>}
      <KeyValues items={[
        [t("m.duration"), f.duration(r.duration_ms)],
        [t("size.file"), change(r.bytes_before, r.bytes_after)],
        [t("m.used"), change(r.used_before, r.used_after)],
        [t("m.wal"), change(r.wal_before, r.wal_after)],
        [t("m.target"), `${f.bytes(r.warn_bytes)}, ${f.bytes(r.target_bytes)}`],
        [t("m.rows"), f.number(r.deleted_rows)],
        [t("m.archived"), `${f.number(r.archived_rows)} (${f.bytes(r.archive_bytes)})`],
        [t("m.hold"), f.duration(r.longest_hold_ms)],
        [t("m.backup"), r.backup === null ? <span key="b" className="soft">{t("m.no_backup")}</span> : <code key="b" className="wrap-any">{r.backup}</code>],
      ]} />
      <h3>{t("m.steps")}</h3>
      <Table label={t("m.steps")} rows={r.steps} rowKey={(x) => x.name} columns={[
        { id: "name", header: t("m.step"), cell: (x) => <Status tone={x.state === "done" ? "ok" : x.state === "failed" ? "bad" : "none"}>{x.name}</Status> },
        { id: "what", header: t("m.step.what"), cell: (x) => <span className={s.meaning}>{[t(`m.step.state.${x.state}`), x.reason ?? x.summary].filter(Boolean).join(": ")}</span> },
        { id: "time", header: t("m.duration"), align: "end", cell: (x) => f.duration(x.duration_ms) },
      ]} />
      <h3>{t("m.tables")}</h3>
      {r.tables.length === 0 ? <p className="soft">{t("m.tables_none")}</p> : (
        <Table label={t("m.tables")} rows={r.tables} rowKey={(x) => x.name} columns={[
          { id: "name", header: t("m.table"), cell: (x) => <span className={s.meaning}>{x.name}{x.error !== null && <Note tone="bad">{x.error}</Note>}</span> },
          { id: "rows", header: t("m.table.rows"), align: "end", cell: (x) => f.number(x.rows + x.children), sort: (x) => x.rows + x.children },
          { id: "archived", header: t("m.table.archived"), align: "end", cell: (x) => (x.archives ? f.number(x.archived) : <span className="soft">{t("m.table.not_archived")}</span>) },
        ]} />
      )}
    </div>
  );
}
