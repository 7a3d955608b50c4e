/* What a chart's numbers say in words, and how its points are chosen for a table. No drawing here. */

/** Named values at regular moments; null is a gap, never a zero. */
export interface Series {
  name: string;
  values: readonly (number | null)[];
}

export interface Facts {
  latest: number | null;
  least: number | null;
  most: number | null;
  measured: number;
}

export function factsOf(values: readonly (number | null)[]): Facts {
  const facts: Facts = { latest: null, least: null, most: null, measured: 0 };
  for (const v of values) {
    if (v === null) continue;
    facts.latest = v;
    facts.least = facts.least === null ? v : Math.min(facts.least, v);
    facts.most = facts.most === null ? v : Math.max(facts.most, v);
    facts.measured++;
  }
  return facts;
}

/** Index of the last moment at which any series has a value; -1: none has. */
export function lastMeasured(series: readonly Series[]): number {
  let last = -1;
  for (const s of series) {
    for (let i = s.values.length - 1; i > last; i--) if (s.values[i] != null) last = i;
  }
  return last;
}

/** Index of the nearest moment with a value, from i in direction d (1, -1); i when there is none. */
export function nextMeasured(series: readonly Series[], i: number, d: 1 | -1): number {
  const n = Math.max(0, ...series.map((s) => s.values.length));
  for (let k = i + d; k >= 0 && k < n; k += d) if (series.some((s) => s.values[k] != null)) return k;
  return i;
}

/** Ticks of a time axis, on round local times: at most about `room` of them. */
export function timeTicks(from: number, to: number, room: number): number[] {
  const steps = [1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800].map((s) => s * 1000);
  const step = steps.find((s) => (to - from) / s <= room) ?? 604_800_000;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const out: number[] = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) out.push(t);
  return out;
}
