/* One task as it goes: steps come in over the stream, screenshots as they are taken, then what was found. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { ArrowLeft, Ban, ExternalLink, RotateCcw } from "lucide-react";
import { Link } from "wouter";
import type { OperatorBrowserRequest, OperatorBrowserResult, OperatorBrowserStep, OperatorBrowserTask } from "../../api";
import { useText } from "../../i18n";
import { keyOf, urlOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { useStream } from "../../lib/sse";
import { Button, Card, CodeBlock, ErrorState, KeyValues, Note, Page, SkeletonLines, Status, Table, Tabs, Time, Unknown, toast, useErrorText } from "../../ui";
import { taskTone } from ".";
import s from "./browser.module.css";
import { text } from "./text";

const stepTone = { running: "info", ok: "ok", error: "bad", skipped: "none" } as const;
const reasons = ["url_refused", "browser_unavailable", "browser_crashed", "navigation_failed", "step_failed", "timeout", "restarted"] as const;
const over = (task: OperatorBrowserTask) => task.status !== "pending" && task.status !== "running";

function Steps({ steps }: { steps: readonly OperatorBrowserStep[] }) {
  const t = useText(text);
  const f = useFormat();
  return (
    <ol className={s.log}>
      {steps.map((x) => (
        <li key={x.index}>
          <div className="row-wrap">
            <Status tone={stepTone[x.status]}>{t(`step.${x.status}`)}</Status>
            <strong>{x.do in doNames ? t(`do.${x.do as keyof typeof doNames}`) : x.do}</strong>
            {x.target && <span className="mono soft wrap-any">{x.target}</span>}
            <span className="spacer" />
            {x.duration_ms !== null && <span className="num soft">{f.duration(x.duration_ms)}</span>}
          </div>
          {x.error && <div className={s.bad}>{x.error}</div>}
          {x.result !== null && x.result !== undefined && x.do !== "snapshot" && <CodeBlock text={typeof x.result === "string" ? x.result : JSON.stringify(x.result, null, 2)} wrap />}
        </li>
      ))}
    </ol>
  );
}
const doNames = { navigate: 1, click: 1, type: 1, fill: 1, press: 1, select: 1, hover: 1, wait: 1, scroll: 1, screenshot: 1, evaluate: 1, snapshot: 1, text: 1, back: 1 } as const;

function Shots({ ids, title }: { ids: readonly string[]; title: string }) {
  const t = useText(text);
  const [chosen, setChosen] = useState<string | null>(null);
  const shown = chosen !== null && ids.includes(chosen) ? chosen : ids.at(-1);
  if (shown === undefined) return <p className="soft">{t("shots.none")}</p>;
  return (
    <div className="stack">
      <a className={s.shot} href={urlOf("operator.browser_screenshot", { id: shown })} target="_blank" rel="noreferrer" aria-label={t("shots.open")}>
        <img src={urlOf("operator.browser_screenshot", { id: shown })} alt={t("shots.alt", { title })} />
      </a>
      {ids.length > 1 && (
        <ul className={s.thumbs}>
          {ids.map((id, i) => (
            <li key={id}><button type="button" aria-pressed={id === shown} onClick={() => setChosen(id)}><img src={urlOf("operator.browser_screenshot", { id })} alt={`${t("shots.title")} ${i + 1}`} loading="lazy" /></button></li>
          ))}
        </ul>
      )}
    </div>
  );
}

type View = "text" | "snapshot" | "requests" | "console";
function Found({ result: r }: { result: OperatorBrowserResult }) {
  const t = useText(text);
  const f = useFormat();
  const [view, setView] = useState<View>("text");
  const words = r.text ?? r.text_snippet;
  return (
    <>
      <KeyValues items={[
        [t("result.page"), r.title ?? <Unknown key="t" reason={t("result.no_title")} />],
        [t("result.final"), r.final_url === null ? <Unknown key="u" /> : <a key="u" className="wrap-any" href={/^https?:/.test(r.final_url) ? r.final_url : undefined} target="_blank" rel="noreferrer noopener">{r.final_url} <ExternalLink size="0.9em" aria-hidden /></a>],
        [t("result.status"), r.http_status === null ? <Unknown key="s" reason={t("result.no_status")} /> : String(r.http_status)],
      ]} />
      <Tabs label={t("result.title")} value={view} onChange={setView} tabs={[
        { id: "text", label: t("result.text"), panel: () => words ? <div className={s.panel}><CodeBlock text={words} wrap label={t("result.text")} /></div> : <p className="soft">{t("result.none")}</p> },
        { id: "snapshot", label: t("result.snapshot"), panel: () => r.snapshot ? <div className={s.panel}><CodeBlock text={r.snapshot} label={t("result.snapshot")} /></div> : <p className="soft">{t("result.none")}</p> },
        { id: "requests", label: `${t("result.requests")} (${f.number(r.requests.length)})`, panel: () => (
          <div className={s.panel}>
            <Table label={t("result.requests")} rows={r.requests.map((x, i) => ({ ...x, i }))} rowKey={(x) => String(x.i)} empty={<p className="soft">{t("result.none")}</p>} columns={[
              { id: "method", header: t("req.method"), width: "5rem", cell: (x) => x.method },
              { id: "url", header: t("req.url"), cell: (x) => <span className="truncate" title={x.url}>{x.url}</span> },
              { id: "status", header: t("req.status"), align: "end", width: "8rem", cell: (x) => x.refused ? <Status tone="bad">{t("req.refused")}</Status> : x.status === null ? <Unknown reason={t("req.no_status")} /> : String(x.status) },
            ]} />
          </div>
        ) },
        { id: "console", label: `${t("result.console")} (${f.number(r.console_errors.length)})`, panel: () => r.console_errors.length === 0 ? <p className="soft">{t("result.none")}</p> : <div className={s.panel}><CodeBlock text={r.console_errors.join("\n")} wrap /></div> },
      ]} />
    </>
  );
}

export function Task({ id, onAgain }: { id: string; onAgain: (request: OperatorBrowserRequest) => void }) {
  const t = useText(text);
  const f = useFormat();
  const client = useQueryClient();
  const errorText = useErrorText();
  const one = useApi("operator.browser_get", { params: { id } });
  const task = one.data;
  const put = (next: OperatorBrowserTask) => client.setQueryData(keyOf("operator.browser_get", { id }), next);
  useStream("operator.browser_events", { params: { id } }, { enabled: task !== undefined && !over(task), once: true, onEvent: (e) => { if (e.event === "task") put(JSON.parse(e.data) as OperatorBrowserTask); } });
  const cancel = useAct("operator.browser_cancel", { onSuccess: put, onError: (e) => toast(errorText(e), "bad") });
  if (one.error && !task) return <Page title={t("title")}><ErrorState error={one.error} onRetry={() => void one.refetch()} /></Page>;
  if (!task) return <Page title={t("title")}><SkeletonLines lines={6} /></Page>;
  const shots = task.result?.screenshots ?? task.steps.map((x) => x.screenshot).filter((x): x is string => x !== null);
  const known = reasons.find((x) => x === task.error_code);
  return (
    <Page title={<span className="wrap-any">{task.result?.title ?? task.url}</span>} actions={
      <>
        {!over(task) && <Button icon={Ban} busy={cancel.isPending} onClick={() => cancel.mutate({ params: { id } })}>{t("task.cancel")}</Button>}
        {over(task) && <Button icon={RotateCcw} onClick={() => onAgain({ url: task.url, actions: task.actions, timeout_ms: task.timeout_ms })}>{t("new.again")}</Button>}
      </>
    }>
      <div className={s.stack}>
        <div className="row-wrap" role="status">
          <Link href="/browser" className={s.back}><ArrowLeft size="1em" aria-hidden /> {t("task.back")}</Link>
          <Status tone={taskTone[task.status]}>{t(`task.${task.status}`)}</Status>
          {task.queue_position !== null && task.queue_position > 0 && <span className="soft">{t("task.queue", { count: task.queue_position })}</span>}
          <span className="soft"><Time at={task.created_at} /></span>
          {task.duration_ms !== null && <span className="num soft">{f.duration(task.duration_ms)}</span>}
          {task.result?.title && <span className="soft wrap-any">{task.url}</span>}
        </div>
        {task.error && <Note tone="bad">{known && <strong>{t(`why.${known}`)} </strong>}{task.error}</Note>}
        <div className={s.columns}>
          <Card title={t("steps.title")}>{task.steps.length === 0 ? <SkeletonLines lines={2} /> : <Steps steps={task.steps} />}</Card>
          <Card title={t("shots.title")}><Shots ids={shots} title={task.result?.title ?? task.url} /></Card>
        </div>
        {task.result && <Card title={t("result.title")}><div className="stack"><Found result={task.result} /></div></Card>}
      </div>
    </Page>
  );
}
