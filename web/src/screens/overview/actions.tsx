/* What can be done to a module, each deed behind a question that names what stops and for whom. */
import { useCallback, useMemo, useState } from "react";
import { rich } from "../../i18n";
import { call } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { toast, useConfirm, useErrorText } from "../../ui";
import { useRefresh } from "./data";
import type { MapEdge, MapNode, SupervisorModule } from "./data";
import { nameOfId, sayStops, titled, useWords } from "./words";

export type State = SupervisorModule["state"];
export interface Actions {
  busy: string | null;
  set: (m: SupervisorModule, state: State) => Promise<void>;
  restart: (m: SupervisorModule) => Promise<void>;
}

const VITAL = new Set(["link", "operator"]); // the page itself comes through them: the API wants the name once more
const code = { code: (s: string) => <code>{s}</code> };

export function useActions(edges: readonly MapEdge[], nodes: readonly MapNode[]): Actions {
  const t = useWords();
  const f = useFormat();
  const confirm = useConfirm();
  const explain = useErrorText();
  const refresh = useRefresh();
  const [busy, setBusy] = useState<string | null>(null);

  const stops = useCallback((m: SupervisorModule) => {
    const callers = edges.filter((e) => e.to === m.name && e.calls > 0).map((e) => nameOfId(t, e.from));
    const running = nodes.find((n) => n.id === m.name)?.in_flight ?? 0;
    return (
      <>
        <p>{sayStops(t, m.name)}</p>
        {callers.length > 0 && <p>{t("ask.callers", { names: f.list(callers) })}</p>}
        {running > 0 && <p>{t("ask.running", { count: running })}</p>}
      </>
    );
  }, [t, f, edges, nodes]);

  const act = useCallback(async (m: SupervisorModule, deed: () => Promise<string>) => {
    setBusy(m.name);
    try {
      toast(await deed(), "ok");
    } catch (e) {
      toast(t("act.failed", { name: titled(m.name), reason: explain(e) }), "bad");
    } finally {
      setBusy(null);
      refresh();
    }
  }, [t, explain, refresh]);

  return useMemo(() => ({
    busy,
    set: async (m, state) => {
      const name = titled(m.name);
      if (state === m.state) return;
      if (state !== "active") {
        const command = `vx11 modules set ${m.name} active`;
        const yes = await confirm({
          title: t(`ask.${state}`, { name }), action: t(`ask.do_${state}`), bad: true,
          text: <div className="stack">{stops(m)}<p>{rich(t(m.name === "link" ? "ask.back_shell" : "ask.back", { command }), code)}</p></div>,
          ...(VITAL.has(m.name) && { type: { word: m.name, label: t("ask.type", { name: m.name }) } }),
        });
        if (!yes) return;
      }
      await act(m, async () => {
        await call("supervisor.set_state", { params: { name: m.name }, body: { state, ...(VITAL.has(m.name) && state !== "active" && { confirm: m.name }) } });
        return t("act.done_state", { name, state: t(`state.${state}`).toLowerCase() });
      });
    },
    restart: async (m) => {
      const name = titled(m.name);
      const yes = await confirm({ title: t("ask.restart", { name }), action: t("ask.do_restart", { name }), text: <div className="stack"><p>{t("ask.short")}</p>{stops(m)}</div> });
      if (!yes) return;
      await act(m, async () => {
        await call("supervisor.restart", { params: { name: m.name }, body: {} });
        return t(m.name === "link" ? "act.restart_sent" : "act.done_restart", { name });
      });
    },
  }), [busy, t, confirm, stops, act]);
}
