/* Load over time: tension, processors, memory, requests, errors, latency, tokens. One question for all of them. */
import { useMemo } from "react";
import type { OperatorMetricsReply } from "../../api";
import { useFormat } from "../../lib/format";
import { Card, ErrorState, Select, SkeletonLines } from "../../ui";
import { DataChart } from "../../ui/DataChart";
import { RANGES, useMetrics } from "./data";
import type { Range } from "./data";
import { useWords, titled } from "./words";
import s from "./overview.module.css";

export function Charts({ range, onRange }: { range: Range; onRange: (r: Range) => void }) {
  const t = useWords();
  const metrics = useMetrics(range);
  return (
    <Card title={t("load.title")} actions={
      <Select label={t("load.range")} hideLabel value={range} onChange={onRange} options={(Object.keys(RANGES) as Range[]).map((r) => ({ value: r, label: t(`range.${r}`) }))} />
    }>
      {metrics.data ? <>{!metrics.data.engines && <p className="soft">{t("load.no_engines")}</p>}<Grid reply={metrics.data} /></> : metrics.error ? <ErrorState error={metrics.error} onRetry={() => void metrics.refetch()} /> : <SkeletonLines lines={6} />}
    </Card>
  );
}

const NAMES = ["tension", "cpu", "memory", "requests", "errors", "latency_p95", "queue_depth", "tokens"] as const;

function Grid({ reply }: { reply: OperatorMetricsReply }) {
  const t = useWords();
  const f = useFormat();
  const times = useMemo(() => {
    const n = Math.max(0, ...reply.series.map((x) => (x.values as (number | null)[]).length));
    return Array.from({ length: n }, (_, i) => reply.since + i * reply.step_ms);
  }, [reply]);
  // A module has one colour in all of the charts.
  const names = useMemo(() => [...new Set(reply.series.map((x) => x.module))].sort((a, b) => Number(a.includes("/")) - Number(b.includes("/")) || a.localeCompare(b)), [reply]);
  const of = useMemo(() => new Map(NAMES.map((name) => [name, reply.series.filter((x) => x.name === name)
    // A module that has no value in the whole time has no line, and its name would only be in the way.
    .map((x) => ({ name: x.module.includes("/") ? x.module.slice(x.module.indexOf("/") + 1) : titled(x.module), values: x.values as (number | null)[],
      color: `var(--chart-${(names.indexOf(x.module) % 8) + 1})`, dash: names.indexOf(x.module) % 2 === 1 }))
    .filter((x) => x.values.some((v) => v !== null))])), [reply, names]);
  const small = (v: number) => f.number(v, v < 10 ? 2 : v < 100 ? 1 : 0);
  const perSecond = (v: number) => t("chart.per_second", { value: small(v) });
  const note = reply.resolution === "sample" ? undefined : t(reply.resolution === "minute" ? "chart.by_minute" : "chart.by_hour");
  const height = Math.round(9.5 * parseFloat(getComputedStyle(document.documentElement).fontSize));
  const rest = { times, sync: "load", height, empty: t("chart.empty"), ...(note !== undefined && { note }) };
  return (
    <div className={s.charts}>
      <DataChart title={t("chart.tension")} series={of.get("tension") ?? []} format={(v) => f.number(v, 0)} max={100} {...rest} />
      <DataChart title={t("chart.cpu")} series={of.get("cpu") ?? []} format={(v) => f.percent(v / 100, v < 10 ? 1 : 0)} {...rest} />
      <DataChart title={t("chart.memory")} series={of.get("memory") ?? []} format={(v) => f.bytes(v)} {...rest} />
      <DataChart title={t("chart.requests")} series={of.get("requests") ?? []} format={perSecond} {...rest} />
      <DataChart title={t("chart.errors")} series={of.get("errors") ?? []} format={perSecond} {...rest} />
      <DataChart title={t("chart.latency")} series={of.get("latency_p95") ?? []} format={(v) => f.duration(v)} {...rest} />
      <DataChart title={t("chart.queue")} series={of.get("queue_depth") ?? []} format={small} {...rest} />
      <DataChart title={t("chart.tokens")} series={of.get("tokens") ?? []} format={perSecond} {...rest} />
    </div>
  );
}
