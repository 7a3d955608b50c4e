/* Who answers besides this machine: health, breakers, latency, what they cost; those added while running can be changed here. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import type { ConfigProvider, SwitchProvider } from "../../api";
import { useText } from "../../i18n";
import { keyOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, Card, Checkbox, Dialog, ErrorState, KeyValues, Note, Select, SkeletonLines, Status, Table, TextArea, TextField, Time, Unknown, toast, useConfirm, useErrorText } from "../../ui";
import type { Column } from "../../ui";
import s from "./models.module.css";
import { text } from "./text";

const tones = { ready: "ok", unavailable: "bad", unknown: "none", disabled: "none" } as const;
const breakers = { closed: "ok", open: "bad", half_open: "warn" } as const;
const presets = ["openai", "anthropic", "deepseek", "openrouter", "groq", "mistral", "ollama", "lm_studio", "llama_server", "vllm", "tgi", "none"] as const;
type Preset = (typeof presets)[number];
const presetNames: Record<Exclude<Preset, "none">, string> = {
  openai: "OpenAI", anthropic: "Anthropic", deepseek: "DeepSeek", openrouter: "OpenRouter", groq: "Groq", mistral: "Mistral", ollama: "Ollama", lm_studio: "LM Studio", llama_server: "llama-server", vllm: "vLLM", tgi: "TGI",
};

export function monthStart(now = new Date()): number {
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
}

function Form({ provider, onClose }: { provider: ConfigProvider | null; onClose: () => void }) {
  const t = useText(text);
  const client = useQueryClient();
  const [preset, setPreset] = useState<Preset>(provider?.preset ?? "openai");
  const [name, setName] = useState(provider?.name ?? "");
  const [url, setUrl] = useState(provider?.base_url ?? "");
  const [key, setKey] = useState(provider?.key_env ?? "");
  const [models, setModels] = useState((provider?.models ?? []).join("\n"));
  const [local, setLocal] = useState(provider?.local ?? false);
  const [enabled, setEnabled] = useState(provider?.enabled ?? true);
  const done = {
    onSuccess: () => {
      toast(t("prov.saved", { name }), "ok");
      void client.invalidateQueries({ queryKey: keyOf("hermes.providers_list") });
      void client.invalidateQueries({ queryKey: keyOf("switch.providers") });
      onClose();
    },
  };
  const add = useAct("hermes.providers_add", done);
  const change = useAct("hermes.providers_set", done);
  const error = add.error ?? change.error;
  const problem = (field: string) => (error?.param?.endsWith(`/${field}`) ? error.message : null);
  const save = () => {
    const body: ConfigProvider = {
      ...provider, name: name.trim(), kind: preset === "anthropic" ? "anthropic" : "openai", preset, local, enabled,
      models: models.split("\n").map((m) => m.trim()).filter((m) => m !== ""),
    };
    delete body.base_url;
    delete body.key_env;
    if (url.trim()) body.base_url = url.trim();
    if (key.trim()) body.key_env = key.trim();
    if (provider) change.mutate({ params: { name: provider.name }, body });
    else add.mutate({ body });
  };
  return (
    <Dialog open onClose={onClose} title={provider ? `${t("prov.edit")}: ${provider.name}` : t("prov.add")} foot={
      <Button kind="primary" busy={add.isPending || change.isPending} disabled={name.trim() === ""} onClick={save}>{t("prov.form.save")}</Button>
    }>
      {error && !error.param && <ErrorState error={error} />}
      <Select label={t("prov.form.preset")} value={preset} options={presets.map((p) => ({ value: p, label: p === "none" ? t("prov.form.other") : presetNames[p] }))}
        onChange={(p) => { if (name === "" || name === preset) setName(p === "none" ? "" : p); setPreset(p); }} />
      <TextField label={t("prov.form.name")} value={name} onChange={setName} disabled={provider !== null} problem={problem("name")} spellCheck={false} />
      <TextField label={t("prov.form.url")} hint={t("prov.form.url_hint")} value={url} onChange={setUrl} problem={problem("base_url")} spellCheck={false} inputMode="url" />
      <TextField label={t("prov.form.key")} hint={t("prov.form.key_hint")} value={key} onChange={setKey} problem={problem("key_env")} spellCheck={false} />
      <TextArea label={t("prov.form.models")} hint={t("prov.form.models_hint")} value={models} onChange={setModels} rows={3} spellCheck={false} problem={problem("models")} />
      <Checkbox checked={local} onChange={setLocal}>{t("prov.form.local")}</Checkbox>
      <Checkbox checked={enabled} onChange={setEnabled}>{t("prov.form.enabled")}</Checkbox>
    </Dialog>
  );
}

function Detail({ provider: p, own, onClose, onEdit }: { provider: SwitchProvider; own: ConfigProvider | null; onClose: () => void; onEdit: () => void }) {
  const t = useText(text);
  const f = useFormat();
  const client = useQueryClient();
  const confirm = useConfirm();
  const errorText = useErrorText();
  const remove = useAct("hermes.providers_remove", {
    onSuccess: () => {
      toast(t("prov.removed", { name: p.name }), "ok");
      void client.invalidateQueries({ queryKey: keyOf("hermes.providers_list") });
      void client.invalidateQueries({ queryKey: keyOf("switch.providers") });
      onClose();
    },
    onError: (e) => toast(errorText(e), "bad"),
  });
  const ask = async () => {
    if (await confirm({ title: t("prov.remove_title", { name: p.name }), text: t("prov.remove_text"), action: t("prov.remove"), bad: true })) remove.mutate({ params: { name: p.name } });
  };
  return (
    <Dialog open onClose={onClose} side="right" title={p.name} foot={own ? <><Button onClick={() => void ask()}>{t("prov.remove")}</Button><Button kind="primary" onClick={onEdit}>{t("prov.edit")}</Button></> : undefined}>
      {p.models_error && <Note tone="warn">{p.models_error}</Note>}
      {!own && p.kind !== "local" && <Note>{t("prov.configured")}</Note>}
      <KeyValues items={[
        [t("prov.col.state"), <Status key="s" tone={tones[p.status]}>{t(`prov.${p.status}`)}</Status>],
        ["", t(`prov.kind.${p.kind}`)],
        p.base_url !== null && [t("prov.address"), <span key="u" className="mono wrap-any">{p.base_url}</span>],
        p.key_present !== null && [t("prov.key_title"), p.key_present ? t("prov.key") : t("prov.no_key")],
        [t("prov.col.breaker"), t(`prov.${p.breaker.state}`)],
        p.breaker.last_failure_at !== null && [t("prov.last_failure"), <Time key="l" at={p.breaker.last_failure_at} />],
        [t("prov.opened"), f.number(p.breaker.opened_total)],
        [t("prov.rejected"), f.number(p.breaker.rejected_total)],
        p.models_known_at !== null && [t("prov.models_at"), <Time key="m" at={p.models_known_at} />],
      ]} />
      <h3>{t("prov.col.models")} ({f.number(p.models.length)})</h3>
      {p.models.length === 0 ? <p className="soft">{t("prov.no_models")}</p> : <ul className="row-wrap" style={{ listStyle: "none", padding: 0, margin: 0 }}>{p.models.slice(0, 200).map((m) => <li key={m}><Badge>{m}</Badge></li>)}</ul>}
    </Dialog>
  );
}

export function Providers() {
  const t = useText(text);
  const f = useFormat();
  const [since] = useState(monthStart);
  const providers = useApi("switch.providers", { refetchInterval: 5000 });
  const own = useApi("hermes.providers_list", { refetchInterval: 30_000 });
  const usage = useApi("switch.usage", { params: { by: "provider", since }, refetchInterval: 30_000 });
  const [open, setOpen] = useState<string | null>(null);
  const [form, setForm] = useState<ConfigProvider | null | "new">(null);
  if (providers.error && !providers.data) return <ErrorState error={providers.error} onRetry={() => void providers.refetch()} />;
  if (!providers.data) return <SkeletonLines lines={6} />;
  const list = providers.data.providers;
  const ownOf = (name: string) => own.data?.providers.find((p) => p.name === name) ?? null;
  const spend = (name: string) => usage.data?.rows.find((r) => r.provider === name);
  const columns: Column<SwitchProvider>[] = [
    { id: "name", header: t("prov.col.name"), sort: (p) => p.name, cell: (p) => <span className={s.name}><strong className="truncate">{p.name}</strong><span className="soft truncate">{t(`prov.kind.${p.kind}`)}</span></span> },
    { id: "state", header: t("prov.col.state"), sort: (p) => p.status, cell: (p) => <Status tone={p.key_present === false ? "warn" : tones[p.status]}>{p.key_present === false ? t("prov.no_key") : t(`prov.${p.status}`)}</Status> },
    { id: "breaker", header: t("prov.col.breaker"), hide: "narrow", sort: (p) => p.breaker.state, cell: (p) => (
      <Status tone={breakers[p.breaker.state]}>{p.breaker.state === "open" && p.breaker.retry_after_ms !== null ? t("prov.retry", { time: f.duration(p.breaker.retry_after_ms) }) : t(`prov.${p.breaker.state}`)}</Status>
    ) },
    { id: "running", header: t("prov.col.running"), align: "end", hide: "medium", sort: (p) => p.in_flight, cell: (p) => f.number(p.in_flight) },
    { id: "requests", header: t("prov.col.requests"), align: "end", sort: (p) => p.requests, cell: (p) => f.number(p.requests) },
    { id: "failures", header: t("prov.col.failures"), align: "end", hide: "narrow", sort: (p) => p.failures, cell: (p) => f.number(p.failures) },
    { id: "first", header: t("prov.col.first"), align: "end", hide: "narrow", sort: (p) => p.first_token_p50_ms, cell: (p) => p.first_token_p50_ms === null ? <Unknown reason={t("prov.no_first")} /> : f.duration(p.first_token_p50_ms) },
    { id: "models", header: t("prov.col.models"), align: "end", hide: "medium", sort: (p) => p.models.length, cell: (p) => p.models_error ? <Unknown reason={p.models_error} /> : f.number(p.models.length) },
    { id: "spend", header: t("prov.col.spend"), align: "end", sort: (p) => spend(p.name)?.cost, cell: (p) => {
      const u = spend(p.name);
      if (!usage.data) return <Unknown reason={usage.error?.message} />;
      if (!u) return f.money(0, usage.data.currency);
      return u.cost === 0 && u.unpriced > 0 ? <Unknown reason={t("prov.unpriced", { count: u.unpriced })} /> : f.money(u.cost, usage.data.currency);
    } },
  ];
  const chosen = list.find((p) => p.name === open) ?? null;
  return (
    <div className={s.tab}>
      <Card title={t("tab.providers")} flush actions={<Button small kind="primary" icon={Plus} onClick={() => setForm("new")}>{t("prov.add")}</Button>}>
        <Table label={t("tab.providers")} columns={columns} rows={list} rowKey={(p) => p.name} onOpen={(p) => setOpen(p.name)} openKey={open} />
      </Card>
      {chosen && form === null && <Detail provider={chosen} own={ownOf(chosen.name)} onClose={() => setOpen(null)} onEdit={() => setForm(ownOf(chosen.name))} />}
      {form !== null && <Form provider={form === "new" ? null : form} onClose={() => setForm(null)} />}
    </div>
  );
}
