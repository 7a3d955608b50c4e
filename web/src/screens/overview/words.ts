/* The overview's words, and names of things in them. */
import { strings, useText } from "../../i18n";
import type { Text } from "../../i18n";
import type en from "../../i18n/en/overview";
import type { Format } from "../../lib/format";
import type { LinkEvent } from "../../api";
import type { Finding, Node } from "./data";

export const text = strings({ en: () => import("../../i18n/en/overview"), es: () => import("../../i18n/es/overview") });
export type T = Text<typeof en>;
export const useWords = (): T => useText(text);

export const titled = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** What a node is called. */
export function nameOf(t: T, n: Pick<Node, "id" | "kind" | "name">): string {
  switch (n.kind) {
    case "people": case "programs": case "shell": case "outside": return t(`name.${n.kind}`);
    case "module": case "supervisor": return titled(n.name);
    default: return n.name;
  }
}

/** A node's name by its id alone, as events and edges bear it. */
export function nameOfId(t: T, id: string): string {
  if (id === "people" || id === "programs" || id === "shell" || id === "outside") return t(`name.${id}`);
  return id.includes("/") ? id.slice(id.indexOf("/") + 1) : titled(id);
}

export function sayFinding(t: T, f: Format, x: Finding): string {
  const name = titled(x.name);
  if (x.kind === "breaker") return x.retryMs ? t("find.breaker", { name, time: f.duration(x.retryMs) }) : t("find.breaker_now", { name });
  if (x.kind === "provider") return x.retryMs ? t("find.provider", { name: x.name, time: f.duration(x.retryMs) }) : t("find.provider_now", { name: x.name });
  const m = x.module;
  const checks = (m?.checks ?? []).filter((c) => c.status !== "ok").map((c) => (c.detail ? `${c.name}: ${c.detail}` : c.name));
  const reason = m?.reason ?? (checks.length > 0 ? checks.join("; ") : t("find.no_reason"));
  switch (x.condition) {
    case "backoff": {
      const how = m?.last_exit ?? reason;
      return m?.next_start_ms ? t("find.backoff", { name, reason: how, time: f.duration(m.next_start_ms) }) : t("find.backoff_soon", { name, reason: how });
    }
    case "degraded": return t("find.degraded", { name, reason: checks.length > 0 ? checks.join("; ") : reason });
    case "down": case "silent": case "failed": case "stopped": return t(`find.${x.condition}`, { name, reason });
    case "starting": case "stopping": case "standby": case "off": return t(`find.${x.condition}`, { name });
    default: return t("find.unknown", { name });
  }
}

/** What nobody gets while a module does not work. */
export function sayStops(t: T, module: string): string {
  return module === "link" || module === "switch" || module === "hermes" || module === "operator" ? t(`stops.${module}`) : t("stops.other", { name: titled(module) });
}

type Tone = "ok" | "warn" | "bad" | "info" | "none";
const str = (v: unknown): string => (typeof v === "string" ? v : typeof v === "number" ? String(v) : "");
const num = (v: unknown): number | null => (typeof v === "number" ? v : null);

/** An event as a sentence. */
export function sayEvent(t: T, f: Format, e: LinkEvent): { tone: Tone; text: string } {
  const p = (e.payload ?? {}) as Record<string, unknown>;
  const reason = str(p.reason) || t("find.no_reason");
  switch (e.type) {
    case "system.alert": return { tone: p.severity === "L4" ? "bad" : "warn", text: str(p.message) };
    case "switch.tension.updated": return { tone: "info", text: t("said.tension", { value: num(p.value) ?? 0 }) };
    case "forensic.snapshot.created": return { tone: "info", text: t("said.snapshot", { id: str(p.snapshot_id), reason }) };
    case "system.correlation.updated": return { tone: "info", text: t("said.correlation", { id: str(p.correlation_id) }) };
    case "madre.decision.explained": return { tone: "info", text: str(p.summary) };
    case "shub.action.narrated": return { tone: "info", text: t("said.action", { action: str(p.action), reason }) };
    case "hermes.model.load": {
      const model = str(p.model);
      const percent = num(p.percent);
      const ms = num(p.load_ms);
      if (p.state === "ready") return { tone: "ok", text: ms === null ? t("said.load.ready", { model }) : t("said.load.ready_in", { model, time: f.duration(ms) }) };
      if (p.state === "failed") return { tone: "bad", text: t("said.load.failed", { model, reason }) };
      if (p.state === "stopped") return { tone: "none", text: t("said.load.stopped", { model }) };
      return { tone: "info", text: percent === null ? t("said.load.loading", { model }) : t("said.load.loading_at", { model, percent: f.percent(percent / 100) }) };
    }
    case "hermes.model.pull": {
      const model = str(p.model) || str(p.source);
      const done = num(p.bytes);
      const total = num(p.total);
      if (p.state === "done") return { tone: "ok", text: t("said.pull.done", { model }) };
      if (p.state === "failed") return { tone: "bad", text: t("said.pull.failed", { model, reason }) };
      if (p.state === "cancelled") return { tone: "none", text: t("said.pull.cancelled", { model }) };
      if (p.state === "queued") return { tone: "info", text: t("said.pull.queued", { model }) };
      return { tone: "info", text: done !== null && total !== null ? t("said.pull.running_at", { model, done: f.bytes(done), total: f.bytes(total) }) : t("said.pull.running", { model }) };
    }
    case "module.state.changed": {
      const state = (v: unknown) => (v === "active" || v === "standby" || v === "off" ? t(`state.${v}`).toLowerCase() : str(v));
      const values = { module: titled(str(p.module)), from: state(p.from), to: state(p.to), by: str(p.by) };
      return { tone: p.to === "active" ? "ok" : "info", text: p.reason ? t("said.state_why", { ...values, reason }) : t("said.state", values) };
    }
    case "module.run": {
      const module = titled(str(p.module));
      const ms = num(p.start_ms);
      if (p.event === "started") return { tone: "ok", text: ms === null ? t("said.run.started", { module }) : t("said.run.started_in", { module, time: f.duration(ms) }) };
      if (p.event === "stopped") return { tone: "none", text: t("said.run.stopped", { module }) };
      if (p.event === "hung") return { tone: "bad", text: t("said.run.hung", { module }) };
      return { tone: "bad", text: p.event === "failed" ? t("said.run.failed", { module, reason }) : t("said.run.crashed", { module, reason }) };
    }
    default: return { tone: "none", text: e.type };
  }
}
