/* What the overview asks for, and what it makes of the answers. */
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import type { LinkBreakerReply, LinkOverview, OperatorMapEdge, OperatorMapNode, OperatorMapReply, SupervisorModule, SupervisorStatus } from "../../api";
import { ApiError, call, keyOf, useApi } from "../../lib/api";

export type { SupervisorModule } from "../../api";
export type MapNode = OperatorMapNode;
export type MapEdge = OperatorMapEdge;

export const MODULES_MS = 5000;
export const MAP_MS = 10_000;

export const useModules = () => useApi("supervisor.status", { refetchInterval: MODULES_MS });
export const useOverview = () => useApi("link.overview", { refetchInterval: MAP_MS });
export const useBreakers = () => useApi("link.breakers", { refetchInterval: MAP_MS });
export const useMap = () => useApi("operator.map", { refetchInterval: MAP_MS, retry: false });

/** Asks all of it anew, after something was changed. */
export function useRefresh(): () => void {
  const client = useQueryClient();
  return useCallback(() => {
    for (const id of ["supervisor.status", "link.overview", "link.breakers", "operator.map"] as const) void client.invalidateQueries({ queryKey: keyOf(id) });
  }, [client]);
}

export const RANGES = { "15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000, "90d": 7_776_000_000 } as const;
export type Range = keyof typeof RANGES;
export const isRange = (v: unknown): v is Range => typeof v === "string" && v in RANGES;

export const METRICS = "cpu,memory,requests,errors,latency_p95,tokens,queue_depth,tension";

export function useMetrics(range: Range) {
  return useQuery({
    queryKey: ["operator.metrics", range],
    queryFn: async ({ signal }) => {
      const params = { names: METRICS, since: Date.now() - RANGES[range] };
      try {
        return { ...(await call("operator.metrics_series", { params, signal })), engines: true };
      } catch (e) {
        // There were more engines than one reply has room for: what the modules did is worth more than nothing.
        if (!(e instanceof ApiError) || e.code !== "too_many_series") throw e;
        return { ...(await call("operator.metrics_series", { params: { ...params, modules: "link,switch,hermes,operator,supervisor" }, signal })), engines: false };
      }
    },
    refetchInterval: RANGES[range] <= 3_600_000 ? MAP_MS : 60_000,
    placeholderData: keepPreviousData,
    retry: false,
  });
}

/** One thing of the system as the map, the list and the drawer show it. */
export interface Node {
  id: string;
  kind: MapNode["kind"];
  name: string;
  map: MapNode | null;
  module: SupervisorModule | null;
}

/** The map's nodes with what the supervisor knows of the modules; without a map, the modules alone. */
export function nodesOf(map: OperatorMapReply | undefined, status: SupervisorStatus | undefined): Node[] {
  const modules = new Map((status?.modules ?? []).map((m) => [m.name, m]));
  const nodes: Node[] = (map?.nodes ?? []).map((n) => ({ id: n.id, kind: n.kind, name: n.name, map: n, module: n.kind === "module" ? (modules.get(n.name) ?? null) : null }));
  for (const m of modules.values()) {
    if (!nodes.some((n) => n.id === m.name)) nodes.push({ id: m.name, kind: "module", name: m.name, map: null, module: m });
  }
  return nodes;
}

export type Condition = "ok" | "degraded" | "down" | "standby" | "off" | "starting" | "stopping" | "backoff" | "failed" | "stopped" | "silent" | "waiting" | "loading" | "unloaded" | "unknown";

/** The one word for how a module is. */
export function conditionOf(m: Pick<SupervisorModule, "state" | "process" | "health">): Condition {
  if (m.process === "failed" || m.process === "backoff") return m.process;
  if (m.state === "off") return "off";
  if (m.process === "stopped" || m.process === "starting" || m.process === "stopping") return m.process;
  if (m.health === null) return "silent";
  if (m.health !== "ok") return m.health;
  return m.state === "standby" ? "standby" : "ok";
}

export function conditionOfNode(n: Node): Condition | null {
  if (n.module) return conditionOf(n.module);
  const m = n.map;
  if (!m || (m.state === null && m.process === null && m.health === null)) return null; // people, the world outside: nobody measures them
  if (m.process === "stopped" && n.kind !== "module") return "unloaded"; // engines and sidecars run when they are needed
  if (m.process !== null && m.process in toneOf) return m.process as Condition;
  if (m.state === "off" || m.state === "standby") return m.state;
  return m.health ?? "unknown";
}

export type Tone = "ok" | "warn" | "bad" | "info" | "none";
export const toneOf: Record<Condition, Tone> = {
  ok: "ok", degraded: "warn", down: "bad", standby: "info", off: "none", starting: "info", stopping: "info", backoff: "bad", failed: "bad", stopped: "bad", silent: "bad", waiting: "info", loading: "info", unloaded: "none", unknown: "none",
};

/** What keeps the system from being well, worst first. */
export interface Finding {
  key: string;
  tone: Tone;
  kind: "module" | "breaker" | "provider";
  module?: SupervisorModule;
  condition?: Condition;
  name: string;
  retryMs?: number | null;
}

export function findingsOf(status: SupervisorStatus | undefined, overview: LinkOverview | undefined, breakers: LinkBreakerReply | undefined): Finding[] {
  const out: Finding[] = [];
  for (const m of status?.modules ?? []) {
    const condition = conditionOf(m);
    if (condition !== "ok") out.push({ key: m.name, tone: toneOf[condition] === "none" ? "info" : toneOf[condition], kind: "module", module: m, condition, name: m.name });
  }
  for (const b of breakers?.breakers ?? overview?.breakers ?? []) {
    if (b.breaker.state !== "closed") out.push({ key: `b ${b.module}`, tone: "warn", kind: "breaker", name: b.module, retryMs: b.breaker.retry_after_ms });
  }
  for (const p of breakers?.providers ?? []) {
    if (p.breaker.state !== "closed") out.push({ key: `p ${p.provider}`, tone: "warn", kind: "provider", name: p.provider, retryMs: p.breaker.retry_after_ms });
  }
  const rank: Record<Tone, number> = { bad: 0, warn: 1, info: 2, none: 3, ok: 4 };
  return out.sort((a, b) => rank[a.tone] - rank[b.tone]);
}
