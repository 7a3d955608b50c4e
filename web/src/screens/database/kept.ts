/* How long a table's rows are kept, in words. */
import { useText } from "../../i18n";
import { useFormat } from "../../lib/format";
import type { Table } from "./graph";
import { text } from "./text";

export function useKept(): (t: Table) => string {
  const t = useText(text);
  const f = useFormat();
  return ({ retention: r }) => {
    const age = r?.max_age_ms ?? null;
    const rows = r?.max_rows ?? null;
    if (age !== null && rows !== null) return t("keep.both", { time: f.duration(age), rows });
    if (age !== null) return t("keep.age", { time: f.duration(age) });
    return rows !== null ? t("keep.rows", { count: rows }) : t("keep.all");
  };
}
