/* While an answer is awaited: a model that is being loaded for it, as its engine reports. */
import { useState } from "react";
import { useText } from "../../i18n";
import { useEvents } from "../../lib/events";
import { useFormat } from "../../lib/format";
import { Meter } from "../../ui";
import { text } from "./text";
import s from "./chat.module.css";

interface Load {
  model: string;
  state: "loading" | "ready" | "failed" | "stopped";
  bytes_read?: number | null;
  bytes_total?: number | null;
  percent?: number | null;
  reason?: string | null;
}
const TYPES = ["hermes.model.load"] as const;

export function Loading() {
  const t = useText(text);
  const f = useFormat();
  const [load, set] = useState<Load | null>(null);
  useEvents((e) => {
    const next = e.payload as unknown as Load;
    set(next.state === "loading" || next.state === "failed" ? next : null);
  }, TYPES);
  if (!load) return null;
  if (load.state === "failed") return <p className={s.loading} role="status">{t("load.failed", { model: load.model, reason: load.reason ?? "" })}</p>;
  const of = load.bytes_read != null && load.bytes_total != null ? t("load.bytes", { read: f.bytes(load.bytes_read), total: f.bytes(load.bytes_total) }) : "";
  return (
    <div className={s.loading} role="status">
      <span>{t("load", { model: load.model })}</span>
      <Meter progress label={t("load", { model: load.model })} value={load.percent ?? null} max={100} text={of} />
      <span className="soft num">{of}</span>
    </div>
  );
}
