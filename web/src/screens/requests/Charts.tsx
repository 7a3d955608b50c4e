/* Requests, failures, tokens, latency and cost over time, by model or provider. A span in which nothing happened has
 * no requests (0) but no latency either (a gap). */
import { useMemo, useState } from "react";
import type { SwitchStatsRow } from "../../api";
import { useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { DataChart } from "../../ui/DataChart";
import { Card, ErrorState, Note, Select, SkeletonLines } from "../../ui";
import s from "./requests.module.css";
import { text } from "./text";

const HOUR = 3_600_000, DAY = 24 * HOUR, MOST = 7;
const ranges = { day: { by: "hour", span: DAY }, week: { by: "hour", span: 7 * DAY }, month: { by: "day", span: 30 * DAY } } as const;
type Range = keyof typeof ranges;
type Group = "model" | "provider" | "none";

interface Line {
  name: string;
  rows: Map<number, SwitchStatsRow>;
  requests: number;
}

export function Charts() {
  const t = useText(text);
  const f = useFormat();
  const [range, setRange] = useState<Range>("day");
  const [group, setGroup] = useState<Group>("model");
  const { by, span } = ranges[range];
  const step = by === "hour" ? HOUR : DAY;
  // The window moves by whole spans, so that the key of the query stays the same within one.
  const since = Math.floor(Date.now() / step) * step - span + step;
  const stats = useApi("switch.stats", { params: { by, group, since }, refetchInterval: 15_000, placeholderData: (old) => old });
  const times = useMemo(() => Array.from({ length: span / step }, (_, i) => since + i * step), [since, span, step]);
  const lines = useMemo<Line[]>(() => {
    const map = new Map<string, Line>();
    for (const row of stats.data?.rows ?? []) {
      const name = group === "none" ? t("chart.all") : (group === "model" ? row.model : row.provider) ?? t("chart.nobody");
      const line = map.get(name) ?? { name, rows: new Map<number, SwitchStatsRow>(), requests: 0 };
      line.rows.set(row.at, row);
      line.requests += row.requests;
      map.set(name, line);
    }
    return [...map.values()].sort((a, b) => b.requests - a.requests).slice(0, MOST);
  }, [stats.data, group, t]);
  if (stats.error && !stats.data) return <ErrorState error={stats.error} onRetry={() => void stats.refetch()} />;

  const series = (value: (row: SwitchStatsRow) => number | null, none: number | null) =>
    lines.map((l) => ({ name: l.name, values: times.map((at) => { const row = l.rows.get(at); return row ? value(row) : none; }) }));
  const currency = stats.data?.currency ?? "USD";
  const number = (n: number) => f.compact(n);
  const chart = { times, sync: "requests", height: 150, empty: t("chart.none") };
  return (
    <Card title={t("charts.title")} actions={
      <div className="row">
        <Select hideLabel label={t("charts.group")} value={group} onChange={setGroup} options={(["model", "provider", "none"] as const).map((g) => ({ value: g, label: t(`group.${g}`) }))} />
        <Select hideLabel label={t("range")} value={range} onChange={setRange} options={(["day", "week", "month"] as const).map((r) => ({ value: r, label: t(`range.${r}`) }))} />
      </div>
    }>
      {!stats.data ? <SkeletonLines lines={4} /> : (
        <>
          {stats.data.truncated && <Note tone="warn">{t("chart.truncated")}</Note>}
          <div className={s.charts}>
            <DataChart title={t("chart.requests")} series={series((r) => r.requests, 0)} format={number} {...chart} />
            <DataChart title={t("chart.tokens")} series={series((r) => r.prompt_tokens === null && r.completion_tokens === null ? null : (r.prompt_tokens ?? 0) + (r.completion_tokens ?? 0), 0)} format={number} {...chart} />
            <DataChart title={t("chart.errors")} series={series((r) => r.failed, 0)} format={number} {...chart} />
            <DataChart title={t("chart.first")} series={series((r) => r.first_token_p50_ms, null)} format={(n) => f.duration(n)} {...chart} />
            <DataChart title={t("chart.total")} series={series((r) => r.total_p95_ms, null)} format={(n) => f.duration(n)} {...chart} />
            <DataChart title={t("chart.cost")} series={series((r) => r.cost, null)} format={(n) => f.money(n, currency)} {...chart} empty={lines.length > 0 ? t("chart.no_cost") : t("chart.none")} />
          </div>
        </>
      )}
    </Card>
  );
}
