/* The ledger: what was decided or changed, the newest first, and whether its chain of hashes is whole. */
import { useState } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link2, ScrollText } from "lucide-react";
import type { SupervisorLedgerReport, SupervisorLedgerRow } from "../../api";
import { useText } from "../../i18n";
import { call, keyOf, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, CodeBlock, CopyButton, Dialog, EmptyState, ErrorState, KeyValues, Note, Select, SkeletonLines, Table } from "../../ui";
import type { Column } from "../../ui";
import { text } from "./text";
import s from "./readiness.module.css";

const KINDS = ["token", "login", "module", "confirmation", "start", "stop", "config", "maintenance", "retention", "restore", "import", "doctor"] as const;
/* One word is a kind of its own, or the beginning of several. */
const asked: Record<(typeof KINDS)[number], string> = {
  token: "token.", login: "login", module: "module.", confirmation: "confirmation.", start: "start", stop: "stop", config: "config.", maintenance: "maintenance", retention: "retention.",
  restore: "restore", import: "import", doctor: "doctor.",
};

const short = (detail: unknown): string => (detail === undefined || detail === null ? "" : typeof detail === "object"
  ? Object.entries(detail).map(([k, v]) => `${k}: ${typeof v === "string" ? v : JSON.stringify(v)}`).join(", ") : JSON.stringify(detail));

export function Ledger() {
  const t = useText(text);
  const f = useFormat();
  const [kind, setKind] = useState<string>("");
  const [open, setOpen] = useState<SupervisorLedgerRow | null>(null);
  const list = useInfiniteQuery({
    queryKey: [...keyOf("supervisor.ledger"), kind],
    queryFn: ({ pageParam, signal }) => call("supervisor.ledger", { params: { limit: 100, ...(kind !== "" && { kind }), ...(pageParam !== null && { before: pageParam }) }, signal }),
    initialPageParam: null as number | null,
    getNextPageParam: (x) => x.next_before ?? null,
    refetchInterval: 30_000,
  });
  const rows = list.data?.pages.flatMap((p) => p.rows) ?? [];
  const head = list.data?.pages[0]?.head;
  const columns: Column<SupervisorLedgerRow>[] = [
    { id: "n", header: t("l.n"), cell: (r) => <button type="button" className={s.plain} aria-label={t("l.open", { n: r.n })} onClick={() => setOpen(r)}>{f.number(r.n)}</button>, align: "end", width: "4.5rem" },
    { id: "at", header: t("l.at"), cell: (r) => <span className="nowrap">{f.dateTime(r.at)}</span>, width: "12rem" },
    { id: "kind", header: t("l.kind"), cell: (r) => <code className="wrap-any">{r.kind}</code> },
    { id: "actor", header: t("l.actor"), cell: (r) => <span className={s.words}>{r.actor}</span>, hide: "narrow" },
    { id: "subject", header: t("l.subject"), cell: (r) => <span className={s.words}>{r.subject ?? <span className="soft">{t("l.system")}</span>}</span>, hide: "narrow" },
    { id: "detail", header: t("l.detail"), cell: (r) => <span className={`soft ${s.words ?? ""}`}>{short(r.detail)}</span>, hide: "medium" },
  ];
  return (
    <div className={s.panel}>
      <p className="soft">{t("l.lead")}</p>
      <Verify head={head} />
      <div className="row-wrap">
        <Select label={t("l.filter")} value={kind} onChange={setKind} options={[{ value: "", label: t("l.all") }, ...KINDS.map((k) => ({ value: asked[k], label: t(`k.${k}`) }))]} />
      </div>
      {list.error ? <ErrorState error={list.error} onRetry={() => void list.refetch()} /> : !list.data ? <SkeletonLines lines={8} /> : rows.length === 0 ? (
        <EmptyState icon={ScrollText} title={t("l.none")}>{t("l.none_text")}</EmptyState>
      ) : (
        <>
          <Table label={t("tab.ledger")} columns={columns} rows={rows} rowKey={(r) => r.id} />
          {list.hasNextPage && <div><Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("more")}</Button></div>}
        </>
      )}
      <Dialog open={open !== null} onClose={() => setOpen(null)} side="right" title={open ? t("l.open", { n: open.n }) : ""}>
        {open && (
          <div className={s.sheet}>
            <KeyValues items={[
              [t("l.at"), f.dateTime(open.at)], [t("l.kind"), <code key="k">{open.kind}</code>], [t("l.actor"), open.actor], [t("l.subject"), open.subject ?? t("l.system")],
              [t("l.hash"), <code key="h" className="wrap-any">{open.hash}</code>], [t("l.prev"), <code key="p" className="wrap-any">{open.prev}</code>],
            ]} />
            {open.detail !== undefined && open.detail !== null && <><h3>{t("l.detail")}</h3><CodeBlock text={JSON.stringify(open.detail, null, 2)} wrap label={t("l.detail")} /></>}
          </div>
        )}
      </Dialog>
    </div>
  );
}

function Verify({ head }: { head: string | undefined }) {
  const t = useText(text);
  const verify = useApi("supervisor.ledger_verify", { enabled: false, retry: false, gcTime: 0 });
  return (
    <div className="stack">
      <div className="row-wrap">
        <Button icon={Link2} busy={verify.isFetching} onClick={() => void verify.refetch()}>{t(verify.data ? "l.again" : "l.verify")}</Button>
        {head !== undefined && head !== "" && <span className="row"><span className="soft nowrap">{t("l.head")}</span><code className="truncate" title={t("l.head_text")}>{head.slice(0, 24)}…</code><CopyButton text={head} /></span>}
      </div>
      {verify.error ? <ErrorState error={verify.error} /> : verify.data && <Verdict r={verify.data} />}
    </div>
  );
}

function Verdict({ r }: { r: SupervisorLedgerReport }) {
  const t = useText(text);
  const f = useFormat();
  return (
    <Note tone={r.sound ? "ok" : "bad"}>
      <strong>{t(r.sound ? "l.sound" : "l.unsound")}.</strong> {t("l.walked", { count: r.rows, time: f.duration(r.duration_ms) })}
      {!r.sound && (
        <p>
          {t("l.first")}: {r.reason ?? r.fault}{r.n !== undefined && ` (${t("l.open", { n: r.n })})`}.{r.bad > 0 && ` ${t("l.bad", { count: r.bad })}.`}{r.missing > 0 && ` ${t("l.missing", { count: r.missing })}.`}
        </p>
      )}
      {" "}{r.anchored ? t("l.anchored") : t("l.no_anchor", { reason: r.anchor_reason ?? t("l.no_anchor_reason") })}
    </Note>
  );
}
