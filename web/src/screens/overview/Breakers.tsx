/* The circuit breakers in front of modules and providers. */
import type { LinkBreakerReply, SwitchBreaker } from "../../api";
import { useFormat } from "../../lib/format";
import { Note, Status, Table, Time } from "../../ui";
import type { Column } from "../../ui";
import { titled, useWords } from "./words";
import s from "./overview.module.css";

interface Row {
  key: string;
  name: string;
  provider: boolean;
  breaker: SwitchBreaker;
}

export function Breakers({ reply }: { reply: LinkBreakerReply }) {
  const t = useWords();
  const f = useFormat();
  const rows: Row[] = [
    ...reply.breakers.map((b): Row => ({ key: `m ${b.module}`, name: titled(b.module), provider: false, breaker: b.breaker })),
    ...(reply.providers ?? []).map((b): Row => ({ key: `p ${b.provider}`, name: b.provider, provider: true, breaker: b.breaker })),
  ];
  const state = (b: SwitchBreaker) =>
    b.state === "closed" ? <Status tone="ok">{t("breakers.closed")}</Status>
      : b.state === "half_open" ? <Status tone="warn">{t("breakers.half_open")}</Status>
        : <Status tone="bad">{b.retry_after_ms ? t("breakers.open_for", { time: f.duration(b.retry_after_ms) }) : t("breakers.open")}</Status>;
  const columns = ([
    { id: "name", header: t("breakers.name"), cell: (r) => <>{r.name} <span className="soft">{r.provider ? t("breakers.provider") : t("breakers.module")}</span></>, sort: (r) => r.key },
    { id: "state", header: t("breakers.state"), cell: (r) => state(r.breaker), sort: (r) => r.breaker.state },
    { id: "failures", header: t("breakers.failures"), cell: (r) => t("breakers.of", { failures: r.breaker.failures, threshold: r.breaker.threshold }), sort: (r) => r.breaker.failures, align: "end", hide: "narrow" },
    // What never happened needs no column.
    rows.some((r) => r.breaker.opened_total > 0) && { id: "opened", header: t("breakers.opened"), cell: (r) => f.number(r.breaker.opened_total), sort: (r) => r.breaker.opened_total, align: "end", hide: "narrow" },
    rows.some((r) => r.breaker.rejected_total > 0) && { id: "rejected", header: t("breakers.rejected"), cell: (r) => f.number(r.breaker.rejected_total), sort: (r) => r.breaker.rejected_total, align: "end", hide: "narrow" },
    { id: "last", header: t("breakers.last"), cell: (r) => (r.breaker.last_failure_at === null ? <span className="soft">{t("breakers.never")}</span> : <Time at={r.breaker.last_failure_at} />), sort: (r) => r.breaker.last_failure_at, hide: "narrow" },
  ] satisfies (Column<Row> | false)[]).filter((c) => c !== false);
  return (
    <>
      <p className={s.lead}>{t("breakers.lead")}</p>
      <Table label={t("breakers.title")} columns={columns} rows={rows} rowKey={(r) => r.key} />
      {reply.providers === null && <Note tone="warn">{t("breakers.no_providers", { reason: reply.providers_error ?? t("find.no_reason") })}</Note>}
    </>
  );
}
