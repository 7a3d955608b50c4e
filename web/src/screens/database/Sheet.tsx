/* One table in full: its columns with what they mean, its indices, the keys from and to it. */
import { useText } from "../../i18n";
import { useFormat } from "../../lib/format";
import { Badge, Dialog, KeyValues, Table, Unknown } from "../../ui";
import { useKept } from "./kept";
import type { Table as Tab } from "./graph";
import { text } from "./text";
import s from "./database.module.css";

export function Sheet({ table, tables, onOpen, onClose }: { table: Tab | null; tables: readonly Tab[]; onOpen: (name: string) => void; onClose: () => void }) {
  return (
    <Dialog open={table !== null} onClose={onClose} title={table?.name ?? ""} side="right">
      {table && <Inside table={table} tables={tables} onOpen={onOpen} />}
    </Dialog>
  );
}

function Inside({ table, tables, onOpen }: { table: Tab; tables: readonly Tab[]; onOpen: (name: string) => void }) {
  const t = useText(text);
  const f = useFormat();
  const kept = useKept();
  const incoming = tables.flatMap((x) => x.foreign_keys.filter((k) => k.table === table.name).map((k) => ({ table: x.name, key: k })));
  const fate = (k: Tab["foreign_keys"][number]) => (k.on_delete === "CASCADE" ? t("keys.cascade") : k.on_delete === "SET NULL" ? t("keys.set_null") : t("keys.kept"));
  return (
    <div className={s.sheet}>
      {table.comment !== null && <p>{table.comment}</p>}
      <KeyValues items={[
        [t("f.module"), table.module === "core" ? t("group.core") : table.module],
        [t("f.rows"), f.number(table.rows)],
        [t("f.bytes"), table.bytes === null ? <Unknown key="b" reason={t("no_bytes")} /> : f.bytes(table.bytes + (table.index_bytes ?? 0))],
        table.index_bytes !== null && [t("f.index_bytes"), f.bytes(table.index_bytes)],
        [t("f.retention"), table.retention ? `${kept(table)} (${t("keep.by", { column: table.retention.time_column })})` : kept(table)],
      ]} />
      <h3>{t("columns")}</h3>
      <Table label={t("columns")} rows={table.columns} rowKey={(c) => c.name} columns={[
        { id: "name", header: t("c.name"), cell: (c) => <code>{c.name}</code> },
        { id: "type", header: t("c.type"), cell: (c) => (
          <span className="row-wrap"><span className="soft">{c.type}</span>{c.primary && <Badge tone="accent">{t("c.primary")}</Badge>}{c.required && !c.primary && <Badge>{t("c.required")}</Badge>}</span>
        ) },
        { id: "comment", header: t("c.comment"), cell: (c) => <span className={s.meaning}>{c.comment ?? ""}{c.default_value !== null && <span className="soft"> {t("c.default", { value: c.default_value })}</span>}</span> },
      ]} />
      <h3>{t("indexes")}</h3>
      {table.indexes.length === 0 ? <p className="soft">{t("i.none")}</p> : (
        <Table label={t("indexes")} rows={table.indexes} rowKey={(i) => i.name} columns={[
          { id: "columns", header: t("i.columns"), cell: (i) => <code>{i.columns.join(", ")}</code> },
          { id: "kind", header: t("i.kind"), cell: (i) => [i.unique ? t("i.unique") : "", i.partial ? t("i.partial") : ""].filter(Boolean).join(", ") || t("i.plain") },
          { id: "name", header: t("i.name"), cell: (i) => <span className="soft">{i.name}</span> },
        ]} />
      )}
      <h3>{t("keys")}</h3>
      {table.foreign_keys.length === 0 ? <p className="soft">{t("keys.none")}</p> : (
        <ul className={s.keys}>
          {table.foreign_keys.map((k) => (
            <li key={k.columns.join()}><code>{k.columns.join(", ")}</code> → <button type="button" className={s.plain} onClick={() => onOpen(k.table)}>{k.table}</button> <code>({k.to.join(", ")})</code> <span className="soft">{fate(k)}</span></li>
          ))}
        </ul>
      )}
      {incoming.length > 0 && (
        <>
          <h3>{t("keys.in")}</h3>
          <ul className={s.keys}>
            {incoming.map((x) => <li key={`${x.table} ${x.key.columns.join()}`}><button type="button" className={s.plain} onClick={() => onOpen(x.table)}>{x.table}</button> <code>({x.key.columns.join(", ")})</code></li>)}
          </ul>
        </>
      )}
    </div>
  );
}
