/* What to do about a failure, by its code. */
import { useText } from "../../i18n";
import { text } from "./text";

const kinds: readonly [RegExp, "memory" | "missing" | "budget" | "rate" | "slow" | "long" | "key" | "offline" | "busy" | "large" | "login" | "stopped" | "tools" | "vision"][] = [
  [/insufficient_memory|over_budget|out_of_memory/, "memory"],
  [/model_not_found|no_model|models_unknown|unknown_model|no_provider|no_candidate/, "missing"],
  [/budget|quota|spend/, "budget"],
  [/rate_limit|too_many|overload|queue_full/, "rate"],
  [/timeout|deadline|stall/, "slow"],
  [/context_length|context_exceeded|too_long/, "long"],
  [/key|unauthori[sz]ed|authentication|forbidden|permission/, "key"],
  [/session_busy/, "busy"],
  [/too_large|file_too/, "large"],
  [/restart|interrupted|stopped|shutting/, "stopped"],
  [/tool/, "tools"],
  [/vision|image|modality|attachment/, "vision"],
  [/unreachable|cut_off|connect|upstream|unavailable|bad_gateway|provider|switch/, "offline"],
];

export function useHelp(): (code: string | null, status?: number) => string {
  const t = useText(text);
  return (code, status) => {
    if (status === 401) return t("help.login");
    if (status === 413) return t("help.large");
    if (status === 429) return t("help.rate");
    if (status === 0) return t("help.server");
    const kind = code === null ? undefined : kinds.find(([pattern]) => pattern.test(code))?.[1];
    return kind ? t(`help.${kind}`) : t("help.other");
  };
}
