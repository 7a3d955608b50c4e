/* The map: who calls whom, in the last minute, with failures and latency. Nodes are buttons in reading order; the lines are drawn
 * under them. On a narrow screen, or when chosen, the same facts are a list. */
import { useEffect, useMemo, useRef, useState } from "react";
import { Cpu, DoorOpen, Globe, MonitorSmartphone, Network, Plug, Route, Server, Shield, SquareTerminal, Users, Webhook } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import { useFormat } from "../../lib/format";
import { Status, cx } from "../../ui";
import { conditionOfNode, toneOf } from "./data";
import type { MapEdge, Node } from "./data";
import { columnOf, keyOfEdge, place } from "./layout";
import { nameOf, nameOfId, useWords } from "./words";
import s from "./overview.module.css";

const icons: Record<string, LucideIcon> = {
  people: Users, programs: Webhook, shell: SquareTerminal, outside: Globe, link: DoorOpen, operator: MonitorSmartphone, switch: Route, hermes: Plug,
  supervisor: Shield, engine: Cpu, provider: Server, sidecar: Plug, module: Network,
};
const iconOf = (n: Node): LucideIcon => icons[n.id] ?? icons[n.kind] ?? Network;

interface Props {
  nodes: readonly Node[];
  edges: readonly MapEdge[];
  list: boolean;
  onOpen: (id: string) => void;
}

export function SystemMap(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const size = new ResizeObserver(() => setWidth(el.clientWidth));
    size.observe(el);
    return () => size.disconnect();
  }, []);
  const scale = useMemo(() => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16, [width]); // eslint-disable-line react-hooks/exhaustive-deps
  const narrow = width < 768 * scale;
  return (
    <div ref={box} className={s.mapBox} data-testid="map">
      {width > 0 && (props.list || narrow ? <NodeList {...props} /> : <Drawing {...props} width={width} scale={scale} />)}
    </div>
  );
}

function useFacts() {
  const f = useFormat();
  return (n: Node): string => {
    const cpu = n.module?.cpu_percent ?? n.map?.cpu_percent ?? null;
    const memory = n.module?.pss_bytes ?? n.map?.pss_bytes ?? n.module?.rss_bytes ?? n.map?.rss_bytes ?? null;
    return [cpu === null ? "" : `${f.percent(cpu / 100, cpu < 10 ? 1 : 0)} CPU`, memory === null ? "" : f.bytes(memory)].filter(Boolean).join(" · ");
  };
}

function Drawing({ nodes, edges, onOpen, width, scale }: Props & { width: number; scale: number }) {
  const t = useWords();
  const f = useFormat();
  const facts = useFacts();
  const [near, setNear] = useState<string | null>(null);
  const shape = [...nodes.map((n) => `${n.id} ${n.kind}`)].sort().join("\n");
  const wires = [...edges.map(keyOfEdge)].sort().join("\n");
  // Placed anew only when what there is changes, not when its numbers do.
  const placed = useMemo(() => place(nodes, edges, width, scale), [shape, wires, width, scale]); // eslint-disable-line react-hooks/exhaustive-deps
  const ordered = [...nodes].sort((a, b) => columnOf(a) - columnOf(b) || (placed.boxes.get(a.id)?.y ?? 0) - (placed.boxes.get(b.id)?.y ?? 0));
  const dim = (e: MapEdge) => near !== null && e.from !== near && e.to !== near;
  return (
    <div className={s.map} style={{ height: placed.height }}>
      <svg className={s.wires} width={width} height={placed.height} aria-hidden="true">
        <defs>
          {(["plain", "bad"] as const).map((k) => (
            <marker key={k} id={`arrow-${k}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth={7} markerHeight={7} markerUnits="userSpaceOnUse" orient="auto">
              <path d="M0 0.5L8 4L0 7.5z" className={k === "bad" ? s.arrowBad : s.arrow} />
            </marker>
          ))}
        </defs>
        {edges.map((e) => {
          const w = placed.wires.get(keyOfEdge(e));
          return w && (
            <path key={w.key} d={w.path} className={cx(s.wire, e.failures > 0 && s.wireBad)} data-dim={dim(e) || undefined} data-quiet={e.calls === 0 || undefined}
              strokeWidth={(1.25 + Math.min(2.5, Math.log10(1 + e.calls))) * scale} markerEnd={`url(#arrow-${e.failures > 0 ? "bad" : "plain"})`} />
          );
        })}
      </svg>
      {edges.map((e) => {
        const w = placed.wires.get(keyOfEdge(e));
        return w && e.calls > 0 && (
          <span key={w.key} className={s.edge} data-dim={dim(e) || undefined} data-edge={w.key} style={{ left: w.label.x, top: w.label.y }} aria-hidden="true">
            <b>{f.compact(e.calls)}</b>
            {e.failures > 0 && <em>✕{f.compact(e.failures)}</em>}
            {e.p50_ms !== null && <span>{f.duration(e.p50_ms)}</span>}
          </span>
        );
      })}
      {ordered.map((n) => {
        const b = placed.boxes.get(n.id);
        if (!b) return null;
        const condition = conditionOfNode(n);
        const Icon = iconOf(n);
        const name = nameOf(t, n);
        const small = columnOf(n) === 3 || columnOf(n) === 0;
        return (
          <button key={n.id} type="button" className={s.node} data-node={n.id} data-tone={condition ? toneOf[condition] : "none"} data-small={small || undefined}
            style={{ left: b.x, top: b.y, width: b.w, height: b.h }}
            onClick={() => onOpen(n.id)} onPointerEnter={() => setNear(n.id)} onPointerLeave={() => setNear(null)} onFocus={() => setNear(n.id)} onBlur={() => setNear(null)}>
            <Icon aria-hidden />
            <span className={s.nodeText}>
              <span className={s.nodeName}>{name}</span>
              {condition && <Status tone={toneOf[condition]}>{t(`condition.${condition}`)}</Status>}
              {!small && <span className={s.nodeFacts}>{facts(n)}</span>}
            </span>
            <span className="visually-hidden">{n.kind !== n.id && `, ${t(`kind.${n.kind}`)}`}. {sayEdges(t, f, n.id, edges)}</span>
          </button>
        );
      })}
    </div>
  );
}

type T = ReturnType<typeof useWords>;
type F = ReturnType<typeof useFormat>;

export function sayEdge(t: T, f: F, e: MapEdge): string {
  return [
    t("edge.calls", { count: e.calls }),
    e.failures > 0 ? t("edge.failed", { count: e.failures }) : "",
    e.cancelled > 0 ? t("edge.cancelled", { count: e.cancelled }) : "",
    e.p50_ms === null ? "" : t("edge.median", { time: f.duration(e.p50_ms) }),
    e.p95_ms === null ? "" : t("edge.p95", { time: f.duration(e.p95_ms) }),
  ].filter(Boolean).join(", ");
}

function sayEdges(t: T, f: F, id: string, edges: readonly MapEdge[]): string {
  return edges.filter((e) => e.from === id).map((e) => `${t("edge.to", { name: nameOfId(t, e.to) })}: ${sayEdge(t, f, e)}`).join(". ");
}

function NodeList({ nodes, edges, onOpen }: Props) {
  const t = useWords();
  const f = useFormat();
  const facts = useFacts();
  const ordered = [...nodes].sort((a, b) => columnOf(a) - columnOf(b) || (a.id < b.id ? -1 : 1));
  return (
    <ul className={s.nodeList}>
      {ordered.map((n) => {
        const condition = conditionOfNode(n);
        const Icon = iconOf(n);
        const out = edges.filter((e) => e.from === n.id);
        return (
          <li key={n.id}>
            <button type="button" className={s.nodeRow} data-node={n.id} onClick={() => onOpen(n.id)}>
              <Icon aria-hidden />
              <span className={s.nodeName}>{nameOf(t, n)}</span>
              {condition ? <Status tone={toneOf[condition]}>{t(`condition.${condition}`)}</Status> : <span className="soft">{n.kind === n.id ? "" : t(`kind.${n.kind}`)}</span>}
              <span className={s.nodeFacts}>{facts(n)}</span>
            </button>
            {out.length > 0 && (
              <ul>
                {out.map((e) => (
                  <li key={keyOfEdge(e)} data-edge={keyOfEdge(e)}>
                    <span>{t("edge.to", { name: nameOfId(t, e.to) })}</span> <span className={e.failures > 0 ? s.bad : "soft"}>{sayEdge(t, f, e)}</span>
                  </li>
                ))}
              </ul>
            )}
          </li>
        );
      })}
    </ul>
  );
}
