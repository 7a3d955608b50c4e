/* Requests: the decision log. Charts over time, a list that filters and goes on as far as one scrolls, and one
 * request's story beside it. */
import { useMemo, useState } from "react";
import { keepPreviousData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { FilterX, Waypoints } from "lucide-react";
import { useLocation, useRoute } from "wouter";
import type { SwitchDecision, SwitchDecisionQuery } from "../../api";
import { useCommands } from "../../app/commands";
import { useText } from "../../i18n";
import { ApiError, call, keyOf, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, Card, EmptyState, ErrorState, Page, SearchField, Select, SkeletonLines, Status, Table, Tabs, Tooltip, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { Charts } from "./Charts";
import { Story } from "./Story";
import s from "./requests.module.css";
import { text } from "./text";

export const outcomeTone = { ok: "ok", failed: "bad", cancelled: "warn", refused: "warn" } as const;
type Outcome = SwitchDecision["outcome"];
interface Filter {
  q: string;
  model: string;
  provider: string;
  outcome: Outcome | "";
  min: string;
}
const today = (at: number) => new Date(at).toDateString() === new Date().toDateString();
const nothing: Filter = { q: "", model: "", provider: "", outcome: "", min: "" };
const PAGE = 200;

function queryOf(f: Filter): SwitchDecisionQuery {
  return {
    limit: PAGE, ...(f.q && { q: f.q }), ...(f.model && { model: f.model }), ...(f.provider && { provider: f.provider }),
    ...(f.outcome && { outcome: f.outcome }), ...(f.min && { min_ms: Number(f.min) }),
  };
}

/** The pages so far, one list. The first is asked for again every few seconds, and only it: what lies behind does not change. */
function useDecisions(filter: Filter) {
  const query = queryOf(filter);
  const pages = useInfiniteQuery({
    queryKey: ["decisions", query],
    queryFn: ({ pageParam, signal }) => call("switch.decisions", { params: { ...query, ...(pageParam && { cursor: pageParam }) }, signal }),
    initialPageParam: "", getNextPageParam: (last) => last.next_cursor ?? undefined, placeholderData: keepPreviousData, staleTime: Infinity, refetchOnWindowFocus: false,
  });
  const head = useApi("switch.decisions", { params: query, refetchInterval: 4000 });
  const rows = useMemo(() => {
    const seen = new Set<string>();
    return [...(head.data?.decisions ?? []), ...(pages.data?.pages ?? []).flatMap((p) => p.decisions)].filter((d) => !seen.has(d.id) && seen.add(d.id)).sort((a, b) => (a.id < b.id ? 1 : -1));
  }, [head.data, pages.data]);
  return { pages, rows };
}

export default function Requests() {
  const t = useText(text);
  const [, go] = useLocation();
  const [, params] = useRoute("/requests/:id");
  const tab = params?.id === "charts" ? "charts" : "list";
  return (
    <Page title={t("title")} lead={t("lead")}>
      <Tabs
        label={t("title")} value={tab} onChange={(id) => go(id === "list" ? "/requests" : "/requests/charts")}
        tabs={[{ id: "list", label: t("tab.list"), panel: () => <List open={tab === "list" ? params?.id ?? null : null} /> }, { id: "charts", label: t("charts.title"), panel: () => <div className={s.tab}><Charts /></div> }]}
      />
    </Page>
  );
}

function List({ open }: { open: string | null }) {
  const t = useText(text);
  const f = useFormat();
  const client = useQueryClient();
  const [, go] = useLocation();
  const [filter, setFilter] = useState<Filter>(() => ({ ...nothing, q: new URLSearchParams(window.location.search).get("q") ?? "" }));
  const providers = useApi("switch.providers", { staleTime: 30_000 });
  const models = useMemo(() => [...new Set((providers.data?.providers ?? []).flatMap((p) => p.models))].sort(), [providers.data]);
  const { pages, rows } = useDecisions(filter);
  const filtered = JSON.stringify(filter) !== JSON.stringify(nothing);
  const clear = () => setFilter(nothing);
  useCommands(() => [{ id: "requests.clear", label: t("filter.clear"), icon: FilterX, run: clear }], [t]);
  const set = <K extends keyof Filter>(k: K) => (v: Filter[K]) => setFilter((old) => ({ ...old, [k]: v }));
  const any = { value: "", label: t("filter.any") };

  const columns = useMemo<Column<SwitchDecision>[]>(() => [
    { id: "time", header: t("col.time"), width: "8.5rem", cell: (d) => <Tooltip text={f.relative(d.at)}><time dateTime={new Date(d.at).toISOString()} className="num nowrap">{today(d.at) ? f.time(d.at) : `${f.day(d.at)} ${f.time(d.at).slice(0, 5)}`}</time></Tooltip> },
    { id: "outcome", header: t("col.outcome"), width: "8.5rem", cell: (d) => <Status tone={outcomeTone[d.outcome]}>{t(`outcome.${d.outcome}`)}</Status> },
    { id: "model", header: t("col.model"), cell: (d) => (d.model === null ? <span className="soft truncate">{d.error ?? d.reason}</span> : <span className={s.who}><strong className="truncate">{d.model}</strong><span className="soft truncate">{d.provider}</span></span>) },
    { id: "asked", header: t("col.asked"), hide: "medium", cell: (d) => <span className="truncate">{d.requested_model ?? "—"}</span> },
    { id: "who", header: t("col.who"), hide: "medium", cell: (d) => <span className="truncate">{d.principal ?? "—"}</span> },
    { id: "tokens", header: t("col.tokens"), align: "end", hide: "narrow", width: "7.5rem", cell: (d) => d.completion_tokens === null ? <Unknown reason={t("why.no_tokens")} /> : <span className="num">{f.compact(d.prompt_tokens ?? 0)} → {f.compact(d.completion_tokens)}</span> },
    { id: "first", header: t("col.first"), align: "end", hide: "narrow", width: "6.5rem", cell: (d) => d.first_token_ms === null ? <Unknown reason={t("why.no_stream")} /> : f.duration(d.first_token_ms) },
    { id: "total", header: t("col.total"), align: "end", width: "6rem", cell: (d) => f.duration(d.total_ms) },
  ], [t, f]);

  const error = pages.error;
  return (
    <div className={s.tab}>
      <Card flush>
        <div className={s.filters} role="search">
          <SearchField label={t("filter.search")} value={filter.q} onChange={set("q")} />
          <Select label={t("filter.outcome")} value={filter.outcome} onChange={set("outcome")} options={[any, ...(["ok", "failed", "cancelled", "refused"] as const).map((o) => ({ value: o, label: t(`outcome.${o}`) }))] as { value: Outcome | ""; label: string }[]} />
          <Select label={t("filter.provider")} value={filter.provider} onChange={set("provider")} options={[any, ...(providers.data?.providers ?? []).map((p) => ({ value: p.name, label: p.name }))]} />
          <Select label={t("filter.model")} value={filter.model} onChange={set("model")} options={[any, ...models.map((m) => ({ value: m, label: m }))]} />
          <Select label={t("filter.slow")} value={filter.min} onChange={set("min")} options={[any, ...["1000", "5000", "20000", "60000"].map((ms) => ({ value: ms, label: f.duration(Number(ms)) }))]} />
          {filtered && <Button icon={FilterX} onClick={clear}>{t("filter.clear")}</Button>}
        </div>
        {error && rows.length === 0 ? <ErrorState error={error} onRetry={() => void client.invalidateQueries({ queryKey: keyOf("switch.decisions") }).then(() => pages.refetch())} />
          : pages.isPending ? <div className={s.pad}><SkeletonLines lines={8} /></div> : (
            <Table
              label={t("title")} columns={columns} rows={rows} rowKey={(d) => d.id} height="min(70vh, 60rem)" openKey={open} onOpen={(d) => go(`/requests/${d.id}`)}
              loadingMore={pages.isFetchingNextPage} onEnd={() => { if (pages.hasNextPage && !pages.isFetchingNextPage) void pages.fetchNextPage(); }}
              empty={<EmptyState icon={Waypoints} title={t("empty.title")}>{filtered ? t("empty.filtered") : t("empty.text")}</EmptyState>}
            />
          )}
        {rows.length > 0 && <p className={`${s.foot ?? ""} soft`}>{t("rows", { count: rows.length })}{pages.hasNextPage ? ` · ${t("rows.more")}` : ""} · {t("live")}</p>}
      </Card>
      {open !== null && <Story id={open} onClose={() => go("/requests")} />}
      {error instanceof ApiError && rows.length > 0 && <ErrorState error={error} onRetry={() => void pages.refetch()} />}
    </div>
  );
}
