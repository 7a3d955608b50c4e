/* Everything known of one model, and what loading it would do now. */
import { useQuery } from "@tanstack/react-query";
import type { HermesModel } from "../../api";
import { useText } from "../../i18n";
import { ApiError, call } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { CopyButton, Dialog, ErrorState, KeyValues, Note, Skeleton, Time, Unknown } from "../../ui";
import { State } from "./Installed";
import { text } from "./text";

function Plan({ name }: { name: string }) {
  const t = useText(text);
  const f = useFormat();
  const plan = useQuery({ queryKey: ["hermes.plan", name], queryFn: ({ signal }) => call("hermes.plan", { body: { model: name }, signal }) });
  if (plan.error) return plan.error instanceof ApiError && plan.error.status === 404 ? <Unknown reason={plan.error.message} /> : <ErrorState error={plan.error} />;
  if (!plan.data) return <Skeleton width="12rem" />;
  const p = plan.data;
  const words = p.verdict === "evict" ? t("plan.evict", { names: f.list(p.evict.map((e) => e.model)) })
    : p.verdict === "wait" || p.verdict === "never" ? t(`plan.${p.verdict}`, { reason: p.reason }) : t(`plan.${p.verdict}`);
  return <>{words} <span className="soft">{t("detail.needs")} {f.bytes(p.need_bytes)}</span></>;
}

export function Details({ model: m, onClose }: { model: HermesModel; onClose: () => void }) {
  const t = useText(text);
  const f = useFormat();
  const header = <Unknown reason={t("why.header")} />;
  const e = m.engine;
  return (
    <Dialog open onClose={onClose} side="right" title={m.title ?? m.name}>
      {m.reason && <Note tone="bad">{m.reason}</Note>}
      {e?.reason && e.state === "failed" && <Note tone="bad">{e.reason}</Note>}
      <KeyValues items={[
        [t("col.state"), <State key="s" model={m} />],
        [t("detail.plan"), <Plan key="p" name={m.name} />],
        [t("detail.source"), t(`source.${m.source}`)],
        [t("detail.path"), <span key="f" className="mono wrap-any">{m.path} <CopyButton text={m.path} /></span>],
        [t("col.size"), m.size_bytes === null ? <Unknown key="z" reason={t("why.external")} /> : f.bytes(m.size_bytes)],
        [t("detail.architecture"), m.architecture ?? header],
        [t("detail.parameters"), m.parameters === null ? header : f.compact(m.parameters)],
        [t("detail.quantisation"), m.quantisation ?? header],
        [t("col.context"), m.context_length === null ? header : f.number(m.context_length)],
        [t("detail.layers"), m.layers === null ? header : f.number(m.layers)],
        [t("detail.vocabulary"), m.vocabulary === null ? header : f.number(m.vocabulary)],
        [t("detail.template"), m.has_chat_template ? t("yes") : t("no")],
        [t("detail.capabilities"), m.capabilities.length === 0 ? "—" : f.list(m.capabilities)],
        [t("detail.licence"), m.licence ?? header],
        [t("detail.sha"), m.sha256 === null ? <Unknown key="h" /> : <span key="h" className="mono wrap-any">{m.sha256} <CopyButton text={m.sha256} /></span>],
        [t("col.uses"), f.number(m.usage_count)],
        [t("detail.registered"), <Time key="r" at={m.created_at} absolute />],
        e?.pid != null && [t("detail.pid"), String(e.pid)],
        e?.rss_bytes != null && [t("col.memory"), f.bytes(e.rss_bytes)],
        e?.load_ms != null && [t("detail.load"), f.duration(e.load_ms)],
        e?.expires_at != null && [t("detail.unloads"), <Time key="x" at={e.expires_at} />],
        e != null && e.restarts > 0 && [t("detail.restarts"), f.number(e.restarts)],
      ]} />
    </Dialog>
  );
}
