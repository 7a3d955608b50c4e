/* The backups there are, how they are, and how one is restored. */
import { Archive, ShieldCheck } from "lucide-react";
import type { BackupItem } from "../../api";
import { useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, CodeBlock, EmptyState, ErrorState, KeyValues, SkeletonLines, Status, Table, Time, Unknown } from "../../ui";
import type { Column } from "../../ui";
import { ChoreBar, useChore } from "../chores/Chore";
import { text } from "./text";
import s from "./database.module.css";

const LIST = ["supervisor.backups"] as const;

export function Backups() {
  const t = useText(text);
  const f = useFormat();
  const list = useApi("supervisor.backups", { refetchInterval: 30_000 });
  const make = useChore("backup", LIST);
  const verify = useChore("verify", LIST);
  const backups = list.data?.backups ?? [];
  const newest = backups.find((b) => b.verified);
  const columns: Column<BackupItem>[] = [
    { id: "made", header: t("b.made"), cell: (b) => (b.made_at === null ? <Unknown reason={b.problem ?? t("b.kind.unknown")} /> : <Time at={b.made_at} absolute />), sort: (b) => b.made_at },
    { id: "kind", header: t("b.kind"), cell: (b) => <span className="row-wrap">{t(b.kind === null ? "b.kind.unknown" : `b.kind.${b.kind}`)}{b.encrypted && <Badge>{t("b.encrypted")}</Badge>}{b.compressed && <Badge>{t("b.compressed")}</Badge>}</span>, sort: (b) => b.kind },
    { id: "bytes", header: t("b.bytes"), cell: (b) => (b.bytes === null ? <Unknown reason={b.problem ?? t("b.unknown")} /> : f.bytes(b.bytes)), sort: (b) => b.bytes, align: "end" },
    { id: "database", header: t("b.database"), cell: (b) => (b.database_bytes === null ? <Unknown reason={b.problem ?? t("b.unknown")} /> : f.bytes(b.database_bytes)), sort: (b) => b.database_bytes, align: "end", hide: "narrow" },
    { id: "rows", header: t("b.rows"), cell: (b) => (b.rows === null ? <Unknown reason={b.problem ?? t("b.unknown")} /> : f.number(b.rows)), sort: (b) => b.rows, align: "end", hide: "narrow" },
    { id: "state", header: t("b.state"), cell: (b) => (
      b.problem !== null ? <Status tone="bad"><span className={s.meaning}>{b.problem}</span></Status>
        : b.verified && b.verified_at !== null ? <Status tone="ok">{t("b.verified", { when: f.relative(b.verified_at) })}</Status>
          : <Status tone="warn">{t("b.unverified")}</Status>
    ) },
    { id: "act", header: t("b.act"), hideHeader: true, align: "end", cell: (b) => (
      <Button small icon={ShieldCheck} disabled={verify.current !== null} aria-label={t("backup.verify_name", { name: b.name })} onClick={() => verify.begin({ name: b.name })}>{t("backup.verify")}</Button>
    ) },
  ];
  return (
    <div className={s.panel}>
      <ChoreBar chore={make} label={t("backup.now")} icon={Archive} />
      {list.error ? <ErrorState error={list.error} onRetry={() => void list.refetch()} /> : !list.data ? <SkeletonLines lines={6} /> : backups.length === 0 ? (
        <EmptyState icon={Archive} title={t("backup.none")}>{t("backup.none_text")}</EmptyState>
      ) : (
        <>
          <KeyValues items={[
            [t("backup.newest"), newest && newest.made_at !== null ? <Time key="n" at={newest.made_at} /> : <Status key="n" tone="bad">{t("backup.newest_none")}</Status>],
            [t("backup.bytes"), `${f.bytes(list.data.bytes)} (${t("backup.sum", { count: backups.length })})`],
            [t("backup.free"), list.data.free_bytes === null ? <Unknown key="f" reason={t("backup.free_unknown")} /> : f.bytes(list.data.free_bytes)],
            [t("backup.folder"), <code key="p" className="wrap-any">{list.data.folder}</code>],
          ]} />
          <Table label={t("tab.backups")} columns={columns} rows={backups} rowKey={(b) => b.name} />
          <ChoreBar chore={verify} label={t("backup.verify_all")} icon={ShieldCheck} />
        </>
      )}
      <p className="soft">{t("backup.restore")}</p>
      <CodeBlock text={`vx11 db restore ${newest?.name ?? "NAME"} --stop`} wrap label={t("backup.restore")} />
    </div>
  );
}
