/* What the model did by tools, step by step; one that changes something waits here until a person confirms it. */
import { memo, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Ban, Check, CircleX, Hand, LoaderCircle, Wrench, X } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import type { Json, OperatorToolCall } from "../../api";
import { useText } from "../../i18n";
import { call as ask, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, CodeBlock, TextField, cx, toast, useErrorText } from "../../ui";
import { messagePatch } from "./data";
import { text } from "./text";
import { turnTool } from "./turns";
import s from "./chat.module.css";

const icons: Record<OperatorToolCall["status"], LucideIcon> = { waiting: Hand, running: LoaderCircle, done: Check, failed: CircleX, refused: Ban, cancelled: X };
const shown = (value: Json | null | undefined): string => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
/** The arguments in one line. */
function brief(value: Json | null | undefined): string {
  if (value == null) return "";
  if (typeof value !== "object" || Array.isArray(value)) return JSON.stringify(value);
  return Object.entries(value).map(([k, v]) => `${k}: ${typeof v === "string" ? v : JSON.stringify(v)}`).join(", ");
}

function Decide({ call, sessionId }: { call: OperatorToolCall; sessionId: string }) {
  const t = useText(text);
  const client = useQueryClient();
  const errorText = useErrorText();
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState<"yes" | "no" | null>(null);
  const tools = useApi("operator.tools_list", { staleTime: 60_000 });
  const tool = tools.data?.tools.find((x) => x.name === call.name);
  const decide = async (approve: boolean) => {
    setBusy(approve ? "yes" : "no");
    try {
      const next = await ask("operator.tool_calls_decide", { params: { id: call.id }, body: { approve, ...(!approve && reason.trim() && { reason: reason.trim() }) } });
      turnTool(next);
      messagePatch(client, sessionId, call.message_id, (m) => ({ ...m, tool_calls: m.tool_calls.map((x) => (x.id === next.id ? next : x)) }));
    } catch (e) {
      toast(errorText(e), "bad");
      void client.invalidateQueries({ queryKey: ["chat.messages", sessionId] });
    }
    setBusy(null);
  };
  return (
    <div className={s.decide} role="group" aria-label={t("tool.confirm_title", { tool: tool?.title ?? call.name })}>
      <p><strong>{t("tool.confirm_title", { tool: tool?.title ?? call.name })}</strong></p>
      {tool && <p className="soft">{tool.description}</p>}
      <TextField label={t("tool.reason")} value={reason} onChange={setReason} maxLength={500} />
      <div className="row-wrap">
        <Button kind="primary" small icon={Check} busy={busy === "yes"} disabled={busy !== null} onClick={() => void decide(true)}>{t("tool.confirm")}</Button>
        <Button small icon={Ban} busy={busy === "no"} disabled={busy !== null} onClick={() => void decide(false)}>{t("tool.refuse")}</Button>
      </div>
    </div>
  );
}

const Step = memo(function Step({ call, sessionId }: { call: OperatorToolCall; sessionId: string }) {
  const t = useText(text);
  const f = useFormat();
  const Icon = icons[call.status];
  const open = call.status === "waiting" || call.status === "failed";
  const by = call.confirmed_by;
  return (
    <details className={s.step} data-status={call.status} open={open}>
      <summary>
        <Icon aria-hidden className={cx(call.status === "running" && s.turning)} />
        <span className={s.stepName}>{call.name}</span>
        <span className={s.stepArgs}>{brief(call.arguments)}</span>
        <span className={s.stepState}>{t(`tool.${call.status}`)}{call.duration_ms != null && <span className="num"> · {f.duration(call.duration_ms)}</span>}</span>
      </summary>
      <div className={s.stepBody}>
        <h3>{t("tool.arguments")}</h3>
        <CodeBlock text={shown(call.arguments ?? {})} wrap />
        {call.status === "waiting" && <Decide call={call} sessionId={sessionId} />}
        {by && <p className={s.small}>{t(call.status === "refused" ? "tool.refused_by" : "tool.confirmed_by", { name: by })}</p>}
        {call.error && <p className={s.stepError}>{call.error}</p>}
        {call.result != null && (
          <>
            <h3>{t("tool.result")}</h3>
            <CodeBlock text={shown(call.result)} wrap />
          </>
        )}
      </div>
    </details>
  );
});

export function ToolSteps({ calls, sessionId }: { calls: readonly OperatorToolCall[]; sessionId: string }) {
  const t = useText(text);
  return (
    <div className={s.steps} role="group" aria-label={t("tools.used", { count: calls.length })}>
      <p className={s.stepsHead}><Wrench aria-hidden />{t("tools.used", { count: calls.length })}</p>
      {calls.map((c) => <Step key={c.id} call={c} sessionId={sessionId} />)}
    </div>
  );
}
