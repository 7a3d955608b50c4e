/* Short news at the edge of the page, read out politely. toast("Copied") from anywhere. Bad news stays until dismissed. */
import { useSyncExternalStore } from "react";
import { X } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { IconButton } from "./Button";
import s from "./ui.module.css";

export type Tone = "ok" | "warn" | "bad" | "info";
interface Message {
  id: number;
  text: string;
  tone: Tone;
}
let messages: readonly Message[] = [];
let next = 1;
const listeners = new Set<() => void>();
function set(list: readonly Message[]) {
  messages = list;
  for (const f of listeners) f();
}
const dismiss = (id: number) => set(messages.filter((m) => m.id !== id));

export function toast(text: string, tone: Tone = "info"): void {
  const id = next++;
  set([...messages.filter((m) => m.text !== text), { id, text, tone }].slice(-4));
  if (tone !== "bad") setTimeout(() => dismiss(id), 5000);
}

export function Toasts() {
  const t = useText(common);
  const list = useSyncExternalStore((f) => {
    listeners.add(f);
    return () => void listeners.delete(f);
  }, () => messages);
  return (
    <div className={s.toasts} role="status" aria-live="polite">
      {list.map((m) => (
        <div key={m.id} className={s.toast} data-tone={m.tone}>
          <div>{m.text}</div>
          <IconButton small icon={X} label={t("action.dismiss")} onClick={() => dismiss(m.id)} />
        </div>
      ))}
    </div>
  );
}
