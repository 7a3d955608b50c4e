/* The modules as a table, and the switch of a module's state. */
import { Ban, ChevronDown, Info, Pause, Play, RotateCw } from "lucide-react";
import { useFormat } from "../../lib/format";
import { Menu, Status, Table, Unknown } from "../../ui";
import type { Column, MenuEntry } from "../../ui";
import type { Actions } from "./actions";
import { conditionOf, toneOf } from "./data";
import type { SupervisorModule } from "./data";
import { titled, useWords } from "./words";
import s from "./overview.module.css";

export function StateMenu({ m, actions }: { m: SupervisorModule; actions: Actions }) {
  const t = useWords();
  const icons = { active: Play, standby: Pause, off: Ban };
  const entries = (["active", "standby", "off"] as const).map((state): MenuEntry => ({
    id: state, label: t(`state.${state}`), detail: t(`state.${state}_d`), icon: icons[state], checked: m.state === state, bad: state === "off" && m.state !== "off",
    disabled: actions.busy !== null, onAction: () => void actions.set(m, state),
  }));
  return (
    <Menu small label={`${t("modules.set", { name: titled(m.name) })}: ${t(`state.${m.state}`)}`} items={entries}>
      {t(`state.${m.state}`)}<ChevronDown aria-hidden />
    </Menu>
  );
}

export function Modules({ modules, actions, onOpen }: { modules: readonly SupervisorModule[]; actions: Actions; onOpen: (id: string) => void }) {
  const t = useWords();
  const f = useFormat();
  const show = (v: number | null, say: (v: number) => string) => (v === null ? <Unknown reason={t("node.not_running")} /> : say(v));
  const columns: Column<SupervisorModule>[] = [
    { id: "name", header: t("modules.name"), cell: (m) => <button type="button" className={s.plain} onClick={() => onOpen(m.name)} aria-label={t("modules.details", { name: titled(m.name) })}>{titled(m.name)}</button>, sort: (m) => m.name },
    { id: "condition", header: t("modules.condition"), cell: (m) => { const c = conditionOf(m); return <Status tone={toneOf[c]}>{t(`condition.${c}`)}</Status>; }, sort: (m) => conditionOf(m) },
    { id: "state", header: t("modules.state"), cell: (m) => <StateMenu m={m} actions={actions} /> },
    { id: "uptime", header: t("modules.uptime"), cell: (m) => show(m.uptime_s, (v) => f.duration(v * 1000)), sort: (m) => m.uptime_s, align: "end", hide: "narrow" },
    { id: "restarts", header: t("modules.restarts"), cell: (m) => f.number(m.restarts), sort: (m) => m.restarts, align: "end", hide: "narrow" },
    { id: "cpu", header: t("modules.cpu"), cell: (m) => show(m.cpu_percent, (v) => f.percent(v / 100, 1)), sort: (m) => m.cpu_percent, align: "end", hide: "narrow" },
    { id: "memory", header: t("modules.memory"), cell: (m) => show(m.pss_bytes ?? m.rss_bytes, (v) => f.bytes(v)), sort: (m) => m.pss_bytes ?? m.rss_bytes, align: "end", hide: "narrow" },
    { id: "more", header: t("modules.more", { name: "" }), hideHeader: true, align: "end", cell: (m) => (
      <Menu small label={t("modules.more", { name: titled(m.name) })} items={[
        { id: "details", label: t("act.details", { name: titled(m.name) }), icon: Info, onAction: () => onOpen(m.name) },
        { id: "restart", label: t("act.restart", { name: titled(m.name) }), icon: RotateCw, disabled: actions.busy !== null || m.state === "off", onAction: () => void actions.restart(m) },
      ]} />
    ) },
  ];
  return <Table label={t("modules.title")} columns={columns} rows={modules} rowKey={(m) => m.name} />;
}
