/* The database: how big it is and how it grows, its tables by module, and how they hang together. */
import { useMemo, useRef, useState } from "react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useLocation, useSearch } from "wouter";
import { Archive, Database as Icon, Network, Search, Wrench } from "lucide-react";
import type { OperatorDatabaseReply } from "../../api";
import { useCommands } from "../../app/commands";
import { useText } from "../../i18n";
import { call, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Card, CopyButton, EmptyState, ErrorState, Meter, Page, SearchField, Select, Skeleton, SkeletonLines, Table, Tabs, Time, Tooltip, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { DataChart } from "../../ui/DataChart";
import { Backups } from "./Backups";
import { Maintenance } from "./Maintenance";
import { Sheet } from "./Sheet";
import { TableMap } from "./TableMap";
import type { Table as Tab } from "./graph";
import { useKept } from "./kept";
import { text } from "./text";
import s from "./database.module.css";

const RANGES = { "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000 } as const;
type Range = keyof typeof RANGES;
const VIEWS = ["tables", "map", "backups", "maintenance"] as const;
type View = (typeof VIEWS)[number];

export default function Database() {
  const t = useText(text);
  const db = useApi("operator.database", { refetchInterval: 30_000 });
  const [, go] = useLocation();
  const p = new URLSearchParams(useSearch());
  const tab = VIEWS.find((v) => v === p.get("view")) ?? "tables";
  const at = (view: View, table: string | null) => {
    const q = new URLSearchParams();
    if (view !== "tables") q.set("view", view);
    if (table !== null) q.set("table", table);
    go(`/database${q.size > 0 ? `?${q.toString()}` : ""}`);
  };
  const open = (name: string | null) => at(tab, name);
  const find = useRef<HTMLInputElement>(null);
  useCommands(() => [
    { id: "database.find", label: t("cmd_find"), icon: Search, keys: "/", run: () => { at("tables", null); requestAnimationFrame(() => find.current?.focus()); } },
    { id: "database.map", label: t("cmd_map"), icon: Network, keys: "m", run: () => at("map", null) },
    { id: "database.backups", label: t("tab.backups"), icon: Archive, keys: "b", run: () => at("backups", null) },
    { id: "database.maintenance", label: t("tab.maintenance"), icon: Wrench, run: () => at("maintenance", null) },
  ], [t]);
  const tables = db.data?.tables ?? [];
  return (
    <Page title={t("title")} actions={db.data && <span className="soft">{t("measured")} <Time at={db.data.measured_at} /></span>}>
      {db.error && <ErrorState error={db.error} onRetry={() => void db.refetch()} />}
      {db.data ? <Sizes db={db.data} /> : !db.error && <Skeleton height="4.5rem" />}
      {(tab === "tables" || tab === "map") && <Growth />}
      <Tabs label={t("title")} value={tab} onChange={(v) => at(v, null)} tabs={[
        { id: "tables", label: t("tab.tables"), panel: () => (db.data ? <Groups tables={tables} onOpen={open} field={find} /> : !db.error && <SkeletonLines lines={8} />) },
        { id: "map", label: t("tab.map"), panel: () => (db.data ? <div className={s.panel}><TableMap tables={tables} onOpen={open} /></div> : !db.error && <SkeletonLines lines={8} />) },
        { id: "backups", label: t("tab.backups"), panel: () => <Backups /> },
        { id: "maintenance", label: t("tab.maintenance"), panel: () => <Maintenance /> },
      ]} />
      <Sheet table={tables.find((x) => x.name === p.get("table")) ?? null} tables={tables} onOpen={open} onClose={() => open(null)} />
    </Page>
  );
}

function Sizes({ db }: { db: OperatorDatabaseReply }) {
  const t = useText(text);
  const f = useFormat();
  const share = db.size_bytes > 0 ? t("size.free_of", { percent: f.percent(db.free_bytes / db.size_bytes, 1) }) : "";
  const items: [string, React.ReactNode][] = [
    [t("size.file"), f.bytes(db.size_bytes)],
    [t("size.wal"), f.bytes(db.wal_bytes)],
    [t("size.free"), share ? <Tooltip key="f" text={share}><span tabIndex={0} role="note">{f.bytes(db.free_bytes)}</span></Tooltip> : f.bytes(db.free_bytes)],
    [t("size.tables"), f.number(db.tables.length)],
    [t("size.rows"), f.number(db.tables.reduce((n, x) => n + x.rows, 0))],
    [t("size.schema"), db.schema_version === null ? <Unknown reason={t("size.no_schema")} /> : f.number(db.schema_version)],
  ];
  return (
    <>
      <dl className={s.numbers}>{items.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
      <p className={s.path}><span className="soft">{t("path")}</span> <code className="wrap-any">{db.path}</code> <CopyButton text={db.path} /></p>
    </>
  );
}

function Growth() {
  const t = useText(text);
  const f = useFormat();
  const [range, setRange] = useState<Range>("24h");
  const growth = useQuery({
    queryKey: ["operator.database_growth", range],
    queryFn: ({ signal }) => call("operator.database_growth", { params: { since: Date.now() - RANGES[range] }, signal }),
    refetchInterval: 60_000, placeholderData: keepPreviousData, retry: false,
  });
  const g = growth.data;
  const chart = useMemo(() => {
    if (!g) return null;
    const size = g.size as (number | null)[];
    return { times: size.map((_, i) => g.since + i * g.step_ms), size, wal: g.wal as (number | null)[], free: g.free as (number | null)[] };
  }, [g]);
  return (
    <Card title={t("growth")} actions={<Select label={t("growth.range")} hideLabel value={range} onChange={setRange} options={(Object.keys(RANGES) as Range[]).map((r) => ({ value: r, label: t(`growth.${r}`) }))} />}>
      {chart ? (
        <DataChart title={t("growth.chart")} times={chart.times} height={170} format={(v) => f.bytes(v)} empty={t("growth.empty")} series={[
          { name: t("growth.size"), values: chart.size }, { name: t("growth.wal"), values: chart.wal, dash: true }, { name: t("growth.free"), values: chart.free },
        ]} />
      ) : growth.error ? <ErrorState error={growth.error} onRetry={() => void growth.refetch()} /> : <Skeleton height="12rem" />}
    </Card>
  );
}

const bytesOf = (x: Tab): number | null => (x.bytes === null ? null : x.bytes + (x.index_bytes ?? 0));

function Groups({ tables, onOpen, field }: { tables: readonly Tab[]; onOpen: (name: string) => void; field: React.Ref<HTMLInputElement> }) {
  const t = useText(text);
  const f = useFormat();
  const kept = useKept();
  const [q, setQ] = useState("");
  const word = q.trim().toLowerCase();
  const shown = tables.filter((x) => word === "" || [x.name, x.comment ?? "", ...x.columns.flatMap((c) => [c.name, c.comment ?? ""])].some((v) => v.toLowerCase().includes(word)));
  const groups = [...new Set(shown.map((x) => x.module))].sort((a, b) => Number(b === "core") - Number(a === "core") || a.localeCompare(b));
  const all = tables.reduce((n, x) => n + (bytesOf(x) ?? 0), 0);
  const columns: Column<Tab>[] = [
    { id: "name", header: t("t.name"), width: "34%", cell: (x) => <button type="button" className={s.plain} onClick={() => onOpen(x.name)} aria-label={t("t.open", { name: x.name })}>{x.name}</button>, sort: (x) => x.name },
    { id: "rows", header: t("t.rows"), cell: (x) => f.number(x.rows), sort: (x) => x.rows, align: "end", width: "12%" },
    { id: "bytes", header: t("t.bytes"), cell: (x) => { const b = bytesOf(x); return b === null ? <Unknown reason={t("no_bytes")} /> : f.bytes(b); }, sort: bytesOf, align: "end", width: "14%" },
    { id: "share", header: t("t.share"), cell: (x) => { const b = bytesOf(x); return b === null || all === 0 ? null : <Meter label={t("t.share_of", { name: x.name })} value={b} max={all} text={f.percent(b / all, 1)} />; }, hide: "narrow", width: "18%" },
    { id: "kept", header: t("t.retention"), cell: (x) => <span className="soft">{kept(x)}</span>, sort: (x) => x.retention?.max_age_ms ?? null, hide: "narrow", width: "22%" },
  ];
  return (
    <div className={s.groups}>
      <div className="row"><SearchField ref={field} label={t("filter")} value={q} onChange={setQ} /></div>
      {shown.length === 0 && <EmptyState icon={Icon} title={t("empty")}>{t("empty_text")}</EmptyState>}
      {groups.map((module) => {
        const rows = shown.filter((x) => x.module === module);
        const bytes = rows.reduce((n, x) => n + (bytesOf(x) ?? 0), 0);
        return (
          <Card key={module} flush title={module === "core" ? t("group.core") : module.charAt(0).toUpperCase() + module.slice(1)}
            actions={<span className="soft">{t("group.of", { count: rows.length })}{bytes > 0 && `, ${f.bytes(bytes)}`}</span>}>
            <Table label={module} columns={columns} rows={rows} rowKey={(x) => x.name} initialSort={{ column: "bytes", down: true }} />
          </Card>
        );
      })}
    </div>
  );
}
