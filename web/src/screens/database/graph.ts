/* Where the tables stand on their map: what is pointed to at the left, what points at the right of it. Pure geometry. */
import type { OperatorDatabaseTable } from "../../api";

export type Table = OperatorDatabaseTable;
export interface Spot {
  table: Table;
  x: number;
  y: number;
}
export interface Graph {
  spots: Spot[];
  lines: { key: string; from: string; to: string; path: string }[];
  alone: Table[];
  width: number;
  height: number;
  box: { w: number; h: number };
}

export function graphOf(tables: readonly Table[], scale: number): Graph {
  const byName = new Map(tables.map((t) => [t.name, t]));
  const targets = (t: Table) => [...new Set(t.foreign_keys.map((k) => k.table))].filter((n) => byName.has(n) && n !== t.name);
  const pointedTo = new Set(tables.flatMap(targets));
  const joined = tables.filter((t) => pointedTo.has(t.name) || targets(t).length > 0);
  const alone = tables.filter((t) => !joined.includes(t));

  // Depth: one more than the deepest that it points to; a circle of keys ends where it began.
  const depth = new Map<string, number>();
  const depthOf = (t: Table, path: ReadonlySet<string>): number => {
    const known = depth.get(t.name);
    if (known !== undefined) return known;
    const inside = new Set(path).add(t.name);
    const d = Math.max(-1, ...targets(t).filter((n) => !inside.has(n)).map((n) => depthOf(byName.get(n)!, inside))) + 1;
    depth.set(t.name, d);
    return d;
  };
  const columns: Table[][] = [];
  for (const t of joined) (columns[depthOf(t, new Set())] ??= []).push(t);

  const box = { w: 208 * scale, h: 46 * scale };
  const gap = { x: 72 * scale, y: 14 * scale };
  const order = new Map<string, number>();
  for (let d = 0; d < columns.length; d++) {
    const column = (columns[d] ??= []);
    // Near what they point to, so that few lines cross; by module and name where that does not say.
    const middle = (t: Table) => {
      const at = targets(t).map((n) => order.get(n)).filter((n): n is number => n !== undefined);
      return at.length > 0 ? at.reduce((a, b) => a + b, 0) / at.length : Infinity;
    };
    const by = new Map(column.map((t) => [t.name, middle(t)]));
    column.sort((a, b) => (by.get(a.name)! - by.get(b.name)! || 0) || a.module.localeCompare(b.module) || a.name.localeCompare(b.name));
    column.forEach((t, i) => order.set(t.name, i + (column.length > 1 ? 0 : 0.5)));
  }
  const tall = Math.max(0, ...columns.map((c) => c.length * (box.h + gap.y) - gap.y));
  const spots: Spot[] = [];
  columns.forEach((c, d) => c.forEach((table, i) => spots.push({ table, x: d * (box.w + gap.x), y: (tall - (c.length * (box.h + gap.y) - gap.y)) / 2 + i * (box.h + gap.y) })));
  const at = new Map(spots.map((s) => [s.table.name, s]));
  const lines = spots.flatMap((s) => targets(s.table).map((n) => {
    const o = at.get(n)!;
    const a = { x: s.x, y: s.y + box.h / 2 };
    const b = { x: o.x + box.w, y: o.y + box.h / 2 };
    const pull = Math.max(gap.x * 0.5, Math.abs(a.x - b.x) * 0.4);
    return { key: `${s.table.name}>${n}`, from: s.table.name, to: n, path: `M${a.x} ${a.y}C${a.x - pull} ${a.y} ${b.x + pull} ${b.y} ${b.x} ${b.y}` };
  }));
  return { spots, lines, alone, width: Math.max(0, columns.length * (box.w + gap.x) - gap.x), height: tall, box };
}
