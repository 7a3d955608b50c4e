/* The records that are loaded: history and live tail in one list, newest first, none twice, none lost. What comes in while one
 * reads further down, or holds the log, waits at the top. */
import type { OperatorLogRecord } from "../../api";

export type LogRecord = OperatorLogRecord;

/** A place where records are missing; count null: nobody knows how many. */
export interface Gap {
  id: string;
  gap: number | null;
}
export type Row = LogRecord | Gap;
export const isGap = (r: Row): r is Gap => "gap" in r;

export class Records {
  rows: readonly Row[] = [];
  waiting: Row[] = [];
  private readonly ids = new Set<string>();
  private gaps = 0;

  constructor(readonly most = 20_000) {}

  /** A page of the history, which is older than all that is there. */
  older(page: readonly LogRecord[]): void {
    this.rows = [...this.rows, ...this.fresh(page)];
  }

  /** What was just written, oldest first. */
  live(row: Row): void {
    if (isGap(row)) this.waiting.unshift({ ...row, id: `gap ${++this.gaps}` });
    else this.waiting.unshift(...this.fresh([row]));
  }

  /** Lets in what waits. The oldest go when there are too many: they can be asked for again. */
  release(): boolean {
    if (this.waiting.length === 0) return false;
    this.rows = [...this.waiting, ...this.rows];
    this.waiting = [];
    return true;
  }

  get full(): boolean {
    return this.rows.length >= this.most;
  }

  private fresh(page: readonly LogRecord[]): LogRecord[] {
    return page.filter((r) => !this.ids.has(r.id) && this.ids.add(r.id));
  }
}
