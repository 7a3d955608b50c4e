/* One message, with what can be done with it, and under an answer what it took. */
import { memo, useEffect, useState } from "react";
import type { ReactNode } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Brain, Copy, FileAudio, FileText, GitBranch, History, LoaderCircle, Pencil, RefreshCw, Replace, Sparkles, ThumbsDown, ThumbsUp, TriangleAlert, User } from "lucide-react";
import type { OperatorFile } from "../../api";
import { useText } from "../../i18n";
import { call, urlOf } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, Dialog, IconButton, Note, TextArea, Time, Tooltip, copyText, cx, toast, useErrorText } from "../../ui";
import { messagePatch } from "./data";
import type { Message } from "./data";
import { useHelp } from "./help";
import { Markdown } from "./Markdown";
import { ModelList } from "./ModelList";
import { text } from "./text";
import { ToolSteps } from "./ToolSteps";
import { Why } from "./Why";
import s from "./chat.module.css";

export interface MessageActs {
  edit: (m: Message) => void;
  retry: (messageId: string, model?: string) => void;
  branch: (m: Message) => void;
  earlier: () => void;
}
export interface MessageRowProps {
  message: Message;
  growing: boolean;
  gap: boolean;
  flash: boolean;
  last: boolean;
  /** Something is being generated: nothing else can be begun. */
  busy: boolean;
  broken: boolean;
  startedAt: number | null;
  acts: MessageActs;
}

function Files({ files }: { files: readonly OperatorFile[] }) {
  const f = useFormat();
  if (files.length === 0) return null;
  return (
    <ul className={s.files}>
      {files.map((x) => (
        <li key={x.id}>
          <a href={urlOf("operator.files_content", { id: x.id })} target="_blank" rel="noopener noreferrer" className={x.kind === "image" ? s.thumb : s.file}>
            {x.kind === "image" ? <img src={urlOf("operator.files_content", { id: x.id })} alt={x.name} loading="lazy" {...(x.width && x.height && { width: x.width, height: x.height })} /> : (
              <>{x.kind === "audio" ? <FileAudio aria-hidden /> : <FileText aria-hidden />}<span className="truncate">{x.name}</span><span className="soft nowrap">{f.bytes(x.bytes)}</span></>
            )}
          </a>
        </li>
      ))}
    </ul>
  );
}

function Facts({ message: m }: { message: Message }) {
  const t = useText(text);
  const f = useFormat();
  const facts: [string, string, ReactNode][] = [];
  const u = m.usage;
  if (u && (u.prompt_tokens !== null || u.completion_tokens !== null)) {
    const about = u.estimated ? "≈ " : "";
    const count = (n: number | null) => (n === null ? "?" : f.number(n));
    facts.push(["tokens", t(u.estimated ? "fact.tokens_estimated" : u.cached_tokens ? "fact.tokens_cached" : "fact.tokens", { in: count(u.prompt_tokens), out: count(u.completion_tokens), cached: count(u.cached_tokens) }),
      t("fact.tokens_short", { in: about + count(u.prompt_tokens), out: about + count(u.completion_tokens) })]);
  }
  if (m.tokens_per_second != null) facts.push(["speed", t("fact.speed"), t("fact.speed_short", { speed: f.number(m.tokens_per_second, m.tokens_per_second < 100 ? 1 : 0) })]);
  if (m.first_token_ms != null) facts.push(["first", t("fact.first"), t("fact.first_short", { time: f.duration(m.first_token_ms) })]);
  if (m.total_ms != null) facts.push(["total", t("fact.total"), f.duration(m.total_ms)]);
  if (m.cost != null) facts.push(["cost", t("fact.cost"), t("fact.cost_short", { cost: f.number(m.cost, 6) })]);
  return (
    <>
      {facts.map(([id, tip, value]) => <Tooltip key={id} text={tip} label={false}><span className={cx(s.fact, "num")} data-fact={id}>{value}</span></Tooltip>)}
    </>
  );
}

function Thumbs({ message: m }: { message: Message }) {
  const t = useText(text);
  const client = useQueryClient();
  const errorText = useErrorText();
  const [noting, setNoting] = useState<number | null>(null);
  const [note, setNote] = useState("");
  const rating = m.feedback?.rating ?? 0;
  const put = (value: number, words?: string) => {
    call("operator.messages_feedback", { params: { id: m.session_id, message_id: m.id }, body: { rating: value, ...(words && { note: words }) } }).then((feedback) => {
      messagePatch(client, m.session_id, m.id, (x) => ({ ...x, feedback }));
      toast(feedback.learned ? t("feedback.learned") : t("feedback.kept", { reason: feedback.reason ?? "" }), feedback.learned ? "ok" : "info");
    }, (e: unknown) => toast(errorText(e), "bad"));
  };
  const take = () => {
    call("operator.messages_feedback_remove", { params: { id: m.session_id, message_id: m.id } }).then(() => messagePatch(client, m.session_id, m.id, (x) => ({ ...x, feedback: null })), (e: unknown) => toast(errorText(e), "bad"));
  };
  const press = (value: number) => {
    if (Math.sign(rating) === value) return take();
    setNote(m.feedback?.note ?? "");
    if (value > 0) put(value);
    else setNoting(value);
  };
  return (
    <>
      <IconButton small icon={ThumbsUp} label={t("good")} aria-pressed={rating > 0} className={cx(rating > 0 && s.chosen)} onClick={() => press(1)} />
      <IconButton small icon={ThumbsDown} label={t("bad")} aria-pressed={rating < 0} className={cx(rating < 0 && s.chosen)} onClick={() => press(-1)} />
      {noting !== null && <Dialog open onClose={() => setNoting(null)} title={t("bad.title")} foot={
        <>
          <Button onClick={() => setNoting(null)}>{t("cancel")}</Button>
          <Button kind="primary" onClick={() => { put(noting ?? -1, note.trim()); setNoting(null); }}>{t("bad.send")}</Button>
        </>
      }>
        <p className="soft">{t("bad.text")}</p>
        <TextArea label={t("bad.note")} value={note} onChange={setNote} maxLength={2000} rows={3} autoFocus />
      </Dialog>}
    </>
  );
}

function Reasoning({ value, growing }: { value: string; growing: boolean }) {
  const t = useText(text);
  return (
    <details className={s.reasoning}>
      <summary><Brain aria-hidden />{growing ? t("thinking") : t("thought")}</summary>
      <div className={s.reasoningText} tabIndex={0} role="group" aria-label={t("thought")}>{value}</div>
    </details>
  );
}

function Failure({ message: m, onRetry, onOther, busy }: { message: Message; onRetry: () => void; onOther: () => void; busy: boolean }) {
  const t = useText(text);
  const help = useHelp();
  return (
    <div className={s.failure} role="group" aria-label={t("failed")}>
      <TriangleAlert aria-hidden />
      <div>
        <strong>{t("failed")}</strong>
        <p>{m.error?.message ?? t("failed.unknown")}</p>
        <p className="soft">{help(m.error?.code ?? null)}</p>
        {m.error?.request_id && <p className={s.small}>{t("request", { id: m.error.request_id })}</p>}
        <div className="row-wrap">
          <Button small icon={RefreshCw} onClick={onRetry} disabled={busy}>{t("retry")}</Button>
          <Button small icon={Replace} onClick={onOther} disabled={busy}>{t("retry.other")}</Button>
        </div>
      </div>
    </div>
  );
}

export const MessageRow = memo(function MessageRow({ message: m, growing, gap, flash, last, busy, broken, startedAt, acts }: MessageRowProps) {
  const t = useText(text);
  const [picking, setPicking] = useState(false);
  const mine = m.role === "user";
  const pending = m.id === "pending";
  const old = m.replaced_by != null;
  const who = mine ? t("you") : m.model ?? t("assistant");
  const copy = () => copyText(m.content).then(() => toast(t("copied"), "ok"), () => toast(t("copy_failed"), "bad"));
  const wait = growing && m.content === "" && m.tool_calls.length === 0;
  return (
    <>
      {gap && <div className={s.gap}><Button small kind="quiet" icon={History} onClick={acts.earlier}>{t("earlier.show")}</Button></div>}
      <article className={cx(s.message, mine ? s.mine : s.theirs)} data-message={m.id} data-role={m.role} data-status={m.status} data-flash={flash ? "" : undefined} data-old={old ? "" : undefined} data-last={last ? "" : undefined} tabIndex={-1} aria-busy={growing || undefined}>
        <header className={s.who}>
          <span className={s.avatar} aria-hidden>{mine ? <User /> : <Sparkles />}</span>
          <h2 className={cx(mine && "visually-hidden")}>{who}</h2>
          {!mine && m.provider && <span className="soft">{t("via", { provider: m.provider })}</span>}
          {old && <span className={s.oldMark}>{t("replaced")}</span>}
          {!pending && <span className={s.when}><Time at={m.timestamp} /></span>}
        </header>
        <div className={s.body}>
          {m.reasoning && <Reasoning value={m.reasoning} growing={growing && m.content === ""} />}
          {m.tool_calls.length > 0 && <ToolSteps calls={m.tool_calls} sessionId={m.session_id} />}
          {mine ? <p className={s.said}>{m.content}</p> : m.content !== "" && (
            <div className={cx(m.status === "failed" && s.part)}>
              {m.status === "failed" && <p className={s.partMark}>{t("part.failed")}</p>}
              <Markdown source={m.content} growing={growing} />
            </div>
          )}
          <Files files={m.attachments} />
          {wait && <p className={s.waiting}><LoaderCircle className={s.turning} aria-hidden />{m.reasoning ? t("thinking") : t("waiting")}</p>}
          {growing && !wait && <span className={s.caret} aria-hidden />}
          {broken && <Note tone="warn">{t("broken")}</Note>}
          {m.status === "cancelled" && !growing && <p className={s.partMark}>{m.content === "" ? t("cancelled.empty") : t("cancelled")}</p>}
          {m.status === "failed" && !growing && <Failure message={m} busy={busy} onRetry={() => acts.retry(m.id)} onOther={() => setPicking(true)} />}
          {m.history_dropped ? <p className={s.small}>{t("dropped", { count: m.history_dropped })}</p> : null}
          {m.finish_reason === "length" && <p className={s.small}>{t("cut")}</p>}
        </div>
        {!growing && !pending && (
          <footer className={s.under}>
            {m.content !== "" && <IconButton small icon={Copy} label={mine ? t("copy.mine") : t("copy")} onClick={() => void copy()} />}
            {mine && !old && <IconButton small icon={Pencil} label={t("edit")} disabled={busy} onClick={() => acts.edit(m)} />}
            {!mine && !old && m.status !== "failed" && (
              <>
                <IconButton small icon={RefreshCw} label={t("retry.menu")} disabled={busy} onClick={() => acts.retry(m.id)} />
                <IconButton small icon={Replace} label={t("retry.other")} disabled={busy} onClick={() => setPicking(true)} />
              </>
            )}
            {!old && <IconButton small icon={GitBranch} label={t("branch")} onClick={() => acts.branch(m)} />}
            {!mine && !old && m.status === "ok" && <Thumbs message={m} />}
            {!mine && (
              <span className={s.facts}>
                <Facts message={m} />
                {m.request_id && <Why message={m} />}
              </span>
            )}
          </footer>
        )}
        {growing && startedAt !== null && <footer className={s.under}><span className="soft num" aria-hidden><Since at={startedAt} /></span></footer>}
      </article>
      {picking && (
        <Dialog open onClose={() => setPicking(false)} title={t("retry.other")}>
          <ModelList value={m.requested_model ?? "auto"} onPick={(model) => { setPicking(false); acts.retry(m.id, model); }} />
        </Dialog>
      )}
    </>
  );
});

function Since({ at }: { at: number }) {
  const f = useFormat();
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return <>{f.duration(Math.floor((performance.now() - at) / 1000) * 1000)}</>;
}
