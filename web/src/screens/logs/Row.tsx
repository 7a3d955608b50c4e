/* One record: a line, which unfolds to all of its fields. */
import { memo } from "react";
import { Link } from "wouter";
import { ChevronRight } from "lucide-react";
import { useText } from "../../i18n";
import { useFormat } from "../../lib/format";
import { CopyButton, KeyValues, Status } from "../../ui";
import type { LogRecord } from "./records";
import { text } from "./text";
import s from "./logs.module.css";

const tones = { trace: "none", debug: "none", info: "info", warn: "warn", error: "bad" } as const;
const say = (v: unknown): string => (typeof v === "string" ? v : JSON.stringify(v));

interface Props {
  record: LogRecord;
  open: boolean;
  onToggle: () => void;
  onFailed: () => void;
}

export const RecordRow = memo(function RecordRow({ record, open, onToggle }: Props) {
  const t = useText(text);
  const f = useFormat();
  const fields = Object.entries((record.fields ?? {}) as Record<string, unknown>);
  const ms = String(((record.at % 1000) + 1000) % 1000).padStart(3, "0");
  return (
    <div className={s.record} data-level={record.level} data-open={open || undefined}>
      <button type="button" className={s.line} aria-expanded={open} onClick={onToggle}>
        <ChevronRight className={s.chevron} aria-hidden />
        <time className={s.time} dateTime={new Date(record.at).toISOString()}>{f.time(record.at)}.{ms}</time>
        <span className={s.level}><Status tone={tones[record.level]}>{t(`level.${record.level}`)}</Status></span>
        <span className={s.module} data-field="module">{record.module}</span>
        <span className={s.message}>
          {record.part !== null && <span className="soft">{record.part}: </span>}{record.message}
          {!open && fields.map(([k, v]) => <span key={k} className={s.pair}> {k}=<span>{say(v)}</span></span>)}
          {!open && record.request_id !== null && <span className={s.pair}> request_id=<span>{record.request_id}</span></span>}
        </span>
      </button>
      {open && (
        <div className={s.inside}>
          <div className="row-wrap">
            {record.request_id !== null && <Link href={`/requests?q=${encodeURIComponent(record.request_id)}`}>{t("request")}</Link>}
            <CopyButton label={t("copy")} text={() => JSON.stringify(record, null, 2)} />
          </div>
          <KeyValues items={[
            [t("when"), f.dateTime(record.at)],
            [t("module"), record.module],
            record.part !== null && [t("part"), record.part],
            [t("message"), record.message],
            ...fields.map(([k, v]) => [k, <span key={k} className="mono wrap-any">{say(v)}</span>] as const),
            record.request_id !== null && !fields.some(([k]) => k === "request_id") && ["request_id", <span key="r" className="mono wrap-any">{record.request_id}</span>],
          ]} />
        </div>
      )}
    </div>
  );
});
