/* Every look of the doctor that is kept. */
import { useMemo } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Stethoscope } from "lucide-react";
import type { SupervisorDoctorSummary } from "../../api";
import { useText } from "../../i18n";
import { call, keyOf } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, Card, EmptyState, ErrorState, SkeletonLines, Status, Table } from "../../ui";
import type { Column } from "../../ui";
import { DataChart } from "../../ui/DataChart";
import { verdictTone } from "./Checks";
import { text } from "./text";
import s from "./readiness.module.css";

export function History({ onOpen }: { onOpen: (id: string) => void }) {
  const t = useText(text);
  const f = useFormat();
  const list = useInfiniteQuery({
    queryKey: [...keyOf("supervisor.doctor_reports"), "pages"],
    queryFn: ({ pageParam, signal }) => call("supervisor.doctor_reports", { params: { limit: 100, ...(pageParam !== null && { before: pageParam }) }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (x) => x.next_before,
    refetchInterval: 60_000,
  });
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.reports) ?? [], [list.data]);
  const line = useMemo(() => [...rows].reverse(), [rows]);
  if (list.error) return <div className={s.panel}><ErrorState error={list.error} onRetry={() => void list.refetch()} /></div>;
  if (!list.data) return <div className={s.panel}><SkeletonLines lines={8} /></div>;
  if (rows.length === 0) return <div className={s.panel}><EmptyState icon={Stethoscope} title={t("h.none")}>{t("h.none_text")}</EmptyState></div>;
  const columns: Column<SupervisorDoctorSummary>[] = [
    { id: "at", header: t("h.at"), cell: (r) => <button type="button" className={s.plain} onClick={() => onOpen(r.id)}>{f.dateTime(r.at)}</button>, sort: (r) => r.at },
    { id: "verdict", header: t("h.verdict"), cell: (r) => <Status tone={verdictTone[r.verdict]}>{t(`verdict.${r.verdict}`)}</Status>, sort: (r) => r.verdict },
    { id: "blocking", header: t("h.blocking"), cell: (r) => f.number(r.blocking), sort: (r) => r.blocking, align: "end" },
    { id: "warnings", header: t("h.warnings"), cell: (r) => f.number(r.warnings), sort: (r) => r.warnings, align: "end" },
    { id: "notes", header: t("h.notes"), cell: (r) => f.number(r.notes), sort: (r) => r.notes, align: "end", hide: "narrow" },
    { id: "unknown", header: t("h.unknown"), cell: (r) => f.number(r.unknown), sort: (r) => r.unknown, align: "end", hide: "narrow" },
    { id: "time", header: t("h.time"), cell: (r) => f.duration(r.duration_ms), sort: (r) => r.duration_ms, align: "end", hide: "narrow" },
    { id: "origin", header: t("h.origin"), cell: (r) => <span className="soft">{t(`origin.${r.origin}`)}</span>, hide: "narrow" },
  ];
  return (
    <div className={s.panel}>
      {line.length > 1 && (
        <Card>
          <DataChart title={t("h.chart")} times={line.map((r) => r.at)} height={150} format={(v) => f.number(v)} empty={t("h.empty")} series={[
            { name: t("h.blocking"), values: line.map((r) => r.blocking) }, { name: t("h.warnings"), values: line.map((r) => r.warnings), dash: true }, { name: t("h.notes"), values: line.map((r) => r.notes) },
          ]} />
        </Card>
      )}
      <Table label={t("tab.history")} columns={columns} rows={rows} rowKey={(r) => r.id} />
      {list.hasNextPage && <div><Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("more")}</Button></div>}
    </div>
  );
}
