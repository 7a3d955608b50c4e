/* The tokens: list, make, rotate, revoke. A secret is shown in one dialog and kept nowhere. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Check, KeyRound, Plus, RefreshCcw, Trash2 } from "lucide-react";
import type { OperatorToken, OperatorTokenMade } from "../../api";
import { useCommands } from "../../app/commands";
import { rich, useText } from "../../i18n";
import { keyOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, Checkbox, CodeBlock, Dialog, ErrorState, Menu, Note, Select, SkeletonLines, Table, TextField, Time, Tooltip, toast, useConfirm, useErrorText } from "../../ui";
import type { Column } from "../../ui";
import { text } from "./text";
import s from "./settings.module.css";

const code = { code: (x: string) => <code>{x}</code> };
const scopes = ["read", "chat", "act", "admin", "publish"] as const;
type Scope = (typeof scopes)[number];
const days = [1, 7, 30, 90, 365] as const;
const NAME = /^[A-Za-z0-9._-]{1,63}$/;

function NewToken({ onClose, onMade }: { onClose: () => void; onMade: (made: OperatorTokenMade) => void }) {
  const t = useText(text);
  const [name, setName] = useState("");
  const [may, setMay] = useState<readonly Scope[]>(["read", "chat"]);
  const [life, setLife] = useState("0");
  const [tried, setTried] = useState(false);
  const make = useAct("operator.tokens_new", { onSuccess: onMade });
  const bad = !NAME.test(name), none = may.length === 0;
  const submit = () => {
    setTried(true);
    if (!bad && !none) make.mutate({ body: { name, scopes: [...may], expires_in_ms: life === "0" ? null : Number(life) * 86_400_000 } });
  };
  const taken = make.error?.param === "name" ? make.error.message : null;
  return (
    <Dialog open onClose={onClose} title={t("tokens.new")} foot={<Button kind="primary" icon={KeyRound} busy={make.isPending} onClick={submit}>{t("tokens.create")}</Button>}>
      <form className="stack" onSubmit={(e) => { e.preventDefault(); submit(); }}>
        <TextField label={t("tokens.name")} hint={t("tokens.name_hint")} problem={tried && bad ? t("tokens.name_bad") : taken} value={name} onChange={setName} autoFocus maxLength={63} spellCheck={false} />
        <fieldset className={s.scopes}>
          <legend>{t("tokens.scopes")}</legend>
          {scopes.map((x) => (
            <Checkbox key={x} checked={may.includes(x)} hint={t(`tokens.scope_${x}`)} onChange={(on) => setMay(on ? scopes.filter((y) => y === x || may.includes(y)) : may.filter((y) => y !== x))}>{x}</Checkbox>
          ))}
          {tried && none && <p role="alert" className={s.problem}>{t("tokens.scopes_none")}</p>}
        </fieldset>
        <Select label={t("tokens.expires")} value={life} onChange={setLife} options={[{ value: "0", label: t("tokens.expires_never") }, ...days.map((n) => ({ value: `${n}`, label: t("tokens.days", { count: n }) }))]} />
        {make.error && !taken && <ErrorState error={make.error} />}
      </form>
    </Dialog>
  );
}

export function Tokens() {
  const t = useText(text);
  const f = useFormat();
  const client = useQueryClient();
  const list = useApi("operator.tokens_list", { refetchInterval: 30_000 });
  const confirm = useConfirm();
  const errorText = useErrorText();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<OperatorTokenMade | null>(null);
  const again = () => void client.invalidateQueries({ queryKey: keyOf("operator.tokens_list") });
  const onError = (e: unknown) => toast(errorText(e), "bad");
  const shown = (m: OperatorTokenMade) => {
    setMaking(false);
    setMade(m);
    again();
  };
  const rotate = useAct("operator.tokens_rotate", { onSuccess: shown, onError });
  const promote = useAct("operator.tokens_promote", { onSuccess: again, onError });
  const revoke = useAct("operator.tokens_revoke", { onSuccess: again, onError });
  useCommands(() => [{ id: "settings.token", label: t("tokens.new"), icon: Plus, keys: "n", run: () => setMaking(true) }], [t]);

  const onRotate = async (x: OperatorToken) => {
    const { name } = x;
    if (await confirm({ title: t("tokens.rotate_title", { name }), text: t("tokens.rotate_text", { name }), action: t("tokens.rotate") })) rotate.mutate({ params: { id: x.id } });
  };
  const onPromote = async (x: OperatorToken) => {
    const { name } = x;
    if (await confirm({ title: t("tokens.promote_title", { name }), text: t("tokens.promote_text", { name }), action: t("tokens.promote"), bad: true }))
      promote.mutate({ params: { id: x.id } }, { onSuccess: () => toast(t("tokens.promoted", { name }), "ok") });
  };
  const onRevoke = async (x: OperatorToken) => {
    const { name } = x;
    if (await confirm({ title: t("tokens.revoke_title", { name }), text: t("tokens.revoke_text"), action: t("tokens.revoke_action", { name }), bad: true }))
      revoke.mutate({ params: { id: x.id } }, { onSuccess: () => toast(t("tokens.revoked", { name }), "ok") });
  };
  const all = list.data?.tokens ?? [];
  const hasNext = (name: string) => all.some((x) => x.name === name && x.slot === "next");
  const columns: readonly Column<OperatorToken>[] = [
    { id: "name", header: t("tokens.name"), sort: (x) => x.name, cell: (x) => (
      <span className="row">
        <strong className="truncate">{x.name}</strong>
        {x.slot === "next" && <Tooltip text={t("tokens.next_text")}><span tabIndex={0}><Badge tone="info">{t("tokens.next")}</Badge></span></Tooltip>}
        {x.owner && <Badge tone="accent">{t("tokens.owner")}</Badge>}
      </span>
    ) },
    { id: "scopes", header: t("tokens.scopes"), cell: (x) => f.list(x.scopes) },
    { id: "used", header: t("tokens.used"), sort: (x) => x.last_used_at ?? null, cell: (x) => (x.last_used_at ? <Time at={x.last_used_at} /> : <span className="soft">{t("tokens.not_used")}</span>) },
    { id: "expires", header: t("tokens.expires_at"), hide: "narrow", sort: (x) => x.expires_at ?? null, cell: (x) => (x.expires_at ? <Time at={x.expires_at} /> : <span className="soft">{t("tokens.never")}</span>) },
    { id: "created", header: t("tokens.created"), hide: "medium", sort: (x) => x.created_at, cell: (x) => <Time at={x.created_at} /> },
    { id: "options", header: t("tokens.options", { name: "" }), hideHeader: true, align: "end", cell: (x) => (x.owner ? null : (
      <Menu small label={t("tokens.options", { name: x.name })} items={[
        x.slot === "current" && { id: "rotate", label: t("tokens.rotate"), icon: RefreshCcw, onAction: () => void onRotate(x) },
        hasNext(x.name) && { id: "promote", label: t("tokens.promote"), icon: Check, onAction: () => void onPromote(x) },
        "separator",
        { id: "revoke", label: t("tokens.revoke"), icon: Trash2, bad: true, onAction: () => void onRevoke(x) },
      ]} />
    )) },
  ];
  return (
    <div className={s.panel}>
      <div className="row-wrap">
        <p className={`soft ${s.lead ?? ""}`}>{rich(t("tokens.lead"), code)}</p>
        <Button kind="primary" icon={Plus} onClick={() => setMaking(true)}>{t("tokens.new")}</Button>
      </div>
      {list.error ? <ErrorState error={list.error} onRetry={() => void list.refetch()} /> : list.data ? (
        <div className={s.table}><Table label={t("tab.tokens")} columns={columns} rows={all} rowKey={(x) => x.id} /></div>
      ) : <SkeletonLines />}
      {all.some((x) => x.owner) && <p className="soft">{t("tokens.owner")}: {rich(t("tokens.owner_text"), code)}</p>}
      {making && <NewToken onClose={() => setMaking(false)} onMade={shown} />}
      <Dialog open={made !== null} alert onClose={() => setMade(null)} title={t("tokens.made", { name: made?.token.name ?? "" })} foot={<Button kind="primary" onClick={() => setMade(null)}>{t("tokens.made_done")}</Button>}>
        <Note tone="warn">{t("tokens.made_text")}</Note>
        {made && <CodeBlock text={made.secret} wrap label={t("tokens.secret")} />}
      </Dialog>
    </div>
  );
}
