/* The drawing part of the charts, in a chunk of its own: uPlot on a canvas, colours from the page's tokens. */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { timeTicks } from "./scale";
import type { Series } from "./scale";
import styles from "./charts.module.css";

export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 4], [1, 4], [10, 3, 2, 3, 2, 3]];

/** Colours as this element would draw them, whatever CSS they are written in. */
function coloursOf(root: HTMLElement, names: readonly string[]): string[] {
  const probe = document.createElement("span");
  root.append(probe);
  const out = names.map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return out;
}

/** Calls f whenever the theme may have changed. */
function onTheme(f: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const watch = new MutationObserver(f);
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
  media.addEventListener("change", f);
  return () => {
    watch.disconnect();
    media.removeEventListener("change", f);
  };
}

export interface PlotProps {
  series: readonly Series[];
  /** Moments (epoch ms), one for each value. */
  times: readonly number[];
  kind: "line" | "bars";
  format: (value: number) => string;
  tick: (time: number, step: number) => string;
  height: number;
  max?: number | undefined;
  syncKey?: string | undefined;
  /** Index under the crosshair, chosen by keys; null: where the pointer is. */
  index: number | null;
  onIndex: (index: number | null) => void;
}

/* Bars are stacked: each series is drawn as the sum up to it, from the top one down. */
function dataOf({ series, times, kind }: PlotProps): uPlot.AlignedData {
  const x = times.map((t) => t / 1000);
  if (kind === "line") return [x, ...series.map((s) => s.values as (number | null)[])];
  const sums = new Array<number>(times.length).fill(0);
  const rows = series.map((s) => times.map((_, i) => {
    const v = s.values[i] ?? null;
    if (v !== null) sums[i] = (sums[i] ?? 0) + v;
    return v === null ? null : (sums[i] ?? null);
  }));
  return [x, ...rows.reverse()];
}

export default function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const { series, kind, height, max, syncKey, index } = props;
  const names = series.map((s) => s.name).join("\n");

  useEffect(() => {
    const root = box.current;
    if (!root) return;
    const make = () => {
      chart.current?.destroy();
      const n = latest.current.series.length;
      const [grid = "", ink = "", ...colours] = coloursOf(root, [
        "--line", "--soft", ...Array.from({ length: n }, (_, i) => `--chart-${(i % 8) + 1}`),
      ]);
      const px = 0.6875 * parseFloat(getComputedStyle(document.documentElement).fontSize);
      const family = getComputedStyle(root).fontFamily;
      const font = `${px}px ${family}`;
      const order = Array.from({ length: n }, (_, i) => (kind === "bars" ? n - 1 - i : i));
      const bars = uPlot.paths.bars?.({ size: [0.7, 48], gap: 1 });
      chart.current = new uPlot({
        width: Math.max(root.clientWidth, 120), height,
        padding: [8, 10, 0, 0],
        legend: { show: false },
        focus: { alpha: 1 },
        cursor: {
          y: false, drag: { x: false, y: false, setScale: false },
          points: { size: 7 },
          ...(syncKey !== undefined && { sync: { key: syncKey, scales: ["x", null] } }),
        },
        scales: {
          x: {
            time: false,
            ...(kind === "bars" && { range: (_u: uPlot, a: number, b: number): uPlot.Range.MinMax => {
              const t = latest.current.times;
              const half = t.length > 1 ? ((t[1] ?? 0) - (t[0] ?? 0)) / 2000 : 43_200;
              return [a - half, b + half];
            } }),
          },
          y: { range: (_u, _a, b) => [0, max ?? (b > 0 ? b * 1.08 : 1)] },
        },
        axes: [
          {
            stroke: ink, font, size: px * 2.2, gap: 4,
            grid: { show: false }, ticks: { stroke: grid, size: 4, width: 1 },
            splits: (u, _i, from, to) => {
              const room = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / (px * 7)));
              const { times, kind } = latest.current;
              if (kind === "bars") {
                const every = Math.ceil(times.length / room);
                return times.filter((_, i) => i % every === 0).map((t) => t / 1000);
              }
              return timeTicks(from * 1000, to * 1000, room).map((t) => t / 1000);
            },
            values: (_u, splits) => {
              const step = ((splits[1] ?? 0) - (splits[0] ?? 0)) * 1000;
              return splits.map((s) => latest.current.tick(s * 1000, step));
            },
          },
          {
            stroke: ink, font, gap: 6,
            grid: { stroke: grid, width: 1 }, ticks: { show: false }, space: px * 3,
            size: (u, values) => {
              u.ctx.font = `${px * devicePixelRatio}px ${family}`;
              return 14 + Math.max(20, ...(values ?? []).map((v) => u.ctx.measureText(v).width / devicePixelRatio));
            },
            values: (_u, splits) => splits.map((v) => latest.current.format(v)),
          },
        ],
        series: [{}, ...order.map((i) => ({
          stroke: colours[i] ?? ink, width: kind === "bars" ? 0 : 1.75, spanGaps: false,
          ...(kind === "bars" ? { fill: colours[i] ?? ink, points: { show: false }, ...(bars && { paths: bars }) }
            // A lone measurement between gaps is a dot, else it would not be seen.
            : { dash: [...(DASHES[i % DASHES.length] ?? [])], points: { size: 4, filter: lonely } }),
        }))],
        hooks: { setCursor: [(u) => latest.current.onIndex(u.cursor.left === undefined || u.cursor.left < 0 ? null : (u.cursor.idx ?? null))] },
      }, dataOf(latest.current), root);
    };
    make();
    const size = new ResizeObserver(() => {
      const width = Math.max(root.clientWidth, 120);
      if (chart.current && chart.current.width !== width) chart.current.setSize({ width, height });
    });
    size.observe(root);
    const untheme = onTheme(make);
    return () => {
      size.disconnect();
      untheme();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [names, kind, height, max, syncKey]);

  useEffect(() => chart.current?.setData(dataOf(latest.current)), [series, props.times]);

  useEffect(() => {
    const u = chart.current;
    const time = index === null ? undefined : latest.current.times[index];
    if (!u) return;
    if (time === undefined) u.setCursor({ left: -10, top: -10 });
    else u.setCursor({ left: u.valToPos(time / 1000, "x"), top: 10 });
  }, [index]);

  return <div ref={box} className={styles.plot} aria-hidden="true" />;
}

const lonely: uPlot.Series.Points.Filter = (u, i) => {
  const values = u.data[i] ?? [];
  const out: number[] = [];
  for (let k = 0; k < values.length; k++) if (values[k] != null && values[k - 1] == null && values[k + 1] == null) out.push(k);
  return out;
};
