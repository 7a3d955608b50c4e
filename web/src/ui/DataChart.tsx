/* A chart over time with a heading and the same numbers as a table, for whoever reads better than sees. The drawing comes
 * in a chunk of its own. */
import { lazy, Suspense, useId, useState } from "react";
import type { ReactNode } from "react";
import { strings, useText } from "../i18n";
import { useFormat } from "../lib/format";
import type { Series, TimeChartProps } from "./Chart";
import s from "./dataChart.module.css";

const text = strings({ en: () => import("../i18n/en/charts"), es: () => import("../i18n/es/charts") });
const TimeChart = lazy(() => import("./Chart").then((m) => ({ default: m.TimeChart })));
const MOST = 500;

export interface DataChartProps extends Omit<TimeChartProps, "label" | "format"> {
  title: string;
  format: (n: number) => string;
  /** Said in place of the chart when nothing was measured. */
  empty?: ReactNode;
  note?: ReactNode;
}

export function DataChart({ title, empty, note, ...chart }: DataChartProps) {
  const t = useText(text);
  const id = useId();
  const [table, setTable] = useState(false);
  const measured = chart.series.some((x) => x.values.some((v) => v !== null));
  return (
    <section className={s.chart} aria-labelledby={id}>
      <div className={s.head}>
        <h3 id={id}>{title}</h3>
        {note !== undefined && <span className={s.note}>{note}</span>}
        {measured && <button type="button" className={s.toggle} aria-pressed={table} aria-label={t("tableOf", { title })} onClick={() => setTable(!table)}>{t("table")}</button>}
      </div>
      {!measured ? <p className={s.empty} style={{ minHeight: chart.height ?? 180 }}>{empty ?? t("empty")}</p>
        : table ? <DataTable title={title} times={chart.times} series={chart.series} format={chart.format} height={chart.height ?? 180} />
          : <Suspense fallback={<div style={{ height: (chart.height ?? 180) + 28 }} />}><TimeChart label={title} {...chart} /></Suspense>}
    </section>
  );
}

function DataTable({ title, times, series, format, height }: { title: string; times: readonly number[]; series: readonly Series[]; format: (n: number) => string; height: number }) {
  const t = useText(text);
  const f = useFormat();
  const days = (times.at(-1) ?? 0) - (times[0] ?? 0) > 86_400_000;
  const rows = times.map((_, i) => i).filter((i) => series.some((x) => x.values[i] != null)).reverse();
  return (
    <div className={s.scroll} style={{ height: height + 28 }} tabIndex={0} role="region" aria-label={title}>
      <table className={s.table}>
        <thead><tr><th scope="col">{t("time")}</th>{series.map((x) => <th key={x.name} scope="col">{x.name}</th>)}</tr></thead>
        <tbody>
          {rows.slice(0, MOST).map((i) => (
            <tr key={i}>
              <th scope="row">{days ? f.dateTime(times[i] ?? 0) : f.time(times[i] ?? 0)}</th>
              {series.map((x) => <td key={x.name}>{x.values[i] == null ? "—" : format(x.values[i])}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
