/* Tables and long lists, of which only what is seen is drawn.
 *
 * The table is a real one: what lies above and below the seen rows is one empty row of that height each, so that
 * semantics stay. Arrows, Home, End, Page keys move among the rows, Enter opens. All rows are of one height. */
import { useMemo, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp, ChevronsUpDown } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { cx } from "./cx";
import s from "./ui.module.css";

export interface Column<T> {
  id: string;
  header: string;
  cell: (row: T) => ReactNode;
  /** By what to sort; null goes last either way. Without it the column does not sort. */
  sort?: (row: T) => string | number | null | undefined;
  align?: "start" | "end";
  width?: string;
  /** Left out on screens narrower than 48 rem (narrow) or 75 rem (medium). */
  hide?: "narrow" | "medium";
  /** The header is read out but not shown. */
  hideHeader?: boolean;
}
export interface Sort {
  column: string;
  down: boolean;
}
export interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  onOpen?: (row: T) => void;
  /** The row that is open now. */
  openKey?: string | null;
  initialSort?: Sort;
  /** Sorting done by the caller (the server): give both. */
  sort?: Sort | null;
  onSort?: (sort: Sort) => void;
  /** Called when the last rows come into sight. */
  onEnd?: () => void;
  /** More rows are on their way. */
  loadingMore?: boolean;
  /** Rows that exist in all, when more than are given. */
  total?: number;
  /** Shown in place of no rows. */
  empty?: ReactNode;
  /** CSS height; without it the table is as high as its rows, and not virtual under 200 of them. */
  height?: string;
  className?: string;
}

function compare(a: string | number | null | undefined, b: string | number | null | undefined, down: boolean): number {
  if (a == null || b == null) return a == null ? (b == null ? 0 : 1) : -1;
  const c = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  return down ? -c : c;
}

function rowHeight(): number {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) * rem;
}

export function Table<T>(props: TableProps<T>) {
  const { label, columns, rows, rowKey, onOpen, openKey, onEnd, loadingMore, total, empty, height, className } = props;
  const t = useText(common);
  const box = useRef<HTMLDivElement>(null);
  const [ownSort, setOwnSort] = useState<Sort | null>(props.initialSort ?? null);
  const [focused, setFocused] = useState<string | null>(null);
  const bySelf = props.onSort === undefined;
  const sort = bySelf ? ownSort : props.sort ?? null;
  const sorted = useMemo(() => {
    const by = bySelf && sort ? columns.find((c) => c.id === sort.column)?.sort : undefined;
    return by && sort ? [...rows].sort((a, b) => compare(by(a), by(b), sort.down)) : rows;
  }, [rows, columns, sort, bySelf]);
  const virtual = height !== undefined || sorted.length > 200;
  const [size] = useState(rowHeight);
  const v = useVirtualizer({
    count: virtual ? sorted.length : 0, getScrollElement: () => box.current, estimateSize: () => size, overscan: 12, enabled: virtual,
    onChange: (instance) => {
      const last = instance.getVirtualItems().at(-1);
      if (onEnd && last && last.index >= sorted.length - 20) onEnd();
    },
  });
  const items = virtual ? v.getVirtualItems() : null;
  const seen = items ? items.map((i) => i.index) : sorted.map((_, i) => i);
  const above = items?.[0]?.start ?? 0;
  const below = items ? v.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;

  const key = (e: KeyboardEvent<HTMLTableRowElement>, i: number) => {
    if (e.target !== e.currentTarget) return;
    const row = sorted[i];
    if ((e.key === "Enter" || e.key === " ") && row !== undefined) {
      e.preventDefault();
      onOpen?.(row);
      return;
    }
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 400) / size) - 2);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, PageDown: i + page, PageUp: i - page, Home: 0, End: sorted.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const next = Math.min(Math.max(to, 0), sorted.length - 1);
    const target = sorted[next];
    if (target === undefined) return;
    setFocused(rowKey(target));
    if (virtual) v.scrollToIndex(next);
    requestAnimationFrame(() => {
      (box.current?.querySelector(`[data-index="${next}"]`) as HTMLElement | null)?.focus({ preventScroll: virtual });
    });
  };
  const click = (c: Column<T>) => {
    const next = { column: c.id, down: sort?.column === c.id ? !sort.down : typeof (sorted[0] !== undefined ? c.sort?.(sorted[0]) : undefined) === "number" };
    if (bySelf) setOwnSort(next);
    props.onSort?.(next);
  };
  if (sorted.length === 0 && empty) return <>{empty}</>;
  const focusable = focused !== null && seen.some((i) => sorted[i] !== undefined && rowKey(sorted[i]) === focused) ? focused : null;
  return (
    <div ref={box} className={cx(s.tableBox, className)} style={virtual ? { height: height ?? "min(70vh, 60rem)" } : {}} tabIndex={virtual || onOpen ? -1 : 0} role="region" aria-label={label}>
      <table className={s.table} aria-label={label} aria-rowcount={virtual ? (total ?? sorted.length) + 1 : undefined}>
        <thead>
          <tr aria-rowindex={virtual ? 1 : undefined}>
            {columns.map((c) => (
              <th key={c.id} scope="col" data-align={c.align} data-hide={c.hide} style={c.width ? { width: c.width } : {}}
                aria-sort={sort?.column === c.id ? (sort.down ? "descending" : "ascending") : undefined}>
                {c.sort ? (
                  <button type="button" className={s.sort} data-idle={sort?.column === c.id ? undefined : ""} onClick={() => click(c)} title={t("table.sort_by", { name: c.header })}>
                    {c.header}
                    {sort?.column !== c.id ? <ChevronsUpDown aria-hidden /> : sort.down ? <ArrowDown aria-hidden /> : <ArrowUp aria-hidden />}
                  </button>
                ) : c.hideHeader ? <span className="visually-hidden">{c.header}</span> : c.header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <tr className={s.pad} aria-hidden><td colSpan={columns.length} style={{ height: above }} /></tr>}
          {seen.map((i, n) => {
            const row = sorted[i];
            if (row === undefined) return null;
            const k = rowKey(row);
            return (
              <tr key={k} data-index={i} aria-rowindex={virtual ? i + 2 : undefined} data-open={openKey === k ? "" : undefined} aria-current={openKey === k ? "true" : undefined}
                {...(onOpen && {
                  tabIndex: (focusable === null ? n === 0 : focusable === k) ? 0 : -1,
                  onFocus: () => setFocused(k),
                  onClick: () => { if (!window.getSelection()?.toString()) onOpen(row); },
                  onKeyDown: (e: KeyboardEvent<HTMLTableRowElement>) => key(e, i),
                })}>
                {columns.map((c) => <td key={c.id} data-align={c.align} data-hide={c.hide}>{c.cell(row)}</td>)}
              </tr>
            );
          })}
          {below > 0 && <tr className={s.pad} aria-hidden><td colSpan={columns.length} style={{ height: below }} /></tr>}
        </tbody>
      </table>
      {loadingMore && <div className={s.tableFoot} role="status">{t("table.more")}</div>}
    </div>
  );
}

export interface VirtualListProps<T> {
  label: string;
  items: readonly T[];
  itemKey: (item: T) => string;
  render: (item: T, index: number) => ReactNode;
  /** Height of an item before it was measured, in px. */
  estimate?: number;
  height?: string;
  onEnd?: () => void;
  className?: string;
  role?: "list" | "log";
}
/** A long list of items of any height. */
export function VirtualList<T>({ label, items, itemKey, render, estimate = 48, height = "100%", onEnd, className, role = "list" }: VirtualListProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const v = useVirtualizer({
    count: items.length, getScrollElement: () => box.current, estimateSize: () => estimate, overscan: 8, getItemKey: (i) => (items[i] !== undefined ? itemKey(items[i]) : i),
    onChange: (instance) => {
      const last = instance.getVirtualItems().at(-1);
      if (onEnd && last && last.index >= items.length - 10) onEnd();
    },
  });
  return (
    <div ref={box} className={cx(s.virtual, className)} style={{ height }} tabIndex={0} role="region" aria-label={label}>
      <div role={role} aria-label={label} style={{ height: v.getTotalSize() }}>
        {v.getVirtualItems().map((i) => {
          const item = items[i.index];
          if (item === undefined) return null;
          return (
            <div key={i.key} ref={v.measureElement} data-index={i.index} role={role === "list" ? "listitem" : undefined} aria-setsize={role === "list" ? items.length : undefined} aria-posinset={role === "list" ? i.index + 1 : undefined}
              style={{ transform: `translateY(${i.start}px)` }}>
              {render(item, i.index)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
