/* Charts over time (uPlot: a canvas, 20 kB) and bars by label (SVG). Both say in words what they show, for whoever
 * does not see them; a gap in the values is a gap in the line. Import lazily or from a screen's own chunk. */
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { RefObject } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useFormat } from "../lib/format";
import { cx } from "./cx";
import s from "./chart.module.css";

export interface Series {
  name: string;
  values: readonly (number | null)[];
  /** A CSS colour; else --chart-1 to 8 by place. */
  color?: string;
  dash?: boolean;
}
const colorOf = (x: Series, i: number) => x.color ?? `var(--chart-${(i % 8) + 1})`;

/** What a CSS colour is right now. */
function resolve(el: HTMLElement, color: string): string {
  const m = /^var\((--[\w-]+)\)$/.exec(color);
  return m?.[1] ? getComputedStyle(el).getPropertyValue(m[1]).trim() : color;
}

/** A value between two gaps makes no line: only such ones are drawn as points. */
function lonely(u: uPlot, i: number, show: boolean): number[] | null {
  if (!show) return null;
  const values = u.data[i] ?? [];
  const out: number[] = [];
  for (let k = 0; k < values.length; k++) if (values[k] != null && values[k - 1] == null && values[k + 1] == null) out.push(k);
  return out;
}

/** Counts up whenever the theme changes, for what is drawn and not styled. */
function useTheme(): number {
  const [n, set] = useState(0);
  useEffect(() => {
    const up = () => set((x) => x + 1);
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const seen = new MutationObserver(up);
    media.addEventListener("change", up);
    seen.observe(document.documentElement, { attributeFilter: ["data-theme", "data-density"] });
    return () => {
      media.removeEventListener("change", up);
      seen.disconnect();
    };
  }, []);
  return n;
}

function useWidth(): [RefObject<HTMLDivElement>, number] {
  const box = useRef<HTMLDivElement>(null);
  const [width, set] = useState(0);
  useLayoutEffect(() => {
    const el = box.current;
    if (!el) return;
    set(Math.floor(el.clientWidth));
    const seen = new ResizeObserver(() => set(Math.floor(el.clientWidth)));
    seen.observe(el);
    return () => seen.disconnect();
  }, []);
  return [box, width];
}

function describe(label: string, series: readonly Series[], format: (n: number) => string): string {
  const parts = series.map((x) => {
    const seen = x.values.filter((v): v is number => v !== null);
    const last = seen.at(-1);
    return last === undefined ? `${x.name}: –` : `${x.name}: ${format(last)} (${format(seen.reduce((a, b) => Math.min(a, b)))} – ${format(seen.reduce((a, b) => Math.max(a, b)))})`;
  });
  return `${label}. ${parts.join("; ")}`;
}

function Legend({ series, at, format, head, hidden, onToggle }: {
  series: readonly Series[]; at: number | null; format: (n: number) => string; head: string | null; hidden: ReadonlySet<string>; onToggle: (name: string) => void;
}) {
  return (
    <div className={s.legend}>
      {series.map((x, i) => {
        const v = at === null ? x.values.findLast((y) => y !== null) : x.values[at];
        return (
          <button key={x.name} type="button" aria-pressed={!hidden.has(x.name)} onClick={() => onToggle(x.name)} className={s.legendItem}>
            <span className={cx(s.swatch, x.dash && s.dashed)} style={{ background: x.dash ? "none" : colorOf(x, i), borderColor: colorOf(x, i) }} />
            <span>{x.name}</span>
            <span className={s.value}>{v === null || v === undefined ? "—" : format(v)}</span>
          </button>
        );
      })}
      {head && <span className={s.head}>{head}</span>}
    </div>
  );
}

export interface TimeChartProps {
  label: string;
  /** Epoch ms of each value. */
  times: readonly number[];
  series: readonly Series[];
  format?: (n: number) => string;
  height?: number;
  /** Bounds of the scale; by the values where absent. The least is 0 unless told. */
  min?: number;
  max?: number;
  fill?: boolean;
  /** Charts of one key share their cursor. */
  sync?: string;
  hideLegend?: boolean;
}

export function TimeChart({ label, times, series, format, height = 180, min = 0, max, fill, sync, hideLegend }: TimeChartProps) {
  const f = useFormat();
  const show = format ?? ((n: number) => f.number(n, 2));
  const [box, width] = useWidth();
  const theme = useTheme();
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const latest = useRef({ show, f });
  latest.current = { show, f };
  const names = series.map((x, i) => `${x.name}\u0000${colorOf(x, i)}\u0000${x.dash ? 1 : 0}`).join("\u0001");
  const data = useMemo<uPlot.AlignedData>(() => [times.map((t) => t / 1000), ...series.map((x) => [...x.values])], [times, series]);
  const first = useRef(data);
  first.current = data;
  useEffect(() => {
    const el = box.current;
    if (!el || width === 0) return;
    const soft = resolve(el, "var(--soft)"), line = resolve(el, "var(--line)");
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const font = `${Math.round(rem * 0.72)}px ${getComputedStyle(el).fontFamily}`;
    const axis: uPlot.Axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const pick = (n: number) => (n % 86_400 === 0 ? latest.current.f.day(n * 1000) : latest.current.f.time(n * 1000).slice(0, 5));
    plot.current = new uPlot({
      width, height, legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, ...(sync !== undefined && { sync: { key: sync, setSeries: false } }) },
      scales: { x: { time: true }, y: { range: (_u, lo, hi) => { const top = max ?? Math.max(hi ?? 0, min) * 1.08; return [Math.min(min, lo ?? min), top > min ? top : min + 1]; } } },
      axes: [
        { ...axis, grid: { show: false }, values: (_u, ticks) => ticks.map((n) => pick(n)), space: rem * 4.5, size: Math.round(rem * 1.6) },
        { ...axis, size: (u, values) => { if (!values) return 40; u.ctx.save(); u.ctx.font = font.replace(/^\d+/, (n) => String(Number(n) * devicePixelRatio)); const w = Math.max(...values.map((x) => u.ctx.measureText(x).width)) / devicePixelRatio; u.ctx.restore(); return Math.ceil(w) + 14; }, values: (_u, ticks) => ticks.map((n) => latest.current.show(n)), space: rem * 2.5 },
      ],
      series: [{}, ...names.split("\u0001").filter(Boolean).map((n): uPlot.Series => {
        const [name = "", color = "", dash] = n.split("\u0000");
        const c = resolve(el, color);
        return { label: name, stroke: c, width: 1.6, spanGaps: false, points: { show: true, size: 4, fill: c, filter: lonely }, ...(dash === "1" && { dash: [5, 4] }), ...(fill && { fill: `color-mix(in srgb, ${c} 14%, transparent)` }) };
      })],
      hooks: { setCursor: [(u) => setAt(u.cursor.idx ?? null)] },
    }, first.current, el);
    return () => {
      plot.current?.destroy();
      plot.current = null;
    };
  }, [box, width > 0, height, names, theme, min, max, fill, sync]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);
  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => {
    series.forEach((x, i) => plot.current?.setSeries(i + 1, { show: !hidden.has(x.name) }));
  }, [series, hidden, theme, width]);
  const toggle = (name: string) => setHidden((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  const time = at === null ? undefined : times[at];
  return (
    <figure className={s.figure}>
      <div ref={box} role="img" aria-label={describe(label, series, show)} className={s.plot} style={{ height }} onPointerLeave={() => setAt(null)} />
      {!hideLegend && <Legend series={series} at={at} format={show} head={time === undefined ? null : f.dateTime(time)} hidden={hidden} onToggle={toggle} />}
    </figure>
  );
}

export interface BarChartProps {
  label: string;
  labels: readonly string[];
  series: readonly Series[];
  format?: (n: number) => string;
  height?: number;
}

/** Bars by label, the series one on another. */
export function BarChart({ label, labels, series, format, height = 180 }: BarChartProps) {
  const f = useFormat();
  const show = format ?? ((n: number) => f.number(n, 2));
  const id = useId();
  const [box, width] = useWidth();
  const [at, setAt] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const shown = series.map((x, i) => ({ ...x, color: colorOf(x, i) })).filter((x) => !hidden.has(x.name));
  const sums = labels.map((_, i) => shown.reduce((n, x) => n + (x.values[i] ?? 0), 0));
  const top = Math.max(...sums, 0) || 1;
  const step = 10 ** Math.floor(Math.log10(top));
  const unit = top / step > 5 ? step * 2 : top / step > 2 ? step : step / 2;
  const ticks = Array.from({ length: Math.floor(top / unit) + 1 }, (_, i) => i * unit);
  const left = 10 + Math.max(...ticks.map((n) => show(n).length)) * 7, foot = 22, head = 8;
  const inner = Math.max(width - left - 8, 0), tall = height - foot - head;
  const slot = labels.length > 0 ? inner / labels.length : inner;
  const bar = Math.min(Math.max(slot * 0.7, 1), 48);
  const y = (n: number) => head + tall - (n / top) * tall;
  const skip = Math.max(1, Math.ceil((Math.max(...labels.map((l) => l.length), 1) * 7 + 8) / Math.max(slot, 1)));
  const toggle = (name: string) => setHidden((old) => {
    const next = new Set(old);
    if (!next.delete(name)) next.add(name);
    return next;
  });
  return (
    <figure className={s.figure}>
      <div ref={box} className={s.plot} style={{ height }} onPointerLeave={() => setAt(null)}>
        <svg width={width} height={height} role="img" aria-labelledby={id}>
          <title id={id}>{describe(label, series, show)}</title>
          {ticks.map((n) => (
            <g key={n}>
              <line x1={left} x2={left + inner} y1={y(n)} y2={y(n)} className={s.gridLine} />
              <text x={left - 6} y={y(n)} textAnchor="end" dominantBaseline="middle" className={s.tick}>{show(n)}</text>
            </g>
          ))}
          {labels.map((l, i) => {
            let from = 0;
            const x = left + slot * i + (slot - bar) / 2;
            return (
              <g key={i} onPointerEnter={() => setAt(i)} opacity={at === null || at === i ? 1 : 0.55}>
                <rect x={left + slot * i} y={head} width={slot} height={tall} fill="transparent" />
                {shown.map((d) => {
                  const v = d.values[i] ?? 0;
                  if (v <= 0) return null;
                  const y1 = y(from + v), h = y(from) - y1;
                  from += v;
                  return <rect key={d.name} x={x} y={y1} width={bar} height={Math.max(h, 0.5)} style={{ fill: d.color }} />;
                })}
                {i % skip === 0 && <text x={left + slot * (i + 0.5)} y={height - 6} textAnchor="middle" className={s.tick}>{l}</text>}
              </g>
            );
          })}
        </svg>
      </div>
      <Legend series={series} at={at} format={show} head={at === null ? null : labels[at] ?? null} hidden={hidden} onToggle={toggle} />
    </figure>
  );
}
