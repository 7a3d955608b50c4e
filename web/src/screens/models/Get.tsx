/* More models: from the catalogue, the hub, an address; and the downloads that run. */
import { useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Download, RotateCcw, Search, X } from "lucide-react";
import type { HermesCatalogEntry, HermesPull } from "../../api";
import { useText } from "../../i18n";
import { keyOf, useAct, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, Button, Card, EmptyState, ErrorState, IconButton, Meter, SkeletonLines, Status, TextField, Time, Unknown, toast, useConfirm, useErrorText } from "../../ui";
import { useFresh } from "./data";
import s from "./models.module.css";
import { text } from "./text";

function usePull() {
  const t = useText(text);
  const client = useQueryClient();
  const errorText = useErrorText();
  return useAct("hermes.models_pull", {
    onSuccess: (p) => toast(t("get.started", { name: p.name ?? p.source }), "ok"),
    onError: (e) => toast(errorText(e), "bad"),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keyOf("hermes.pulls_list") });
      void client.invalidateQueries({ queryKey: keyOf("hermes.catalog") });
    },
  });
}

const tones = { queued: "none", running: "info", done: "ok", failed: "bad", cancelled: "warn" } as const;

function PullRow({ pull: p, onAgain, onCancel }: { pull: HermesPull; onAgain: () => void; onCancel: () => void }) {
  const t = useText(text);
  const f = useFormat();
  const live = p.state === "queued" || p.state === "running";
  const name = p.model ?? p.name ?? p.source;
  const words = p.state === "running" && p.phase && p.phase !== "downloading" ? t(`pull.${p.phase}`) : t(`pull.${p.state}`);
  const amount = p.total === null ? f.bytes(p.bytes) : t("downloads.of", { bytes: f.bytes(p.bytes), total: f.bytes(p.total) });
  return (
    <li>
      <div className={s.line}>
        <strong className="wrap-any">{name}</strong>
        <Status tone={tones[p.state]}>{words}</Status>
        <span className="num">{amount}</span>
        {live && p.rate !== null && p.rate > 0 && <span className="num soft">{f.rate(p.rate)}</span>}
        {live && p.eta_ms !== null && <span className="num soft">{t("downloads.left", { time: f.duration(p.eta_ms) })}</span>}
        {p.resumed_bytes > 0 && <span className="soft">{t("downloads.resumed", { bytes: f.bytes(p.resumed_bytes) })}</span>}
        {!live && p.ended_at !== null && <span className="soft"><Time at={p.ended_at} /></span>}
      </div>
      {live ? <IconButton small icon={X} label={`${t("downloads.cancel")}: ${name}`} onClick={onCancel} />
        : p.state !== "done" && <Button small icon={RotateCcw} onClick={onAgain}>{t("downloads.again")}</Button>}
      {p.reason && <div className="soft wrap-any">{p.reason}</div>}
      {live && <div className={s.bar}><Meter progress label={name} value={p.total ? p.bytes / p.total : null} text={amount} /></div>}
    </li>
  );
}

function Downloads() {
  const t = useText(text);
  const f = useFormat();
  const client = useQueryClient();
  const confirm = useConfirm();
  const errorText = useErrorText();
  const pull = usePull();
  const pulls = useApi("hermes.pulls_list", { refetchInterval: (q) => (q.state.data?.pulls.some((p) => p.state === "running" || p.state === "queued") ? 1000 : 15_000) });
  const cancel = useAct("hermes.pulls_cancel", {
    onError: (e) => toast(errorText(e), "bad"),
    onSettled: () => void client.invalidateQueries({ queryKey: keyOf("hermes.pulls_list") }),
  });
  if (pulls.error && !pulls.data) return <ErrorState error={pulls.error} onRetry={() => void pulls.refetch()} />;
  const list = pulls.data?.pulls ?? null;
  const ask = async (p: HermesPull) => {
    const name = p.name ?? p.source;
    if (await confirm({ title: t("downloads.cancel_title", { name }), text: t("downloads.cancel_text", { bytes: f.bytes(p.bytes) }), action: t("downloads.cancel_action") }))
      cancel.mutate({ params: { id: p.id } });
  };
  return (
    <Card title={t("downloads.title")} flush>
      {list === null ? <SkeletonLines lines={2} /> : list.length === 0 ? <p className={`${s.budget ?? ""} soft`}>{t("downloads.none")}</p> : (
        <ul className={s.downloads}>
          {list.slice(0, 20).map((p) => <PullRow key={p.id} pull={p} onAgain={() => pull.mutate({ body: { source: p.source } })} onCancel={() => void ask(p)} />)}
        </ul>
      )}
    </Card>
  );
}

function Source() {
  const t = useText(text);
  const [source, setSource] = useState("");
  const pull = usePull();
  return (
    <form className={s.form} onSubmit={(e) => {
      e.preventDefault();
      if (source.trim()) pull.mutate({ body: { source: source.trim() } }, { onSuccess: () => setSource("") });
    }}>
      <TextField label={t("get.source")} placeholder={t("get.hint")} value={source} onChange={setSource} spellCheck={false} problem={pull.error ? pull.error.message : null} />
      <Button type="submit" kind="primary" icon={Download} busy={pull.isPending} disabled={source.trim() === ""}>{t("get.action")}</Button>
    </form>
  );
}

function HubSearch() {
  const t = useText(text);
  const f = useFormat();
  const [query, setQuery] = useState("");
  const search = useAct("hermes.search_models");
  const pull = usePull();
  return (
    <div className="stack">
      <form className={s.form} onSubmit={(e) => {
        e.preventDefault();
        if (query.trim()) search.mutate({ body: { query: query.trim() } });
      }}>
        <TextField label={t("get.search")} value={query} onChange={setQuery} />
        <Button type="submit" icon={Search} busy={search.isPending} disabled={query.trim() === ""}>{t("get.search_do")}</Button>
      </form>
      {search.error && <ErrorState error={search.error} />}
      {search.data?.models.length === 0 && <p className="soft">{t("get.search_none")}</p>}
      {search.data && search.data.models.length > 0 && (
        <ul className={s.cards}>
          {search.data.models.map((m) => (
            <li key={m.repository}>
              <strong className="wrap-any">{m.repository}</strong>
              <div className="row-wrap">
                {m.downloads !== null && <span className="soft">{t("get.hits", { count: m.downloads })}</span>}
                {m.licence && <Badge>{m.licence}</Badge>}
                {m.gated && <Badge tone="warn">{t("get.gated")}</Badge>}
              </div>
              <div className={s.foot}><Button small icon={Download} busy={pull.isPending} onClick={() => pull.mutate({ body: { source: `hf:${m.repository}` } })}>{t("get.action")}<span className="visually-hidden"> {m.repository}</span></Button></div>
            </li>
          ))}
        </ul>
      )}
      {search.data && <p className="soft">{f.list([t("get.found", { where: search.data.endpoint })])}</p>}
    </div>
  );
}

function Entry({ entry: e }: { entry: HermesCatalogEntry }) {
  const t = useText(text);
  const f = useFormat();
  const pull = usePull();
  return (
    <li>
      <div className="row-wrap">
        <strong>{e.title}</strong>
        {e.state === "installed" && <Badge tone="ok">{t("catalogue.installed")}</Badge>}
        {e.state === "partial" && e.partial_bytes !== null && <Badge tone="info">{t("catalogue.partial", { bytes: f.bytes(e.partial_bytes) })}</Badge>}
        {e.fits === false && <Badge tone="warn">{t("catalogue.tight")}</Badge>}
      </div>
      <div className="soft mono wrap-any">{e.name}</div>
      <div className="row-wrap">
        {e.parameters && <Badge>{e.parameters}</Badge>}
        {e.tags.map((tag) => <Badge key={tag}>{tag}</Badge>)}
      </div>
      <div className="soft">
        {[e.ram_bytes !== null && t("catalogue.ram", { bytes: f.bytes(e.ram_bytes) }), e.licence && `${t("catalogue.licence")}: ${e.licence}`].filter(Boolean).join(" · ")}
      </div>
      <div className={s.foot}>
        <span className="num">{e.size_bytes === null ? <Unknown reason={t("why.hub")} /> : f.bytes(e.size_bytes)}</span>
        <span className="spacer" />
        {e.state !== "installed" && (
          <Button small kind={e.fits === false ? "plain" : "primary"} icon={Download} busy={pull.isPending} onClick={() => pull.mutate({ body: { source: e.name } })}>
            {e.state === "partial" ? t("catalogue.resume") : t("catalogue.get")}<span className="visually-hidden"> {e.title}</span>
          </Button>
        )}
      </div>
    </li>
  );
}

function Catalogue() {
  const t = useText(text);
  const catalogue = useApi("hermes.catalog", { refetchInterval: 30_000 });
  if (catalogue.error && !catalogue.data) return <ErrorState error={catalogue.error} onRetry={() => void catalogue.refetch()} />;
  if (!catalogue.data) return <SkeletonLines lines={6} />;
  if (catalogue.data.models.length === 0) return <EmptyState title={t("catalogue.empty")} />;
  return (
    <section className="stack" aria-labelledby="catalogue">
      <div className="row-wrap"><h2 id="catalogue">{t("catalogue.title")}</h2><span className="soft wrap-any">{t("catalogue.origin", { origin: catalogue.data.origin })}</span></div>
      <ul className={s.cards}>{catalogue.data.models.map((e) => <Entry key={e.name} entry={e} />)}</ul>
    </section>
  );
}

export function Get() {
  useFresh(["hermes.pulls_list", "hermes.catalog", "hermes.models_list"]);
  return (
    <div className={s.tab}>
      <Card><div className="stack"><Source /><HubSearch /></div></Card>
      <Downloads />
      <Catalogue />
    </div>
  );
}
