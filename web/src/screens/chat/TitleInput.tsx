/* Renaming in place: Enter or leaving keeps the title, Escape does not. */
import { useEffect, useRef, useState } from "react";
import { useText } from "../../i18n";
import { text } from "./text";
import s from "./chat.module.css";

export function TitleInput({ title, onDone }: { title: string; onDone: (title: string | null) => void }) {
  const t = useText(text);
  const [value, set] = useState(title);
  const done = useRef(false);
  const el = useRef<HTMLInputElement>(null);
  const settled = useRef(false);
  useEffect(() => { // the menu that led here keeps the focus until it has closed, and then gives it back to its button
    const timers = [0, 60, 160, 320].map((ms) => setTimeout(() => {
      settled.current = ms === 320;
      if (document.activeElement !== el.current) el.current?.focus();
    }, ms));
    return () => timers.forEach(clearTimeout);
  }, []);
  const finish = (keep: boolean) => {
    if (done.current) return;
    done.current = true;
    const next = value.trim();
    onDone(keep && next && next !== title ? next : null);
  };
  return (
    <input ref={el} className={s.rename} aria-label={t("rename.label")} value={value} maxLength={200} onFocus={(e) => e.target.select()} onChange={(e) => set(e.target.value)}
      onBlur={() => { if (settled.current) finish(true); }}
      onKeyDown={(e) => {
        e.stopPropagation();
        if (e.key === "Enter" && !e.nativeEvent.isComposing) finish(true);
        if (e.key === "Escape") finish(false);
      }} />
  );
}
