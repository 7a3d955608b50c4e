/* Attempts in time: one bar each, its phases side by side, on one scale from the request's arrival to its end. The same
 * as words for who does not see it. */
import type { SwitchAttempt } from "../../api";
import { useText } from "../../i18n";
import { useFormat } from "../../lib/format";
import { Badge, Status, Tooltip } from "../../ui";
import s from "./requests.module.css";
import { text } from "./text";

type Phase = "load" | "connect" | "think" | "first" | "write" | "rest";
interface Part {
  phase: Phase;
  from: number;
  to: number;
}

/** From one known moment to the next; a moment that nobody noted merges its phase into the one before. */
export function partsOf(a: SwitchAttempt): Part[] {
  const marks: [Phase, number | null][] = [
    ["load", a.start_ms], ["connect", a.called_ms], ["think", a.connected_ms], ["first", a.headers_ms], ["write", a.first_token_ms],
  ];
  const known = marks.filter((m): m is [Phase, number] => m[1] !== null);
  return known.map(([phase, from], i) => ({ phase: i === known.length - 1 && phase === "first" ? "rest" as const : phase, from, to: known[i + 1]?.[1] ?? a.end_ms })).filter((p) => p.to > p.from);
}

const tones = { ok: "ok", failed: "bad", dropped: "none", cancelled: "warn" } as const;

export function Waterfall({ attempts, total }: { attempts: readonly SwitchAttempt[]; total: number }) {
  const t = useText(text);
  const f = useFormat();
  const end = Math.max(total, ...attempts.map((a) => a.end_ms), 0.001);
  const at = (ms: number) => `${(ms / end) * 100}%`;
  const phases: Phase[] = ["load", "connect", "think", "first", "write", "rest"];
  const used = new Set(attempts.flatMap((a) => partsOf(a).map((p) => p.phase)));
  return (
    <div className="stack">
      <ol className={s.attempts}>
        {attempts.map((a, i) => {
          const parts = partsOf(a);
          const said = parts.map((p) => `${t(`phase.${p.phase}`)} ${f.duration(p.to - p.from)}`).join(", ");
          return (
            <li key={i}>
              <div className="row-wrap">
                <strong className="wrap-any">{a.model}</strong><span className="soft">{a.provider}</span><Badge>{t(`attempt.${a.kind}`)}</Badge>
                <Status tone={tones[a.outcome]}>{t(`attempt.${a.outcome}`)}{a.status !== null && a.outcome !== "ok" ? ` · ${a.status}` : ""}</Status>
                <span className="spacer" /><span className="num">{f.duration(a.end_ms - a.start_ms)}</span>
              </div>
              <div className={s.track} role="img" aria-label={`${t("phase.table", { n: i + 1 })}: ${said}`}>
                {parts.map((p) => (
                  <Tooltip key={p.phase} text={`${t(`phase.${p.phase}`)}: ${f.duration(p.to - p.from)}`} label={false}>
                    <span data-phase={p.phase} style={{ left: at(p.from), width: at(p.to - p.from) }} />
                  </Tooltip>
                ))}
              </div>
              {a.error && <div className="soft wrap-any">{a.error}</div>}
            </li>
          );
        })}
      </ol>
      <div className={s.scale} aria-hidden><span>0</span><span>{f.duration(end / 2)}</span><span>{f.duration(end)}</span></div>
      <ul className={s.legend} aria-hidden>{phases.filter((p) => used.has(p)).map((p) => <li key={p}><span data-phase={p} />{t(`phase.${p}`)}</li>)}</ul>
    </div>
  );
}
