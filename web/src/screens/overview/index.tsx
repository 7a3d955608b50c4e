/* The overview: how the system is, in words; its map; its modules and breakers; what happened; how loaded it is. */
import { useMemo } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { LayoutDashboard, Play, RotateCw } from "lucide-react";
import { useCommands } from "../../app/commands";
import { useFormat } from "../../lib/format";
import { Stored, useStored } from "../../lib/store";
import { Button, Card, ErrorState, Note, Page, Skeleton, SkeletonLines, Status, Time, Unknown, useErrorText } from "../../ui";
import { Breakers } from "./Breakers";
import { Charts } from "./Charts";
import { Events } from "./Events";
import { SystemMap } from "./Map";
import { Modules } from "./Modules";
import { NodeSheet } from "./NodeSheet";
import { useActions } from "./actions";
import type { Actions } from "./actions";
import { findingsOf, isRange, MAP_MS, nodesOf, useBreakers, useMap, useModules, useOverview } from "./data";
import type { Condition, Finding, Range } from "./data";
import { nameOfId, sayFinding, sayStops, titled, useWords } from "./words";
import s from "./overview.module.css";

const keptRange = new Stored<Range>("overview.range", 1, "15m", isRange);
const keptView = new Stored<"map" | "list">("overview.view", 1, "map", (v): v is "map" | "list" => v === "map" || v === "list");

export default function Overview() {
  const t = useWords();
  const f = useFormat();
  const explain = useErrorText();
  const modules = useModules();
  const overview = useOverview();
  const breakers = useBreakers();
  const map = useMap();
  const [range, setRange] = useStored(keptRange);
  const [view, setView] = useStored(keptView);
  const [, go] = useLocation();
  const chosen = new URLSearchParams(useSearch()).get("node"); // a link to a node works, and Back closes it
  const open = (id: string | null) => go(id === null ? "/overview" : `/overview?node=${encodeURIComponent(id)}`);

  const nodes = useMemo(() => nodesOf(map.data, modules.data), [map.data, modules.data]);
  const edges = useMemo(() => map.data?.edges ?? [], [map.data]);
  const actions = useActions(edges, map.data?.nodes ?? []);
  const findings = useMemo(() => findingsOf(modules.data, overview.data, breakers.data), [modules.data, overview.data, breakers.data]);
  const list = useMemo(() => modules.data?.modules ?? [], [modules.data]);

  useCommands(() => [
    ...list.map((m) => ({ id: `overview.show.${m.name}`, label: t("act.details", { name: titled(m.name) }), icon: LayoutDashboard, run: () => open(m.name) })),
    ...list.filter((m) => m.state !== "off").map((m) => ({ id: `overview.restart.${m.name}`, label: t("act.restart", { name: titled(m.name) }), icon: RotateCw, run: () => void actions.restart(m) })),
    ...list.flatMap((m) => (["active", "standby", "off"] as const).filter((x) => x !== m.state).map((x) => ({
      id: `overview.set.${m.name}.${x}`, label: t(`act.${x}`, { name: titled(m.name) }), run: () => void actions.set(m, x),
    }))),
  ], [t, list, actions]);

  const operator = findings.find((x) => x.kind === "module" && x.name === "operator"); // who would tell of the calls
  const failed = modules.error ?? null;
  const quiet = map.data?.measured_at != null && edges.every((e) => e.calls === 0);
  const late = map.data?.measured_at != null && Date.now() - map.data.measured_at > 3 * Math.max(MAP_MS, map.data.interval_ms);
  return (
    <Page title={t("title")}>
      {modules.data === undefined && failed ? <ErrorState error={failed} onRetry={() => void modules.refetch()} /> : (
        <Summary findings={findings} ready={modules.data !== undefined} uptime={modules.data?.uptime_s ?? null} count={list.length} actions={actions}
          stale={failed && modules.dataUpdatedAt > 0 ? modules.dataUpdatedAt : null} />
      )}
      <Numbers overview={overview} />
      <Card title={t("map.title")} actions={
        <>
          <span className={late ? s.late : "soft"}>
            {t("map.caption")}{map.data?.measured_at != null && <>, <Time at={map.data.measured_at} /></>}
          </span>
          <ViewSwitch view={view} onView={setView} />
        </>
      }>
        {map.error && <Note tone="warn">{t("map.none", { reason: operator ? sayFinding(t, f, operator) : explain(map.error) })}</Note>}
        {map.data?.measured_at === null && <Note>{t("map.first")}</Note>}
        {map.data !== undefined && map.data.silent.length > 0 && <Note tone="warn">{t("map.silent", { names: f.list(map.data.silent.map((id) => nameOfId(t, id))) })}</Note>}
        {quiet && <p className="soft">{t("map.quiet")}</p>}
        {nodes.length > 0 ? <SystemMap nodes={nodes} edges={edges} list={view === "list"} onOpen={open} /> : <Skeleton height="18rem" />}
      </Card>
      <div className={s.columns}>
        <div className={s.column}>
          <Card title={t("modules.title")} flush>{modules.data ? <Modules modules={list} actions={actions} onOpen={open} /> : <div className={s.padded}><SkeletonLines lines={4} /></div>}</Card>
          <Card title={t("breakers.title")} flush>
            {breakers.data ? <Breakers reply={breakers.data} /> : <div className={s.padded}>{breakers.error ? <ErrorState error={breakers.error} onRetry={() => void breakers.refetch()} /> : <SkeletonLines lines={3} />}</div>}
          </Card>
        </div>
        <Events modules={["supervisor", ...list.map((m) => m.name)]} />
      </div>
      <Charts range={range} onRange={setRange} />
      <NodeSheet node={nodes.find((n) => n.id === chosen) ?? null} status={overview.data?.status.modules.find((m) => m.name === chosen)} edges={edges} actions={actions} onClose={() => open(null)} />
    </Page>
  );
}

function ViewSwitch({ view, onView }: { view: "map" | "list"; onView: (v: "map" | "list") => void }) {
  const t = useWords();
  return (
    <span role="group" aria-label={t("map.view")} className={s.viewSwitch}>
      {(["map", "list"] as const).map((v) => <Button key={v} small kind="quiet" aria-pressed={view === v} onClick={() => onView(v)}>{t(`map.as_${v}`)}</Button>)}
    </span>
  );
}

function Summary({ findings, ready, uptime, count, stale, actions }: { findings: readonly Finding[]; ready: boolean; uptime: number | null; count: number; stale: number | null; actions: Actions }) {
  const t = useWords();
  const f = useFormat();
  if (!ready) return <section className={s.summary} role="status"><h2><Status tone="none">{t("wait.title")}</Status></h2><Skeleton width="60%" /></section>;
  const worst = findings[0]?.tone ?? "ok";
  const tone = worst === "none" ? "info" : worst;
  return (
    <section className={s.summary} data-tone={tone} aria-live="polite">
      <h2><Status tone={tone}><span className={s.said}>{t(`${tone}.title`)}</span></Status></h2>
      {findings.length === 0 && uptime !== null && <p>{t("ok.text", { count, time: f.duration(uptime * 1000) })}</p>}
      {findings.length > 0 && (
        <ul>
          {findings.map((x) => (
            <li key={x.key}>
              <Status tone={x.tone}><span className={s.said}>{sayFinding(t, f, x)}{x.condition !== undefined && GONE.has(x.condition) && <> {sayStops(t, x.name)}</>}</span></Status>
              <Doing x={x} actions={actions} />
            </li>
          ))}
        </ul>
      )}
      {stale !== null && <p className={s.late}>{t("stale", { ago: f.relative(stale) })}</p>}
    </section>
  );
}

/** Conditions in which a module does nothing of its work. */
const GONE: ReadonlySet<Condition> = new Set<Condition>(["standby", "off", "down", "silent", "failed", "stopped", "backoff"]);

/** What can be done about it. */
function Doing({ x, actions }: { x: Finding; actions: Actions }) {
  const t = useWords();
  if (x.kind === "provider") return <Link href="/models">{t("do.providers")}</Link>;
  const m = x.module;
  if (!m) return <Link href={`/logs?module=${x.name}`}>{t("do.log")}</Link>;
  const idle = x.condition === "standby" || x.condition === "off";
  return (
    <span className="row">
      {idle && <Button small icon={Play} busy={actions.busy === m.name} onClick={() => void actions.set(m, "active")}>{t("do.activate")}</Button>}
      {(x.condition === "failed" || x.condition === "down" || x.condition === "silent" || x.condition === "stopped") && (
        <Button small icon={RotateCw} busy={actions.busy === m.name} onClick={() => void actions.restart(m)}>{t("do.restart")}</Button>
      )}
      {!idle && <Link href={`/logs?module=${m.name}`}>{t("do.log")}</Link>}
    </span>
  );
}

function Numbers({ overview }: { overview: ReturnType<typeof useOverview> }) {
  const t = useWords();
  const f = useFormat();
  const d = overview.data;
  if (!d) return overview.error ? <ErrorState error={overview.error} onRetry={() => void overview.refetch()} /> : <Skeleton height="4.5rem" />;
  const x = d.traffic;
  const items: [string, React.ReactNode][] = [
    [t("numbers.requests"), f.number(x.requests)],
    [t("numbers.failed"), x.failed > 0 ? <Status key="f" tone="bad">{f.number(x.failed)}</Status> : f.number(0)],
    [t("numbers.prompt"), x.prompt_tokens === null ? <Unknown reason={t("numbers.no_tokens")} /> : f.number(x.prompt_tokens)],
    [t("numbers.completion"), x.completion_tokens === null ? <Unknown reason={t("numbers.no_tokens")} /> : f.number(x.completion_tokens)],
    [t("numbers.first"), x.first_token_avg_ms === null ? <Unknown reason={t("numbers.no_first")} /> : f.duration(x.first_token_avg_ms)],
    [t("numbers.streams"), f.number(d.event_streams)],
  ];
  return (
    <section aria-label={t("numbers.title")}>
      <dl className={s.numbers}>{items.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
    </section>
  );
}
