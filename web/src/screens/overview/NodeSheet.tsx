/* One node in full: what it is, how it is, its checks, and its calls of the last minute. */
import { Link } from "wouter";
import { FileText, RotateCw } from "lucide-react";
import type { LinkModuleStatus } from "../../api";
import { useFormat } from "../../lib/format";
import { Button, Dialog, KeyValues, Status, Table, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { StateMenu } from "./Modules";
import type { Actions } from "./actions";
import { conditionOfNode, toneOf } from "./data";
import type { MapEdge, Node } from "./data";
import { keyOfEdge } from "./layout";
import { nameOf, nameOfId, useWords } from "./words";
import s from "./overview.module.css";

interface Props {
  node: Node | null;
  status: LinkModuleStatus | undefined;
  edges: readonly MapEdge[];
  actions: Actions;
  onClose: () => void;
}

export function NodeSheet({ node, onClose, ...rest }: Props) {
  const t = useWords();
  return (
    <Dialog open={node !== null} onClose={onClose} title={node ? nameOf(t, node) : ""} side="right">
      {node && <Inside node={node} {...rest} />}
    </Dialog>
  );
}

function Inside({ node, status, edges, actions }: Omit<Props, "node" | "onClose"> & { node: Node }) {
  const t = useWords();
  const f = useFormat();
  const m = node.module;
  const n = node.map;
  const condition = conditionOfNode(node);
  const running = m ? m.process === "running" : n?.process == null || n.process === "running";
  const why = !running ? t("node.not_running") : n || m ? t("node.not_asked") : t("node.no_sample");
  const show = (v: number | null | undefined, say: (v: number) => string) => (v == null ? <Unknown reason={why} /> : say(v));
  const measured = condition !== null;
  const rss = m?.rss_bytes ?? n?.rss_bytes ?? null;
  const pss = m?.pss_bytes ?? n?.pss_bytes ?? null;
  const checks = status?.checks ?? m?.checks ?? null;
  const mine = edges.filter((e) => e.from === node.id || e.to === node.id);
  const columns: Column<MapEdge>[] = [
    { id: "with", header: t("node.with"), cell: (e) => (e.from === node.id ? t("node.out", { name: nameOfId(t, e.to) }) : t("node.in", { name: nameOfId(t, e.from) })), sort: (e) => `${e.from} ${e.to}` },
    { id: "calls", header: t("node.count"), cell: (e) => f.number(e.calls), sort: (e) => e.calls, align: "end" },
    { id: "failed", header: t("node.failures"), cell: (e) => (e.failures > 0 ? <Status tone="bad">{f.number(e.failures)}</Status> : "0"), sort: (e) => e.failures, align: "end" },
    { id: "p50", header: t("node.p50"), cell: (e) => show(e.p50_ms, (v) => f.duration(v)), sort: (e) => e.p50_ms, align: "end" },
    { id: "p95", header: t("node.p95"), cell: (e) => show(e.p95_ms, (v) => f.duration(v)), sort: (e) => e.p95_ms, align: "end" },
  ];
  const about = node.kind === "people" || node.kind === "programs" || node.kind === "shell" || node.kind === "outside" ? t(`about.${node.kind}`) : null;
  return (
    <div className={s.sheet}>
      {about && <p>{about}</p>}
      {m && (
        <div className="row-wrap">
          <StateMenu m={m} actions={actions} />
          <Button small icon={RotateCw} busy={actions.busy === m.name} onClick={() => void actions.restart(m)}>{t("do.restart")}</Button>
          <Link href={`/logs?module=${m.name}`}><span className="row"><FileText size="1em" aria-hidden />{t("node.log")}</span></Link>
        </div>
      )}
      {measured && (
        <KeyValues items={[
          [t("node.condition"), <Status key="c" tone={toneOf[condition]}>{t(`condition.${condition}`)}</Status>],
          (m?.reason ?? n?.reason) != null && [t("node.reason"), m?.reason ?? n?.reason],
          [t("node.uptime"), show(m?.uptime_s ?? n?.uptime_s, (v) => f.duration(v * 1000))],
          [t("node.restarts"), show(m?.restarts ?? n?.restarts, (v) => f.number(v))],
          m ? [t("node.last_exit"), m.last_exit ?? t("node.no_exit")] : null,
          [t("node.cpu"), show(m?.cpu_percent ?? n?.cpu_percent, (v) => t("node.cpu_of", { percent: f.percent(v / 100, 1) }))],
          [t("node.memory"), rss !== null && pss !== null ? t("node.memory_shared", { rss: f.bytes(rss), pss: f.bytes(pss) }) : show(rss ?? pss, (v) => f.bytes(v))],
          [t("node.in_flight"), show(n?.in_flight, (v) => t("node.in_flight_n", { count: v }))],
          status ? [t("node.latency"), show(status.latency_ms, (v) => f.duration(v))] : null,
          status?.version != null && [t("node.version"), status.version],
          (m?.port ?? n?.port) != null && [t("node.port"), String(m?.port ?? n?.port)],
          [t("node.pid"), show(m?.pid ?? n?.pid, (v) => String(v))],
        ]} />
      )}
      {m && (
        <>
          <h3>{t("node.checks")}</h3>
          {checks === null || checks.length === 0 ? <p className="soft">{status?.error ?? t("node.no_checks")}</p> : (
            <Table label={t("node.checks")} rows={checks} rowKey={(c) => c.name} columns={[
              { id: "name", header: t("node.check"), cell: (c) => c.name },
              { id: "status", header: t("node.result"), cell: (c) => <Status tone={toneOf[c.status]}>{t(`condition.${c.status}`)}</Status> },
              { id: "detail", header: t("node.detail"), cell: (c) => <span className="wrap-any" style={{ whiteSpace: "normal" }}>{c.detail ?? ""}</span> },
            ]} />
          )}
        </>
      )}
      <h3>{t("node.calls")}</h3>
      {mine.length === 0 ? <p className="soft">{t("node.no_calls")}</p> : <Table label={t("node.calls")} columns={columns} rows={mine} rowKey={keyOfEdge} initialSort={{ column: "calls", down: true }} />}
    </div>
  );
}
