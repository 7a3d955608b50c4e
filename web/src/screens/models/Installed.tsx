/* The models of this machine: what is in memory, and what may be done with each. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { FolderSearch, HardDrive, Pin } from "lucide-react";
import { useLocation } from "wouter";
import type { HermesModel } from "../../api";
import { useCommands } from "../../app/commands";
import { useText } from "../../i18n";
import { keyOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, Card, Checkbox, Dialog, EmptyState, ErrorState, KeyValues, Menu, Meter, SkeletonLines, Status, Table, Time, Unknown, toast, useErrorText } from "../../ui";
import type { Column, MenuEntry } from "../../ui";
import { Details } from "./Details";
import { toneOf, useFresh, useModels } from "./data";
import s from "./models.module.css";
import { text } from "./text";

export function State({ model }: { model: HermesModel }) {
  const t = useText(text);
  const f = useFormat();
  const e = model.engine;
  let words = t("state.stopped");
  if (model.status !== "available") words = t(model.status === "missing" ? "state.missing" : "state.invalid");
  else if (e?.state === "ready") words = e.busy ? t("state.busy", { count: e.busy }) : t("state.ready");
  else if (e?.state === "loading" && e.progress !== null) words = t("state.loading_at", { share: f.percent(e.progress) });
  else if (e && e.state !== "stopped") words = t(`state.${e.state}`);
  return <Status tone={toneOf(model)}>{words}</Status>;
}

function Memory() {
  const t = useText(text);
  const f = useFormat();
  const resources = useApi("hermes.resources", { refetchInterval: 10_000 });
  const r = resources.data;
  if (resources.error && !r) return <ErrorState error={resources.error} onRetry={() => void resources.refetch()} />;
  if (!r) return <Card title={t("memory.title")}><SkeletonLines lines={2} /></Card>;
  const used = r.engines_measured_bytes ?? (r.engines === 0 ? 0 : null);
  const most = r.memory_budget_bytes ?? r.memory_total_bytes;
  const share = used !== null && most ? used / most : null;
  return (
    <Card title={t("memory.title")}>
      <div className={s.memory}>
        <div className="stack">
          <div className={s.big}>
            {used === null ? <Unknown reason={t("memory.not_measured")} /> : most === null ? f.bytes(used) : t("memory.of", { used: f.bytes(used), budget: f.bytes(most) })}
            <span className="soft">{t("memory.held")}</span>
          </div>
          {share !== null && <Meter label={t("memory.title")} value={share} tone={share > 0.9 ? "warn" : "accent"} text={f.percent(share, 1)} />}
        </div>
        <KeyValues items={[
          [t("memory.available"), r.memory_available_bytes === null ? <Unknown /> : f.bytes(r.memory_available_bytes)],
          [t("memory.disk"), r.disk_free_bytes === null ? <Unknown /> : f.bytes(r.disk_free_bytes)],
          [t("memory.cores"), f.number(r.physical_cores)],
        ]} />
      </div>
    </Card>
  );
}

function Remove({ model, onClose }: { model: HermesModel; onClose: () => void }) {
  const t = useText(text);
  const f = useFormat();
  const client = useQueryClient();
  const errorText = useErrorText();
  const [file, setFile] = useState(false);
  const size = model.size_bytes === null ? "" : f.bytes(model.size_bytes);
  const remove = useAct("hermes.models_remove", {
    onSuccess: () => {
      toast(t("remove.done", { name: model.name }), "ok");
      void client.invalidateQueries({ queryKey: keyOf("hermes.models_list") });
      onClose();
    },
    onError: (e) => toast(errorText(e), "bad"),
  });
  return (
    <Dialog
      open onClose={onClose} title={t("remove.title", { name: model.name })} alert
      foot={
        <Button kind="danger" busy={remove.isPending} onClick={() => remove.mutate({ params: { name: model.name, delete_file: file } })}>
          {file ? t("remove.action_file", { size }) : t("remove.action")}
        </Button>
      }
    >
      <p>{t("remove.text")} {file ? t("remove.file", { size }) : t("remove.keep", { path: model.path })}</p>
      {model.status === "available" && <Checkbox checked={file} onChange={setFile}>{t("remove.also")}</Checkbox>}
    </Dialog>
  );
}

export function Installed() {
  const t = useText(text);
  const f = useFormat();
  const [, go] = useLocation();
  const client = useQueryClient();
  const errorText = useErrorText();
  const models = useModels();
  const context = useApi("switch.context", { refetchInterval: 30_000 });
  const [open, setOpen] = useState<string | null>(null);
  const [removing, setRemoving] = useState<HermesModel | null>(null);
  useFresh(["hermes.models_list", "hermes.resources"]);

  const failed = (e: unknown) => toast(errorText(e), "bad");
  const again = () => void client.invalidateQueries({ queryKey: keyOf("hermes.models_list") });
  const warm = useAct("hermes.models_warm", {
    onSuccess: (r) => {
      if (r.state === "failed") toast(t("load.failed", { name: r.model, reason: r.reason ?? r.code ?? "" }), "bad");
      else toast(t("load.done", { name: r.model, time: r.first_token_ms === null ? "—" : f.duration(r.first_token_ms) }), "ok");
    },
    onError: failed, onSettled: again,
  });
  const unload = useAct("hermes.engines_stop", { onSuccess: (_, v) => toast(t("unload.done", { name: v.params.name }), "ok"), onError: failed, onSettled: again });
  const pin = useAct("hermes.models_pin", { onError: failed, onSettled: again });
  const unpin = useAct("hermes.models_unpin", { onError: failed, onSettled: again });
  const setDefault = useAct("switch.admin_set_default_model", {
    onSuccess: (_, v) => {
      toast(t("default.done", { name: v.body?.model_name ?? "" }), "ok");
      void client.invalidateQueries({ queryKey: keyOf("switch.context") });
    },
    onError: failed,
  });
  const scan = useAct("hermes.scan", {
    onSuccess: (r) => toast(t("scan.done", { added: r.added.length, updated: r.changed.length, missing: r.missing.length }), "ok"),
    onError: failed, onSettled: again,
  });
  useCommands(() => [{ id: "models.scan", label: t("scan"), icon: FolderSearch, run: () => scan.mutate({}) }], [t]);

  if (models.error && !models.data) return <ErrorState error={models.error} onRetry={() => void models.refetch()} />;
  if (!models.data) return <SkeletonLines lines={6} />;
  const list = models.data.models;
  const chosen = list.find((m) => m.name === open) ?? null;
  const actions = (m: HermesModel): (MenuEntry | "separator" | null)[] => {
    const params = { params: { name: m.name } };
    const loaded = m.engine !== null && m.engine.state !== "stopped" && m.engine.state !== "failed";
    return [
      { id: "chat", label: t("act.chat"), onAction: () => go(`/chat?model=${encodeURIComponent(m.name)}`), disabled: m.status !== "available" },
      loaded ? { id: "unload", label: t("act.unload"), onAction: () => unload.mutate(params) }
        : { id: "load", label: t("act.load"), onAction: () => warm.mutate({ ...params, body: {} }), disabled: m.status !== "available" || !m.enabled },
      m.pinned ? { id: "unpin", label: t("act.unpin"), onAction: () => unpin.mutate(params) } : { id: "pin", label: t("act.pin"), onAction: () => pin.mutate(params) },
      { id: "default", label: t("act.default"), onAction: () => setDefault.mutate({ body: { model_name: m.name } }), disabled: m.status !== "available" },
      { id: "details", label: t("act.details"), onAction: () => setOpen(m.name) },
      m.source === "builtin" ? null : "separator",
      m.source === "builtin" ? null : { id: "remove", label: t("act.remove"), bad: true, onAction: () => setRemoving(m) },
    ];
  };
  const columns: Column<HermesModel>[] = [
    { id: "model", header: t("col.model"), sort: (m) => m.name, cell: (m) => (
      <span className={s.name}>
        <strong className="truncate">{m.name}</strong>
        {m.pinned && <Badge icon={Pin}>{t("pinned")}</Badge>}
        {context.data?.default_model === m.name && <Badge tone="accent">{t("is_default")}</Badge>}
        {m.quantisation && <span className="soft nowrap">{m.quantisation}</span>}
      </span>
    ) },
    { id: "state", header: t("col.state"), sort: (m) => m.engine?.state ?? "", cell: (m) => <State model={m} /> },
    { id: "memory", header: t("col.memory"), align: "end", sort: (m) => m.engine?.rss_bytes, cell: (m) => m.engine?.rss_bytes != null ? f.bytes(m.engine.rss_bytes) : <Unknown reason={t("why.no_engine")} /> },
    { id: "size", header: t("col.size"), align: "end", hide: "narrow", sort: (m) => m.size_bytes, cell: (m) => m.size_bytes === null ? <Unknown reason={t("why.external")} /> : f.bytes(m.size_bytes) },
    { id: "context", header: t("col.context"), align: "end", hide: "medium", sort: (m) => m.context_length, cell: (m) => m.context_length === null ? <Unknown reason={t("why.header")} /> : f.compact(m.context_length) },
    { id: "used", header: t("col.used"), hide: "narrow", sort: (m) => m.last_used_at, cell: (m) => m.last_used_at === null ? <span className="soft">{t("never")}</span> : <Time at={m.last_used_at} /> },
    { id: "uses", header: t("col.uses"), align: "end", hide: "medium", sort: (m) => m.usage_count, cell: (m) => f.number(m.usage_count) },
    { id: "actions", header: t("col.actions"), hideHeader: true, align: "end", width: "3rem", cell: (m) => <span onClick={(e) => e.stopPropagation()}><Menu small label={`${t("col.actions")}: ${m.name}`} items={actions(m)} /></span> },
  ];
  return (
    <div className={s.tab}>
      <Memory />
      <Card title={t("tab.installed")} flush actions={<Button small icon={FolderSearch} busy={scan.isPending} onClick={() => scan.mutate({})}>{t("scan")}</Button>}>
        <Table
          label={t("tab.installed")} columns={columns} rows={list} rowKey={(m) => m.name} onOpen={(m) => setOpen(m.name)} openKey={open} initialSort={{ column: "model", down: false }}
          empty={<EmptyState icon={HardDrive} title={t("empty.title")} action={<Button kind="primary" onClick={() => go("/models/get")}>{t("tab.get")}</Button>}>{t("empty.text")}</EmptyState>}
        />
      </Card>
      {chosen && <Details model={chosen} onClose={() => setOpen(null)} />}
      {removing && <Remove model={removing} onClose={() => setRemoving(null)} />}
    </div>
  );
}
