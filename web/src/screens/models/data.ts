/* What the tabs share: fresh lists after a load, an unload or a download, and how a model's state is said. */
import { useEffect, useRef } from "react";
import { useQueryClient } from "@tanstack/react-query";
import type { HermesModel } from "../../api";
import { keyOf, useApi } from "../../lib/api";
import type { RouteId } from "../../lib/api";
import { useEvents } from "../../lib/events";

/** The registry; while an engine comes or goes it is asked more often. */
export function useModels() {
  return useApi("hermes.models_list", {
    refetchInterval: (q) => (q.state.data?.models.some((m) => m.engine && ["waiting", "starting", "loading", "stopping"].includes(m.engine.state)) ? 1000 : 10_000),
  });
}

/** Asks these routes again at once, when a model was loaded, unloaded or downloaded; many events together count once. */
export function useFresh(routes: readonly RouteId[]) {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);
  useEvents(() => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      for (const id of routes) void client.invalidateQueries({ queryKey: keyOf(id) });
    }, 150);
  }, ["hermes.model.load", "hermes.model.pull"]);
}

export type Tone = "ok" | "warn" | "bad" | "info" | "none";
export function toneOf(m: HermesModel): Tone {
  if (m.status !== "available") return "bad";
  switch (m.engine?.state) {
    case "ready": return "ok";
    case "failed": return "bad";
    case "waiting": return "warn";
    case "starting": case "loading": case "stopping": return "info";
    default: return "none";
  }
}
