/* Charts over time: lines or stacked bars, the values under the crosshair in words, and the same numbers as a table.
 * Arrow keys move the crosshair; charts with one syncKey share it. */
import { lazy, Suspense, useCallback, useId, useMemo, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import { strings, useText } from "../../i18n";
import { useFormat } from "../../lib/format";
import { factsOf, lastMeasured, nextMeasured } from "./scale";
import type { Series } from "./scale";
import styles from "./charts.module.css";

export type { Series } from "./scale";

const text = strings({ en: () => import("../../i18n/en/charts"), es: () => import("../../i18n/es/charts") });
const Plot = lazy(() => import("./plot"));
const ROWS = 500;

export interface ChartProps {
  title: string;
  series: readonly Series[];
  /** Moment of the first value (epoch ms) and distance between two. */
  since: number;
  step: number;
  /** A value as a person reads it, with its unit. */
  format: (value: number) => string;
  kind?: "line" | "bars";
  height?: number;
  /** Top of the scale, where it is known (a percentage). */
  max?: number;
  syncKey?: string;
  /** Said in place of the chart when nothing was measured. */
  empty?: ReactNode;
  /** A word beside the title. */
  note?: ReactNode;
}

export function TimeChart({ title, series, since, step, format, kind = "line", height = 160, max, syncKey, empty, note }: ChartProps) {
  const t = useText(text);
  const f = useFormat();
  const id = useId();
  const [index, setIndex] = useState<number | null>(null);
  const [byKey, setByKey] = useState<number | null>(null);
  const [table, setTable] = useState(false);
  const n = Math.max(0, ...series.map((s) => s.values.length));
  const times = useMemo(() => Array.from({ length: n }, (_, i) => since + i * step), [n, since, step]);
  const last = useMemo(() => lastMeasured(series), [series]);
  const tick = useCallback((time: number, gap: number) => tickOf(time, gap, f.language), [f]);

  const at = index !== null && index < n ? index : null;
  const shown = at ?? last;
  const moment = (time: number) => (step >= 86_400_000 ? f.day(time) : step * n > 86_400_000 ? `${f.day(time)} ${f.time(time)}` : f.time(time));
  const keys = (e: KeyboardEvent) => {
    const from = at ?? last;
    const to = e.key === "ArrowLeft" ? nextMeasured(series, from, -1) : e.key === "ArrowRight" ? nextMeasured(series, from, 1)
      : e.key === "Home" ? nextMeasured(series, -1, 1) : e.key === "End" ? last : e.key === "Escape" ? null : undefined;
    if (to === undefined) return;
    e.preventDefault();
    setByKey(to);
    setIndex(to);
  };
  const said = at === null || byKey === null ? "" : `${moment(times[at] ?? since)}: ${series.map((s) => `${s.name} ${value(s.values[at])}`).join(", ")}`;
  function value(v: number | null | undefined) {
    return v == null ? t("none") : format(v);
  }

  return (
    <figure className={styles.chart} aria-labelledby={`${id}t`}>
      <figcaption className={styles.head}>
        <h3 id={`${id}t`} className={styles.title}>{title}</h3>
        {note !== undefined && <span className={styles.note}>{note}</span>}
        {last >= 0 && (
          <button type="button" className={styles.toggle} aria-pressed={table} onClick={() => setTable(!table)} aria-label={t("tableOf", { title })}>
            {table ? t("chart") : t("table")}
          </button>
        )}
      </figcaption>
      {last < 0 ? <p className={styles.empty}>{empty ?? t("empty")}</p> : table ? (
        <DataTable title={title} series={series} times={times} moment={moment} value={value} />
      ) : (
        <>
          <ul className={styles.legend}>
            {series.map((s, i) => (
              <li key={s.name}>
                <Swatch i={i} kind={kind} />
                <span className={styles.name}>{s.name}</span>
                <span className={styles.value}>{value(s.values[shown])}</span>
              </li>
            ))}
            <li className={styles.when}>{moment(times[shown] ?? since)}</li>
          </ul>
          <div
            className={styles.field} tabIndex={0} role="group" aria-label={t("field", { title })} aria-describedby={`${id}d`}
            onKeyDown={keys} onBlur={() => { setByKey(null); setIndex(null); }}
          >
            <Suspense fallback={<div style={{ height }} />}>
              <Plot series={series} times={times} kind={kind} format={format} tick={tick} height={height} max={max} syncKey={syncKey} index={byKey} onIndex={setIndex} />
            </Suspense>
            <p id={`${id}d`} className="visually-hidden">
              {series.map((s) => {
                const facts = factsOf(s.values);
                return `${s.name}: ${t("facts", { latest: value(facts.latest), least: value(facts.least), most: value(facts.most) })}`;
              }).join(" ")}
            </p>
            <p className="visually-hidden" aria-live="polite">{said}</p>
          </div>
        </>
      )}
    </figure>
  );
}

function tickOf(time: number, gap: number, language: string): string {
  const d = new Date(time);
  if (gap >= 86_400_000) return d.toLocaleDateString(language, { month: "short", day: "numeric" });
  const clock = d.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(gap < 60_000 && { second: "2-digit" }) });
  return clock === "00:00" ? d.toLocaleDateString(language, { month: "short", day: "numeric" }) : clock;
}

const STROKES = ["", "6 3", "2 3", "8 3 2 3", "12 4", "4 4", "1 4", "10 3 2 3 2 3"];

function Swatch({ i, kind }: { i: number; kind: "line" | "bars" }) {
  const colour = { "--swatch": `var(--chart-${(i % 8) + 1})` } as React.CSSProperties;
  return (
    <svg className={styles.swatch} style={colour} width="20" height="10" aria-hidden="true">
      {kind === "bars" ? <rect x="5" y="0" width="10" height="10" rx="2" fill="var(--swatch)" /> : (
        <line x1="0" y1="5" x2="20" y2="5" stroke="var(--swatch)" strokeWidth="2.5" strokeDasharray={STROKES[i % STROKES.length]} />
      )}
    </svg>
  );
}

function DataTable({ title, series, times, moment, value }: {
  title: string; series: readonly Series[]; times: readonly number[]; moment: (t: number) => string; value: (v: number | null | undefined) => string;
}) {
  const t = useText(text);
  const rows = times.map((_, i) => i).filter((i) => series.some((s) => s.values[i] != null)).reverse();
  return (
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={title}>
      <table className={styles.table}>
        <thead><tr><th scope="col">{t("time")}</th>{series.map((s) => <th key={s.name} scope="col">{s.name}</th>)}</tr></thead>
        <tbody>
          {rows.slice(0, ROWS).map((i) => (
            <tr key={i}><th scope="row">{moment(times[i] ?? 0)}</th>{series.map((s) => <td key={s.name}>{value(s.values[i])}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
