/* What was spent, by model, and the limits that there are. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import type { SwitchBudget, SwitchBudgetHolder, SwitchTokenLimits, SwitchUsageRow } from "../../api";
import { useText } from "../../i18n";
import { keyOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, Card, Checkbox, Dialog, EmptyState, ErrorState, Meter, SkeletonLines, Table, TextArea, TextField, Time, Unknown, toast } from "../../ui";
import type { Column } from "../../ui";
import { monthStart } from "./Providers";
import s from "./models.module.css";
import { text } from "./text";

const kinds = ["requests_per_minute", "concurrent", "tokens_per_day", "tokens_per_month", "cost_per_month"] as const;

function Limit({ budget: b, currency }: { budget: SwitchBudget; currency: string }) {
  const t = useText(text);
  const f = useFormat();
  const say = (n: number) => (b.unit === "currency" ? f.money(n, currency) : f.compact(n));
  if (b.limit === null) return null;
  const share = b.limit > 0 ? (b.used + b.reserved) / b.limit : 1;
  const words = t("budget.of", { used: say(b.used), limit: say(b.limit) });
  return (
    <div className={s.limit}>
      <div className={s.line}><span>{t(`budget.${b.budget}`)}</span><span className="num">{words}</span></div>
      <Meter label={t(`budget.${b.budget}`)} value={share} tone={share >= 1 ? "bad" : share > 0.8 ? "warn" : "accent"} text={words} />
      {b.reset_at !== null && share >= 1 && <span className="soft">{t("budget.reset", { when: f.relative(b.reset_at) })} <span className="visually-hidden"><Time at={b.reset_at} /></span></span>}
    </div>
  );
}

function Limits({ holder, onClose }: { holder: SwitchBudgetHolder; onClose: () => void }) {
  const t = useText(text);
  const client = useQueryClient();
  const [values, setValues] = useState(() => Object.fromEntries(holder.budgets.map((b) => [b.budget, b.limit === null ? "" : String(b.limit)])) as Record<(typeof kinds)[number], string>);
  const [models, setModels] = useState((holder.models ?? []).join("\n"));
  const [local, setLocal] = useState(holder.local_only);
  const set = useAct("switch.budget_set", {
    onSuccess: () => {
      toast(t("budget.saved", { name: holder.name }), "ok");
      void client.invalidateQueries({ queryKey: keyOf("switch.budgets") });
      onClose();
    },
  });
  const save = () => {
    const body: SwitchTokenLimits = { models: models.split("\n").map((m) => m.trim()).filter((m) => m !== ""), local_only: local, mode: holder.mode as SwitchTokenLimits["mode"] & string | null };
    for (const k of kinds) {
      const text = values[k].trim().replace(",", ".");
      body[k] = text === "" ? null : Number(text);
    }
    set.mutate({ params: { token: holder.id }, body });
  };
  return (
    <Dialog open onClose={onClose} title={t("budget.set_title", { name: holder.name })} size="wide" foot={<Button kind="primary" busy={set.isPending} onClick={save}>{t("prov.form.save")}</Button>}>
      {set.error && <ErrorState error={set.error} />}
      <p className="soft">{t("budget.hint")}</p>
      <div className={s.fields}>
        {kinds.map((k) => <TextField key={k} label={t(`budget.${k}`)} value={values[k]} onChange={(v) => setValues({ ...values, [k]: v })} inputMode="decimal" problem={set.error?.param?.endsWith(`/${k}`) ? set.error.message : null} />)}
      </div>
      <TextArea label={t("budget.models")} hint={t("budget.models_hint")} value={models} onChange={setModels} rows={3} spellCheck={false} />
      <Checkbox checked={local} onChange={setLocal}>{t("budget.local_only")}</Checkbox>
    </Dialog>
  );
}

export function Budgets() {
  const t = useText(text);
  const f = useFormat();
  const [since] = useState(monthStart);
  const [editing, setEditing] = useState<SwitchBudgetHolder | null>(null);
  const budgets = useApi("switch.budgets", { refetchInterval: 5000 });
  const usage = useApi("switch.usage", { params: { by: "model", since }, refetchInterval: 15_000 });
  const error = budgets.error ?? usage.error;
  if (error && !(budgets.data && usage.data)) return <ErrorState error={error} onRetry={() => { void budgets.refetch(); void usage.refetch(); }} />;
  if (!budgets.data || !usage.data) return <SkeletonLines lines={6} />;
  const { currency, holders } = budgets.data;
  const shown = holders.filter((h) => h.kind === "principal" || h.budgets.some((b) => b.limit !== null));
  const columns: Column<SwitchUsageRow>[] = [
    { id: "model", header: t("spend.col.model"), sort: (r) => r.model, cell: (r) => <span className={s.name}><strong className="truncate">{r.model ?? "—"}</strong>{r.provider && <span className="soft truncate">{r.provider}</span>}</span> },
    { id: "requests", header: t("prov.col.requests"), align: "end", sort: (r) => r.requests, cell: (r) => f.number(r.requests) },
    { id: "failed", header: t("prov.col.failures"), align: "end", hide: "narrow", sort: (r) => r.failed, cell: (r) => f.number(r.failed) },
    { id: "in", header: t("spend.col.in"), align: "end", hide: "narrow", sort: (r) => r.prompt_tokens, cell: (r) => f.number(r.prompt_tokens) },
    { id: "out", header: t("spend.col.out"), align: "end", hide: "narrow", sort: (r) => r.completion_tokens, cell: (r) => f.number(r.completion_tokens) },
    { id: "cost", header: t("spend.col.cost"), align: "end", sort: (r) => r.cost, cell: (r) => r.cost === 0 && r.unpriced > 0 ? <Unknown reason={t("prov.unpriced", { count: r.unpriced })} /> : f.money(r.cost, usage.data.currency) },
  ];
  return (
    <div className={s.tab}>
      <Card title={t("spend.title")} flush>
        <Table label={t("spend.title")} columns={columns} rows={usage.data.rows} rowKey={(r) => `${r.provider ?? ""}/${r.model ?? ""}`} initialSort={{ column: "requests", down: true }} empty={<EmptyState title={t("spend.none")} />} />
      </Card>
      <Card title={t("budget.title")} flush>
        {shown.every((h) => h.budgets.every((b) => b.limit === null)) && <p className={`${s.budget ?? ""} soft`}>{t("budget.none")}</p>}
        {shown.map((h) => (
          <div key={`${h.kind} ${h.id}`} className={s.budget}>
            <div className="row">
              <strong className="truncate">{h.name}</strong>
              <Badge>{t(`budget.${h.kind}`)}</Badge>
              {h.local_only && <Badge tone="accent">{t("budget.local_only")}</Badge>}
              <span className="spacer" />
              {h.kind === "principal" && h.id.length === 26 && <Button small onClick={() => setEditing(h)}>{t("budget.set")}<span className="visually-hidden">: {h.name}</span></Button>}
            </div>
            {h.budgets.some((b) => b.limit !== null) ? (
              <div className={s.limits}>{h.budgets.map((b) => <Limit key={b.budget} budget={b} currency={currency} />)}</div>
            ) : <span className="soft">{t("budget.no_limit")}</span>}
          </div>
        ))}
      </Card>
      {editing && <Limits holder={editing} onClose={() => setEditing(null)} />}
    </div>
  );
}
