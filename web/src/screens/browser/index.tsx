/* Browser: give it a page and steps, watch them happen, look at what was found; the tasks so far below. */
import { useState } from "react";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Globe } from "lucide-react";
import { useLocation, useRoute } from "wouter";
import type { OperatorBrowserRequest, OperatorBrowserTask } from "../../api";
import { useText } from "../../i18n";
import { call, keyOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Card, EmptyState, ErrorState, Note, Page, SkeletonLines, Status, Table, Time, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { Form } from "./Form";
import { Task } from "./Task";
import s from "./browser.module.css";
import { text } from "./text";

export const taskTone = { pending: "none", running: "info", done: "ok", error: "bad", timeout: "bad", cancelled: "warn" } as const;

function Readiness() {
  const t = useText(text);
  const status = useApi("operator.browser_status", { refetchInterval: 5000 });
  const b = status.data;
  if (status.error && !b) return <ErrorState error={status.error} onRetry={() => void status.refetch()} />;
  if (!b) return null;
  return (
    <>
      <div className="row-wrap">
        <Status tone={b.available ? "ok" : "warn"}>{b.available ? t("status.ready") : t("status.not")}</Status>
        <Badge>{t(`mode.${b.mode}`)}</Badge>
        {b.chromium && <Badge>{b.chromium}</Badge>}
        {b.mcp && <Badge>Playwright MCP {b.mcp}</Badge>}
        {b.node && <Badge>Node {b.node}</Badge>}
        {b.running > 0 && <Badge tone="info">{t("status.running", { count: b.running })}</Badge>}
        {b.pending > 0 && <Badge>{t("status.pending", { count: b.pending })}</Badge>}
      </div>
      {!b.available && b.reason && <Note tone="warn">{b.reason}</Note>}
    </>
  );
}

function History({ onOpen }: { onOpen: (id: string) => void }) {
  const t = useText(text);
  const f = useFormat();
  const tasks = useInfiniteQuery({
    queryKey: ["operator.browser_list"], initialPageParam: "", refetchInterval: 5000,
    queryFn: ({ pageParam, signal }) => call("operator.browser_list", { params: pageParam ? { cursor: pageParam } : {}, signal }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  if (tasks.error && !tasks.data) return <ErrorState error={tasks.error} onRetry={() => void tasks.refetch()} />;
  if (!tasks.data) return <SkeletonLines lines={4} />;
  const columns: Column<OperatorBrowserTask>[] = [
    { id: "when", header: t("col.when"), width: "9rem", cell: (x) => <Time at={x.created_at} /> },
    { id: "state", header: t("col.state"), width: "9rem", cell: (x) => <Status tone={taskTone[x.status]}>{t(`task.${x.status}`)}</Status> },
    { id: "url", header: t("col.url"), cell: (x) => <span className="truncate">{x.url}</span> },
    { id: "time", header: t("col.time"), align: "end", width: "7rem", cell: (x) => x.duration_ms === null ? <Unknown /> : f.duration(x.duration_ms) },
  ];
  return (
    <Card title={t("history.title")} flush>
      <Table label={t("history.title")} columns={columns} rows={tasks.data.pages.flatMap((p) => p.tasks)} rowKey={(x) => x.id} onOpen={(x) => onOpen(x.id)}
        onEnd={() => { if (tasks.hasNextPage && !tasks.isFetchingNextPage) void tasks.fetchNextPage(); }} loadingMore={tasks.isFetchingNextPage}
        empty={<EmptyState icon={Globe} title={t("history.empty")}>{t("history.empty_text")}</EmptyState>} />
    </Card>
  );
}

export default function Browser() {
  const t = useText(text);
  const [, go] = useLocation();
  const [, params] = useRoute("/browser/:id");
  const client = useQueryClient();
  const [again, setAgain] = useState<OperatorBrowserRequest | null>(null);
  const add = useAct("operator.browser_add", {
    onSuccess: (task) => {
      client.setQueryData(keyOf("operator.browser_get", { id: task.id }), task);
      void client.invalidateQueries({ queryKey: ["operator.browser_list"] });
      go(`/browser/${task.id}`);
    },
  });
  if (params?.id) {
    return <Task key={params.id} id={params.id} onAgain={(request) => { setAgain(request); add.reset(); go("/browser"); }} />;
  }
  return (
    <Page title={t("title")} lead={t("lead")}>
      <div className={s.stack}>
        <Readiness />
        {add.error && <ErrorState error={add.error} />}
        <Form key={JSON.stringify(again)} initial={again} busy={add.isPending} onRun={(body) => add.mutate({ body })} />
        <History onOpen={(id) => go(`/browser/${id}`)} />
      </div>
    </Page>
  );
}
