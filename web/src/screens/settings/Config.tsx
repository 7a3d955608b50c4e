/* The effective configuration: every key, what holds, who set it. */
import { useDeferredValue, useMemo, useState } from "react";
import { RotateCw } from "lucide-react";
import type { Json, OperatorConfigValue } from "../../api";
import { rich, useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import type { Format } from "../../lib/format";
import { Badge, Checkbox, EmptyState, ErrorState, SearchField, SkeletonLines, Tooltip } from "../../ui";
import { text } from "./text";
import s from "./settings.module.css";

const code = { code: (x: string) => <code>{x}</code> };

function say(v: Json | null, unit: string | null, f: Format): string {
  if (v === null) return "";
  if (typeof v === "number") return unit === "bytes" ? `${f.bytes(v)} (${v})` : unit === "ms" && v >= 1000 ? `${f.duration(v)} (${v} ms)` : `${v}${unit ? ` ${unit}` : ""}`;
  return typeof v === "string" ? v || '""' : JSON.stringify(v);
}

/** link.page_port as VX11_LINK__PAGE_PORT; keys within lists have no variable. */
const variableOf = (key: string) => (key.includes("[") ? null : `VX11_${key.toUpperCase().replaceAll(".", "__")}`);

function Value({ v }: { v: OperatorConfigValue }) {
  const t = useText(text);
  const f = useFormat();
  if (v.secret) return <span className="soft">{t("config.secret")}</span>;
  if (v.value === null || v.value === undefined) return <span className="soft">{t("config.unset")}</span>;
  return <span className={`${s.value ?? ""} mono`}>{say(v.value, v.unit ?? null, f)}</span>;
}

function Row({ v }: { v: OperatorConfigValue }) {
  const t = useText(text);
  const f = useFormat();
  const variable = variableOf(v.key);
  return (
    <li className={s.row}>
      <div className={s.key}>
        <span className="row-wrap">
          <code className={s.keyName}>{v.key}</code>
          {v.restart && <Tooltip text={t("config.restart_text")}><span tabIndex={0}><Badge icon={RotateCw}>{t("config.restart")}</Badge></span></Tooltip>}
        </span>
        <span className="soft">{v.doc}</span>
      </div>
      <div className={s.cell}><Value v={v} /></div>
      <div className={s.origin}>
        {v.origin === "default" ? <span className="soft">{t("config.origin_default")}</span> : (
          <>
            <Badge tone="accent">{v.source ?? v.origin}</Badge>
            {!v.secret && v.default !== null && v.default !== undefined && <span className="soft wrap-any">{t("config.default", { value: say(v.default, v.unit ?? null, f) })}</span>}
          </>
        )}
        {variable && v.origin !== "environment" && <span className={`${s.variable ?? ""} soft mono`}>{variable}</span>}
      </div>
    </li>
  );
}

export function Config() {
  const t = useText(text);
  const config = useApi("operator.config");
  const [q, setQ] = useState("");
  const [changed, setChanged] = useState(false);
  const wanted = useDeferredValue(q.trim().toLowerCase());
  const found = useMemo(() => {
    const words = wanted.split(/\s+/).filter(Boolean);
    return (config.data?.values ?? []).filter((v) => (!changed || v.origin !== "default") && words.every((w) => `${v.key} ${v.doc} ${variableOf(v.key) ?? ""}`.toLowerCase().includes(w)));
  }, [config.data, wanted, changed]);
  const sections = useMemo(() => {
    const map = new Map<string, OperatorConfigValue[]>();
    for (const v of found) {
      const name = v.key.split(/[.[]/)[0] ?? "";
      const list = map.get(name);
      if (list) list.push(v);
      else map.set(name, [v]);
    }
    return [...map];
  }, [found]);
  if (config.error) return <div className={s.panel}><ErrorState error={config.error} onRetry={() => void config.refetch()} /></div>;
  return (
    <div className={s.panel}>
      <p className="soft">{rich(t("config.lead"), code)}</p>
      {config.data ? (
        <>
          <p><span className="soft">{t("config.file")}: </span>{config.data.path ? <code>{config.data.path}</code> : rich(t("config.no_file"), code)}</p>
          <div className="row-wrap">
            <SearchField label={t("config.search")} value={q} onChange={setQ} />
            <Checkbox checked={changed} onChange={setChanged}>{t("config.changed")}</Checkbox>
            <span className="spacer" />
            <span className="soft num" role="status">{t("config.count", { count: found.length })}</span>
          </div>
          {found.length === 0 && <EmptyState title={t("config.none")} />}
          {sections.map(([name, list]) => (
            <section key={name} className={s.section} aria-labelledby={`config-${name}`}>
              <h2 id={`config-${name}`} className={s.sectionName}>{name}</h2>
              <ul className={s.rows}>{list.map((v) => <Row key={v.key} v={v} />)}</ul>
            </section>
          ))}
        </>
      ) : <SkeletonLines lines={10} />}
    </div>
  );
}
