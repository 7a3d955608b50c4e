/* One request's story: what it was, who could have answered and why this one did, each attempt in time, what was said. */
import { Link } from "wouter";
import type { SwitchCandidate, SwitchDecisionBodies } from "../../api";
import { useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, CodeBlock, CopyButton, Dialog, ErrorState, KeyValues, Note, SkeletonLines, Status, Table, Tooltip, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { outcomeTone } from ".";
import { Waterfall } from "./Waterfall";
import s from "./requests.module.css";
import { text } from "./text";

function Candidates({ list }: { list: readonly SwitchCandidate[] }) {
  const t = useText(text);
  const f = useFormat();
  const term = (name: string, value: number, c: SwitchCandidate) => {
    const words = f.number(value, 2);
    return c.guessed.includes(name) ? <Tooltip text={t("cand.guessed")}><span className={s.guess} tabIndex={0}>{words}*</span></Tooltip> : words;
  };
  const columns: Column<SwitchCandidate>[] = [
    { id: "name", header: t("cand.name"), cell: (c) => <span className={s.who}><strong className="truncate">{c.model}</strong><span className="soft truncate">{c.provider}</span></span> },
    { id: "state", header: t("cand.state"), cell: (c) => <Status tone={c.state === "eligible" ? "ok" : c.state === "not_now" ? "warn" : "none"}>{t(`cand.${c.state}`)}</Status> },
    { id: "score", header: t("cand.score"), align: "end", sort: (c) => c.score, cell: (c) => <strong>{f.number(c.score, 3)}</strong> },
    { id: "quality", header: t("cand.quality"), align: "end", hide: "narrow", sort: (c) => c.quality, cell: (c) => term("quality", c.quality, c) },
    { id: "latency", header: t("cand.latency"), align: "end", hide: "narrow", sort: (c) => c.latency, cell: (c) => term("latency", c.latency, c) },
    { id: "cost", header: t("cand.cost"), align: "end", hide: "narrow", sort: (c) => c.cost, cell: (c) => term("cost", c.cost, c) },
    { id: "learned", header: t("cand.learned"), align: "end", hide: "narrow", sort: (c) => c.learned, cell: (c) => term("learned", c.learned, c) },
    { id: "adjust", header: t("cand.adjust"), align: "end", hide: "narrow", sort: (c) => c.adjust, cell: (c) => f.number(c.adjust, 2) },
  ];
  return (
    <>
      <div className={s.whole}><Table label={t("candidates.title")} columns={columns} rows={list} rowKey={(c) => `${c.provider}/${c.model}`} /></div>
      <ul className={s.reasons}>{list.filter((c) => c.reason).map((c) => <li key={`${c.provider}/${c.model}`}><strong>{c.model}</strong> <span className="soft">{c.reason}</span></li>)}</ul>
    </>
  );
}

function Bodies({ it }: { it: SwitchDecisionBodies }) {
  const t = useText(text);
  const f = useFormat();
  if (!it.kept) return <p className="soft">{t("bodies.none")}</p>;
  const cut = (body: string, bytes: number | null) => bytes !== null && new TextEncoder().encode(body).length < bytes && <p className="soft">{t("bodies.cut", { bytes: f.bytes(bytes) })}</p>;
  return (
    <>
      {it.request !== null && <><h4>{t("bodies.request")}</h4><CodeBlock text={pretty(it.request)} wrap label={t("bodies.request")} />{cut(it.request, it.request_bytes)}</>}
      {it.reply !== null && <><h4>{t("bodies.reply")}</h4><CodeBlock text={pretty(it.reply)} wrap label={t("bodies.reply")} />{cut(it.reply, it.reply_bytes)}</>}
    </>
  );
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

export function Story({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useText(text);
  const f = useFormat();
  const one = useApi("switch.decision", { params: { id }, staleTime: 60_000 });
  const d = one.data?.decision;
  const story = one.data?.story;
  return (
    <Dialog open onClose={onClose} side="right" title={d ? t("story.title", { time: f.dateTime(d.at) }) : t("title")}>
      {one.error && <ErrorState error={one.error} onRetry={() => void one.refetch()} />}
      {!one.data && !one.error && <SkeletonLines lines={8} />}
      {d && story && one.data && (
        <>
          <div className="row-wrap">
            <Status tone={outcomeTone[d.outcome]}>{t(`outcome.${d.outcome}`)}</Status>
            {d.model && <strong className="wrap-any">{d.model}</strong>}
            {d.provider && <Badge>{d.provider}</Badge>}
            <span className="num">{f.duration(d.total_ms)}</span>
            {d.from_cache && <Badge tone="info">{t("story.cache")}</Badge>}
          </div>
          {d.error && <Note tone="bad">{d.error}</Note>}
          <KeyValues items={[
            [t("story.reason"), d.reason],
            [t("col.asked"), d.requested_model ?? "—"],
            [t("col.who"), d.principal ?? "—"],
            [t("col.tokens"), d.prompt_tokens === null && d.completion_tokens === null ? <Unknown key="t" reason={t("why.no_tokens")} /> : (
              <span key="t" className="num">{t("tokens.in", { count: d.prompt_tokens ?? 0 })}, {t("tokens.out", { count: d.completion_tokens ?? 0 })}
                {d.cached_tokens !== null && d.cached_tokens > 0 && <> ({f.number(d.cached_tokens)} {t("story.cached")})</>}
                {d.estimated && <span className="soft"> · {t("story.estimated")}</span>}
              </span>
            )],
            [t("col.cost"), d.cost === null ? <Unknown key="c" reason={t("why.no_price")} /> : f.number(d.cost, 6)],
            [t("col.first"), d.first_token_ms === null ? <Unknown key="f" reason={t("why.no_stream")} /> : f.duration(d.first_token_ms)],
            story.task_type !== null && [t("story.task"), story.task_type],
            story.mode !== null && [t("story.mode"), story.mode],
            story.privacy !== null && [t("story.privacy"), story.privacy === "local_only" ? t("story.private") : t("story.anywhere")],
            story.fluzo !== null && [t("story.machine"), t(`fluzo.${story.fluzo}`)],
            [t("story.stream"), d.stream ? t("story.yes") : t("story.no")],
            [t("story.route"), <span key="r" className="mono">{d.route}</span>],
            [t("story.status"), String(d.status)],
            [t("story.request"), <span key="i" className="mono wrap-any">{d.request_id} <CopyButton text={d.request_id} /></span>],
            story.trace_id !== null && [t("story.trace"), <span key="x" className="mono wrap-any">{story.trace_id} <CopyButton text={story.trace_id} /></span>],
            ["", <Link key="l" href={`/logs?q=${encodeURIComponent(d.request_id)}`}>{t("story.logs")}</Link>],
          ]} />
          <h3>{t("attempts.title")}</h3>
          {story.attempts === null ? <p className="soft">{t("attempts.none")}</p> : story.attempts.length === 0 ? <p className="soft">{t("attempts.no_one")}</p> : <Waterfall attempts={story.attempts} total={d.total_ms} />}
          <h3>{t("candidates.title")}</h3>
          {story.candidates.length === 0 ? <p className="soft">{t("candidates.none")}</p> : <Candidates list={story.candidates} />}
          <h3>{t("bodies.title")}</h3>
          <Bodies it={one.data} />
        </>
      )}
    </Dialog>
  );
}
