/* Why this model: the decision of Switch for the answer's request, with everyone who could have answered. */
import { useRef, useState } from "react";
import { Dialog, Popover } from "react-aria-components";
import { Link } from "wouter";
import { useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, ErrorState, KeyValues, SkeletonLines, Unknown } from "../../ui";
import type { Message } from "./data";
import { text } from "./text";
import s from "./chat.module.css";

/** The popover is made when it is asked for: there is one of these under every answer. */
export function Why({ message }: { message: Message }) {
  const t = useText(text);
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  return (
    <>
      <button ref={button} type="button" className={s.why} aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(true)}>{t("why")}</button>
      {open && (
        <Popover className={s.whyBox ?? ""} placement="top end" triggerRef={button} isOpen onOpenChange={setOpen}>
          <Dialog aria-label={t("why.title")} className={s.whyInner ?? ""}><Reasons message={message} /></Dialog>
        </Popover>
      )}
    </>
  );
}

function Reasons({ message: m }: { message: Message }) {
  const t = useText(text);
  const f = useFormat();
  const list = useApi("switch.decisions", { params: { request_id: m.request_id ?? "", limit: 20 }, staleTime: 60_000 });
  const decision = list.data?.decisions[0] ?? null;
  const story = useApi("switch.decision", { params: { id: decision?.id ?? "" }, enabled: decision !== null, staleTime: 60_000 });
  const u = m.usage;
  const count = (n: number | null | undefined, reason: string) => (n == null ? <Unknown reason={reason} /> : f.number(n));
  return (
    <>
      <h2>{t("why.title")}</h2>
      <p>{m.reason ?? decision?.reason ?? t("why.unknown")}</p>
      <KeyValues items={[
        [t("why.asked"), m.requested_model ?? "auto"],
        [t("why.answered"), m.model ? `${m.model}${m.provider ? ` · ${m.provider}` : ""}` : <Unknown reason={t("why.nobody")} />],
        [t("fact.prompt"), <>{count(u?.prompt_tokens, t("why.not_reported"))}{u?.estimated && ` · ${t("estimated")}`}{u?.cached_tokens ? ` · ${t("fact.cached", { count: u.cached_tokens })}` : ""}</>],
        [t("fact.answer"), <>{count(u?.completion_tokens, t("why.not_reported"))}{u?.estimated && ` · ${t("estimated")}`}</>],
        [t("fact.speed"), m.tokens_per_second == null ? <Unknown reason={t("why.not_measured")} /> : t("fact.speed_short", { speed: f.number(m.tokens_per_second, 1) })],
        [t("fact.first"), m.first_token_ms == null ? <Unknown reason={t("why.not_measured")} /> : f.duration(m.first_token_ms)],
        [t("fact.total"), m.total_ms == null ? <Unknown reason={t("why.not_measured")} /> : f.duration(m.total_ms)],
        [t("fact.cost"), m.cost == null ? <Unknown reason={t("why.no_price")} /> : f.number(m.cost, 6)],
      ]} />
      {list.error && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {(list.isPending || (decision && story.isPending)) && !list.error && <SkeletonLines lines={3} />}
      {list.data && !decision && <p className="soft">{t("why.gone")}</p>}
      {story.data && story.data.story.candidates.length > 0 && (
        <>
          <h3>{t("why.candidates")}</h3>
          <div className={s.candidates} tabIndex={0} role="group" aria-label={t("why.candidates")}>
            <table>
              <thead><tr><th scope="col">{t("why.model")}</th><th scope="col" data-align="right">{t("why.score")}</th><th scope="col">{t("why.reason")}</th></tr></thead>
              <tbody>
                {story.data.story.candidates.map((c) => (
                  <tr key={`${c.provider}/${c.model}`} data-state={c.state}>
                    <td><strong>{c.model}</strong> <span className="soft">{c.provider}</span></td>
                    <td data-align="right" className="num">{c.state === "dropped" ? "—" : f.number(c.score, 3)}</td>
                    <td>{c.state !== "eligible" && <Badge tone={c.state === "dropped" ? "bad" : "warn"}>{t(c.state === "dropped" ? "why.dropped" : "why.not_now")}</Badge>} {c.reason}{c.guessed.length > 0 && <span className="soft"> · {t("why.guessed", { what: f.list(c.guessed) })}</span>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
      {decision && <p><Link href={`/requests/${decision.id}`}>{t("why.story")}</Link></p>}
    </>
  );
}
