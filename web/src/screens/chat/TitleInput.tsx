/* Renaming in place: Enter or leaving keeps the title, Escape does not. */
import { useRef, useState } from "react";
import { useText } from "../../i18n";
import { text } from "./text";
import s from "./chat.module.css";

export function TitleInput({ title, onDone }: { title: string; onDone: (title: string | null) => void }) {
  const t = useText(text);
  const [value, set] = useState(title);
  const done = useRef(false);
  const since = useRef(performance.now());
  const finish = (keep: boolean) => {
    if (done.current) return;
    done.current = true;
    const next = value.trim();
    onDone(keep && next && next !== title ? next : null);
  };
  return (
    <input className={s.rename} aria-label={t("rename.label")} value={value} maxLength={200} autoFocus onFocus={(e) => e.target.select()} onChange={(e) => set(e.target.value)}
      onBlur={(e) => {
        const el = e.target;
        if (performance.now() - since.current < 400) setTimeout(() => el.focus(), 0); // the menu that led here gives the focus back to its button
        else finish(true);
      }}
      onKeyDown={(e) => {
        e.stopPropagation();
        if (e.key === "Enter" && !e.nativeEvent.isComposing) finish(true);
        if (e.key === "Escape") finish(false);
      }} />
  );
}
