/* Tabs after the ARIA pattern: arrows move and choose, one tab stop. Only the chosen panel is drawn. */
import { useId, useRef } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import { cx } from "./cx";
import s from "./ui.module.css";

export interface TabSpec<K extends string> {
  id: K;
  label: ReactNode;
  panel: () => ReactNode;
}
export function Tabs<K extends string>({ label, tabs, value, onChange, className }: { label: string; tabs: readonly TabSpec<K>[]; value: K; onChange: (id: K) => void; className?: string }) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(0, tabs.findIndex((x) => x.id === value));
  const key = (e: KeyboardEvent) => {
    const to = e.key === "ArrowRight" ? at + 1 : e.key === "ArrowLeft" ? at - 1 : e.key === "Home" ? 0 : e.key === "End" ? tabs.length - 1 : null;
    if (to === null) return;
    e.preventDefault();
    const i = (to + tabs.length) % tabs.length;
    const next = tabs[i];
    if (!next) return;
    onChange(next.id);
    (list.current?.children[i] as HTMLElement | undefined)?.focus();
  };
  const current = tabs[at];
  return (
    <>
      <div ref={list} role="tablist" aria-label={label} className={cx(s.tabs, className)} onKeyDown={key}>
        {tabs.map((x, i) => (
          <button key={x.id} type="button" role="tab" id={`${id}-${x.id}`} aria-selected={i === at} aria-controls={i === at ? `${id}-panel` : undefined} tabIndex={i === at ? 0 : -1} className={s.tab} onClick={() => onChange(x.id)}>
            {x.label}
          </button>
        ))}
      </div>
      {current && <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${current.id}`}>{current.panel()}</div>}
    </>
  );
}
