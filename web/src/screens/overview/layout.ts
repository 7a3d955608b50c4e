/* Where the map's nodes stand and how its edges run: columns from who asks (left) to what answers (right), an order that never
 * depends on numbers that change, so that nothing jumps when they do. Pure geometry; no DOM. */
export interface LayoutNode {
  id: string;
  kind: string;
}
export interface LayoutEdge {
  from: string;
  to: string;
}
export interface Box {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
}
export interface Wire {
  key: string;
  path: string;
  label: { x: number; y: number };
}
export interface Placed {
  boxes: Map<string, Box>;
  wires: Map<string, Wire>;
  height: number;
}

const ORDER = ["people", "programs", "shell", "link", "supervisor", "operator", "switch", "hermes"];
const LABEL = { w: 92, h: 20 };

export function columnOf(n: LayoutNode): number {
  switch (n.kind) {
    case "people": case "programs": case "shell": return 0;
    case "supervisor": return 1;
    case "module": return n.id === "link" ? 1 : 2;
    default: return 3; // engines, providers, sidecars, the world outside
  }
}

const rank = (n: LayoutNode): string => {
  const at = ORDER.indexOf(n.id);
  const kinds = ["engine", "provider", "sidecar", "outside"];
  return at >= 0 ? `0${String(at).padStart(2, "0")}` : `1${Math.max(0, kinds.indexOf(n.kind))}${n.id}`;
};

export const keyOfEdge = (e: LayoutEdge): string => `${e.from}>${e.to}`;

/** scale: size of the root font over 16 px. */
export function place(nodes: readonly LayoutNode[], edges: readonly LayoutEdge[], width: number, scale: number): Placed {
  const columns: LayoutNode[][] = [[], [], [], []];
  for (const n of nodes) columns[columnOf(n)]?.push(n);
  const used = columns.filter((c) => c.length > 0);
  for (const c of used) c.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));

  const w = Math.min(188 * scale, (width - 84 * scale * (used.length - 1)) / Math.max(1, used.length));
  const gapX = used.length > 1 ? Math.min(300 * scale, (width - w * used.length) / (used.length - 1)) : 0;
  const left = (width - w * used.length - gapX * (used.length - 1)) / 2;
  const tall = 66 * scale;
  const small = 46 * scale;
  const size = (n: LayoutNode) => (columnOf(n) === 3 || columnOf(n) === 0 ? small : tall);
  const gapY = (n: LayoutNode) => (columnOf(n) === 3 ? 18 : 44) * scale;
  const heights = used.map((c) => c.reduce((sum, n, i) => sum + size(n) + (i > 0 ? gapY(n) : 0), 0));
  const height = Math.max(120 * scale, ...heights) + 24 * scale;

  const boxes = new Map<string, Box>();
  used.forEach((c, i) => {
    let y = (height - (heights[i] ?? 0)) / 2;
    c.forEach((n, k) => {
      if (k > 0) y += gapY(n);
      boxes.set(n.id, { id: n.id, x: left + i * (w + gapX), y, w, h: size(n) });
      y += size(n);
    });
  });
  return { boxes, wires: wire(boxes, edges, gapX, scale), height };
}

type Side = "left" | "right" | "top" | "bottom";
interface End { side: Side; box: Box; other: Box; key: string }

function wire(boxes: Map<string, Box>, edges: readonly LayoutEdge[], gapX: number, scale: number): Map<string, Wire> {
  const ends: End[] = [];
  const sides = new Map<string, [Side, Side]>();
  const real = edges.filter((e) => e.from !== e.to && boxes.has(e.from) && boxes.has(e.to));
  for (const e of real) {
    const a = boxes.get(e.from)!;
    const b = boxes.get(e.to)!;
    const pair: [Side, Side] = b.x > a.x ? ["right", "left"] : b.x < a.x ? ["left", "right"]
      : neighbours(a, b, boxes) ? (b.y > a.y ? ["bottom", "top"] : ["top", "bottom"]) : ["right", "right"];
    const key = keyOfEdge(e);
    sides.set(key, pair);
    ends.push({ side: pair[0], box: a, other: b, key: `${key}0` }, { side: pair[1], box: b, other: a, key: `${key}1` });
  }
  // Edges that meet at one side of a node share it out, in the order of where they come from.
  const points = new Map<string, { x: number; y: number }>();
  const groups = new Map<string, End[]>();
  for (const end of ends) {
    const g = `${end.box.id} ${end.side}`;
    groups.set(g, [...(groups.get(g) ?? []), end]);
  }
  for (const group of groups.values()) {
    group.sort((p, q) => p.other.y + p.other.h / 2 - (q.other.y + q.other.h / 2) || (p.key < q.key ? -1 : 1));
    group.forEach((end, i) => {
      const share = (i + 1) / (group.length + 1);
      const { box, side } = end;
      points.set(end.key, side === "left" || side === "right" ? { x: side === "left" ? box.x : box.x + box.w, y: box.y + box.h * share }
        : { x: box.x + box.w * share, y: side === "top" ? box.y : box.y + box.h });
    });
  }

  const wires = new Map<string, Wire>();
  const taken: { x: number; y: number }[] = [];
  const free = (p: { x: number; y: number }) =>
    !taken.some((q) => Math.abs(p.x - q.x) < LABEL.w * scale && Math.abs(p.y - q.y) < LABEL.h * scale) &&
    ![...boxes.values()].some((b) => p.x + (LABEL.w / 2) * scale > b.x && p.x - (LABEL.w / 2) * scale < b.x + b.w && p.y + (LABEL.h / 2) * scale > b.y && p.y - (LABEL.h / 2) * scale < b.y + b.h);
  for (const e of [...real].sort((a, b) => (keyOfEdge(a) < keyOfEdge(b) ? -1 : 1))) {
    const key = keyOfEdge(e);
    const a = points.get(`${key}0`)!;
    const b = points.get(`${key}1`)!;
    const [from, to] = sides.get(key)!;
    const pull = (side: Side, p: { x: number; y: number }) => {
      const d = from === to ? Math.min(gapX * 0.55, 90 * scale) : side === "left" || side === "right" ? Math.abs(b.x - a.x) * 0.45 : Math.abs(b.y - a.y) * 0.45;
      return side === "left" ? { x: p.x - d, y: p.y } : side === "right" ? { x: p.x + d, y: p.y } : side === "top" ? { x: p.x, y: p.y - d } : { x: p.x, y: p.y + d };
    };
    const c = pull(from, a);
    const d = pull(to, b);
    const at = (t: number) => {
      const u = 1 - t;
      const mix = (p: number, q: number, r: number, s: number) => u * u * u * p + 3 * u * u * t * q + 3 * u * t * t * r + t * t * t * s;
      return { x: mix(a.x, c.x, d.x, b.x), y: mix(a.y, c.y, d.y, b.y) };
    };
    const spot = [0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73].map(at).find(free) ?? at(0.5);
    taken.push(spot);
    const n = (v: number) => v.toFixed(1);
    wires.set(key, { key, label: spot, path: `M${n(a.x)} ${n(a.y)}C${n(c.x)} ${n(c.y)} ${n(d.x)} ${n(d.y)} ${n(b.x)} ${n(b.y)}` });
  }
  return wires;
}

/** Whether nothing stands between two nodes of one column. */
function neighbours(a: Box, b: Box, boxes: Map<string, Box>): boolean {
  const top = Math.min(a.y, b.y);
  const bottom = Math.max(a.y, b.y);
  return ![...boxes.values()].some((c) => c.id !== a.id && c.id !== b.id && c.x === a.x && c.y > top && c.y < bottom);
}
