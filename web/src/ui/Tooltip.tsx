/* A tooltip on hover and on keyboard focus, over anything. Escape hides it. Not for what is needed to understand the page. */
import { cloneElement, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import type { ReactElement, Ref, SyntheticEvent } from "react";
import { createPortal } from "react-dom";
import s from "./ui.module.css";

interface TooltipProps {
  text: string;
  children: ReactElement;
  /** Whether the text describes its target to assistive technology; not where it is the target's name already. */
  label?: boolean;
}
type Handler = ((e: SyntheticEvent) => void) | undefined;

function setRef(ref: Ref<HTMLElement> | undefined, el: HTMLElement | null) {
  if (typeof ref === "function") ref(el);
  else if (ref) (ref as { current: HTMLElement | null }).current = el;
}

export function Tooltip({ text, children, label = true }: TooltipProps) {
  const id = useId();
  const target = useRef<HTMLElement | null>(null);
  const tip = useRef<HTMLDivElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  const [open, setOpen] = useState(false);
  const show = (wait: number) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setOpen(true), wait);
  };
  const hide = () => {
    clearTimeout(timer.current);
    setOpen(false);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (!open) return;
    const key = (e: KeyboardEvent) => {
      if (e.key === "Escape") hide();
    };
    window.addEventListener("keydown", key);
    window.addEventListener("scroll", hide, true);
    return () => {
      window.removeEventListener("keydown", key);
      window.removeEventListener("scroll", hide, true);
    };
  }, [open]);
  useLayoutEffect(() => {
    const el = tip.current;
    if (!open || !el || !target.current) return;
    const t = target.current.getBoundingClientRect();
    const w = el.offsetWidth, h = el.offsetHeight, gap = 6;
    const top = t.top - h - gap >= 4 ? t.top - h - gap : t.bottom + gap;
    el.style.top = `${Math.min(Math.max(top, 4), window.innerHeight - h - 4)}px`;
    el.style.left = `${Math.min(Math.max(t.left + t.width / 2 - w / 2, 4), window.innerWidth - w - 4)}px`;
  }, [open, text]);
  const props = children.props as Record<string, unknown>;
  const both = (name: string, f: (e: SyntheticEvent) => void) => (e: SyntheticEvent) => {
    (props[name] as Handler)?.(e);
    f(e);
  };
  const own = (children as unknown as { ref?: Ref<HTMLElement> }).ref;
  return (
    <>
      {cloneElement(children, {
        ref: (el: HTMLElement | null) => {
          target.current = el;
          setRef(own, el);
        },
        onPointerEnter: both("onPointerEnter", (e) => { if ((e as unknown as PointerEvent).pointerType !== "touch") show(400); }),
        onPointerLeave: both("onPointerLeave", hide),
        onPointerDown: both("onPointerDown", hide),
        onFocus: both("onFocus", (e) => { if ((e.target as HTMLElement).matches(":focus-visible")) show(100); }),
        onBlur: both("onBlur", hide),
        ...(label && open && { "aria-describedby": id }),
      } as Record<string, unknown>)}
      {open && createPortal(<div ref={tip} id={id} role="tooltip" className={s.tooltip} style={{ position: "fixed", zIndex: 300, pointerEvents: "none", width: "max-content" }}>{text}</div>, document.body)}
    </>
  );
}
