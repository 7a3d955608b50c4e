/* A chore as several screens show it: a button that begins it, how it goes, when it comes by itself, why it failed. */
import { useEffect, useRef } from "react";
import { useQueryClient } from "@tanstack/react-query";
import type { LucideIcon } from "lucide-react";
import type { SupervisorChore, SupervisorChoreRequest } from "../../api";
import { useText } from "../../i18n";
import { keyOf, useAct, useApi } from "../../lib/api";
import type { RouteId } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, ErrorState, Note, Status, toast, useErrorText } from "../../ui";
import { text } from "./text";

export type ChoreKind = SupervisorChore["kind"];
const active = (c: SupervisorChore) => c.state === "queued" || c.state === "running";

/** Begins a chore and follows it. refresh: what is asked for anew when one has ended. */
export function useChore(kind: ChoreKind, refresh: readonly RouteId[]) {
  const t = useText(text);
  const client = useQueryClient();
  const errorText = useErrorText();
  const list = useApi("supervisor.chores", {
    params: { kind, limit: 5 },
    refetchInterval: (q) => (q.state.data?.chores.some(active) ? 1000 : 15_000),
  });
  const again = () => void client.invalidateQueries({ queryKey: keyOf("supervisor.chores") });
  const fail = (e: unknown) => toast(errorText(e), "bad");
  const start = useAct("supervisor.chore_start", { onSuccess: again, onError: fail });
  const cancel = useAct("supervisor.chore_cancel", { onSuccess: again, onError: fail });
  const chores = list.data?.chores.filter((c) => c.kind === kind) ?? [];
  const current = chores.find(active) ?? null;
  const last = chores.find((c) => !active(c)) ?? null;
  const followed = useRef<string | null>(null);
  const ended = followed.current !== null && current?.id !== followed.current ? chores.find((c) => c.id === followed.current && !active(c)) : undefined;
  const endedId = ended?.id;
  useEffect(() => {
    if (current) followed.current = current.id;
  }, [current]);
  useEffect(() => {
    if (!ended) return;
    followed.current = null;
    if (ended.state === "done") toast(t(`done.${kind}`), "ok");
    else if (ended.state === "failed") toast(t("failed", { reason: ended.reason ?? t("no_reason") }), "bad");
    else toast(t("cancelled"), "info");
    for (const id of refresh) void client.invalidateQueries({ queryKey: keyOf(id) });
  }, [endedId]); // eslint-disable-line react-hooks/exhaustive-deps
  return {
    list, current, last, schedule: list.data?.schedule.find((x) => x.kind === kind) ?? null,
    begin: (body: Omit<SupervisorChoreRequest, "kind"> = {}) => start.mutate({ body: { kind, ...body } }),
    beginning: start.isPending,
    cancel: () => { if (current) cancel.mutate({ params: { id: current.id } }); },
    cancelling: cancel.isPending,
  };
}
export type Chore = ReturnType<typeof useChore>;

/** The bar above what the chore makes. */
export function ChoreBar({ chore, label, icon, onBegin }: { chore: Chore; label: string; icon: LucideIcon; onBegin?: () => void }) {
  const t = useText(text);
  const f = useFormat();
  const { current, schedule: s } = chore;
  return (
    <div className="stack">
      <div className="row-wrap">
        <Button kind="primary" icon={icon} busy={chore.beginning || current !== null} onClick={() => (onBegin ? onBegin() : chore.begin())}>{label}</Button>
        {current && (
          <>
            <Status tone="info">{current.state === "queued" || current.started_at === null ? t("queued") : t("running", { time: f.duration(Math.max(0, Date.now() - current.started_at)) })}</Status>
            <Button small busy={chore.cancelling} onClick={chore.cancel}>{t("cancel")}</Button>
          </>
        )}
      </div>
      {chore.list.error && <ErrorState error={chore.list.error} onRetry={() => void chore.list.refetch()} />}
      {s && (
        <p className="soft">
          {s.every_ms === 0 ? t("never") : s.next_at !== null && s.next_at > Date.now() ? t("every", { time: f.duration(s.every_ms), when: f.relative(s.next_at) }) : t("every_soon", { time: f.duration(s.every_ms) })}{" "}
          {s.last_done_at === null ? t("last_never") : t("last", { when: f.relative(s.last_done_at) })}
        </p>
      )}
      {s?.failing != null && !current && <Note tone="bad">{t("failing", { reason: s.failing })}</Note>}
    </div>
  );
}
