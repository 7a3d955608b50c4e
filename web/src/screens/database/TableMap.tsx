/* The map of tables by their keys. Each is a button to its details; narrow screens get the keys as a list. */
import { useMemo, useState } from "react";
import { Download } from "lucide-react";
import { useText } from "../../i18n";
import { urlOf } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Select } from "../../ui";
import { graphOf } from "./graph";
import type { Table } from "./graph";
import { text } from "./text";
import s from "./database.module.css";

export function TableMap({ tables: all, onOpen }: { tables: readonly Table[]; onOpen: (name: string) => void }) {
  const t = useText(text);
  const f = useFormat();
  const [near, setNear] = useState<string | null>(null);
  const [module, setModule] = useState("");
  const modules = useMemo(() => [...new Set(all.map((x) => x.module))].sort((a, b) => a.localeCompare(b)), [all]);
  // A module's tables, and those of others that they point to or that point to them.
  const tables = useMemo(() => {
    if (module === "") return all;
    const own = new Set(all.filter((x) => x.module === module).map((x) => x.name));
    const beside = new Set(all.flatMap((x) => x.foreign_keys.flatMap((k) => (own.has(x.name) ? [k.table] : own.has(k.table) ? [x.name] : []))));
    return all.filter((x) => own.has(x.name) || beside.has(x.name));
  }, [all, module]);
  const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const graph = useMemo(() => graphOf(tables, scale), [tables, scale]);
  const apart = (from: string, to: string) => near !== null && from !== near && to !== near;
  const pointed = (x: Table) => [...new Set(x.foreign_keys.map((k) => k.table))];
  return (
    <>
      <div className="row-wrap">
        <Select label={t("map.module")} value={module} onChange={setModule} options={[{ value: "", label: t("map.all") }, ...modules.map((m) => ({ value: m, label: m === "core" ? t("group.core") : m.charAt(0).toUpperCase() + m.slice(1) }))]} />
        <span className="spacer" />
        <a className={s.download} href={urlOf("operator.database_map", { format: "markdown", sizes: true })} download="DB_MAP.md"><Download aria-hidden />{t("map.markdown")}</a>
        <a className={s.download} href={urlOf("operator.database_map", { format: "json", sizes: true })} download="DB_SCHEMA.json"><Download aria-hidden />{t("map.json")}</a>
      </div>
      <p className="soft">{t("map.lead")}</p>
      <div className={s.mapScroll} tabIndex={0} role="region" aria-label={t("map.region")}>
        <div className={s.map} style={{ width: graph.width, height: graph.height }}>
          <svg width={graph.width} height={graph.height} aria-hidden="true">
            <defs>
              <marker id="key" viewBox="0 0 8 8" refX="7" refY="4" markerWidth={7} markerHeight={7} markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.5L8 4L0 7.5z" className={s.tip} /></marker>
            </defs>
            {graph.lines.map((l) => <path key={l.key} d={l.path} className={s.wire} data-dim={apart(l.from, l.to) || undefined} data-near={(near !== null && !apart(l.from, l.to)) || undefined} markerEnd="url(#key)" />)}
          </svg>
          {graph.spots.map(({ table: x, ...at }) => (
            <button key={x.name} type="button" className={s.box} style={{ left: at.x, top: at.y, width: graph.box.w, height: graph.box.h }} onClick={() => onOpen(x.name)}
              onPointerEnter={() => setNear(x.name)} onPointerLeave={() => setNear(null)} onFocus={() => setNear(x.name)} onBlur={() => setNear(null)}>
              <span className={s.boxName}>{x.name}</span>
              {" "}
              <span className="soft truncate">{x.module === "core" ? t("group.core") : x.module}, {t("map.rows", { count: x.rows })}</span>
              {pointed(x).length > 0 && <span className="visually-hidden">, {t("map.points", { names: f.list(pointed(x)) })}</span>}
            </button>
          ))}
        </div>
      </div>
      <ul className={s.keyList}>
        {graph.spots.map(({ table: x }) => (
          <li key={x.name}>
            <button type="button" className={s.plain} onClick={() => onOpen(x.name)}>{x.name}</button>
            <span className="soft"> {t("map.rows", { count: x.rows })}{pointed(x).length > 0 && ` → ${pointed(x).join(", ")}`}</span>
          </li>
        ))}
      </ul>
      {graph.alone.length > 0 && (
        <>
          <h3>{t("map.alone")}</h3>
          <ul className={s.alone}>{graph.alone.map((x) => <li key={x.name}><button type="button" className={s.chip} onClick={() => onOpen(x.name)}>{x.name}</button></li>)}</ul>
        </>
      )}
    </>
  );
}
