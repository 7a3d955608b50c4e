/* Numbers, sizes, times in the chosen language. Never hand-made: Intl knows. */
import { useMemo } from "react";
import { languageOf, usePreferences } from "./preferences";
import type { Language } from "./preferences";

const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"] as const;
const steps: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600_000], ["month", 2_629_800_000], ["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1000],
];

export class Format {
  private readonly cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();
  private readonly rtf: Intl.RelativeTimeFormat;
  constructor(readonly language: Language) {
    this.rtf = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  }

  private nf(options: Intl.NumberFormatOptions): Intl.NumberFormat {
    const key = `n${JSON.stringify(options)}`;
    let f = this.cache.get(key) as Intl.NumberFormat | undefined;
    if (!f) this.cache.set(key, (f = new Intl.NumberFormat(this.language, { useGrouping: "always", ...options })));
    return f;
  }
  private df(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
    const key = `d${JSON.stringify(options)}`;
    let f = this.cache.get(key) as Intl.DateTimeFormat | undefined;
    if (!f) this.cache.set(key, (f = new Intl.DateTimeFormat(this.language, options)));
    return f;
  }

  number(n: number, digits = 0): string {
    return this.nf({ maximumFractionDigits: digits }).format(n);
  }
  /** 12,345 as 12K. */
  compact(n: number): string {
    return this.nf({ notation: "compact", maximumFractionDigits: 1 }).format(n);
  }
  /** share 0–1. */
  percent(share: number, digits = 0): string {
    return this.nf({ style: "percent", maximumFractionDigits: digits }).format(share);
  }
  money(amount: number, currency: string): string {
    return this.nf({ style: "currency", currency, maximumFractionDigits: Math.abs(amount) < 1 ? 4 : 2 }).format(amount);
  }
  /** Decimal units, as disks and models are sold: 3.7 MB. */
  bytes(n: number): string {
    const k = n < 1 ? 0 : Math.min(Math.floor(Math.log10(n) / 3), units.length - 1);
    const value = n / 1000 ** k;
    return this.nf({ style: "unit", unit: units[k] ?? "byte", unitDisplay: k === 0 ? "long" : "short", maximumFractionDigits: k === 0 || value >= 100 ? 0 : 1 }).format(value);
  }
  rate(bytesPerSecond: number): string {
    return `${this.bytes(bytesPerSecond)}/s`;
  }
  /** 850 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 3 d 4 h. */
  duration(ms: number): string {
    const unit = (value: number, unit: string, digits = 0) => this.nf({ style: "unit", unit, unitDisplay: unit === "day" ? "narrow" : "short", maximumFractionDigits: digits }).format(value);
    if (ms < 1000) return unit(ms, "millisecond", ms < 10 ? 1 : 0);
    if (ms < 60_000) return unit(ms / 1000, "second", ms < 10_000 ? 1 : 0);
    const s = Math.round(ms / 1000);
    const parts: [number, string][] = s < 3600 ? [[Math.floor(s / 60), "minute"], [s % 60, "second"]]
      : s < 86_400 ? [[Math.floor(s / 3600), "hour"], [Math.floor((s % 3600) / 60), "minute"]]
        : [[Math.floor(s / 86_400), "day"], [Math.floor((s % 86_400) / 3600), "hour"]];
    return parts.filter(([v], i) => i === 0 || v > 0).map(([v, u]) => unit(v, u)).join(" ");
  }
  date(ms: number): string {
    return this.df({ dateStyle: "medium" }).format(ms);
  }
  /** 14:05:09. */
  time(ms: number): string {
    return this.df({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(ms);
  }
  dateTime(ms: number): string {
    return this.df({ dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }).format(ms);
  }
  day(ms: number): string {
    return this.df({ month: "short", day: "numeric" }).format(ms);
  }
  relative(ms: number, now = Date.now()): string {
    const d = ms - now;
    for (const [unit, size] of steps) if (Math.abs(d) >= size || unit === "second") return this.rtf.format(Math.trunc(d / size), unit);
    return "";
  }
  list(items: readonly string[]): string {
    return new Intl.ListFormat(this.language, { type: "conjunction" }).format(items);
  }
}

const formats = new Map<Language, Format>();
export function formatOf(language: Language): Format {
  let f = formats.get(language);
  if (!f) formats.set(language, (f = new Format(language)));
  return f;
}

export function useFormat(): Format {
  const [p] = usePreferences();
  const language = languageOf(p);
  return useMemo(() => formatOf(language), [language]);
}
