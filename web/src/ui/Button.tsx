import { forwardRef } from "react";
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { LoaderCircle } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import { cx } from "./cx";
import { Tooltip } from "./Tooltip";
import s from "./ui.module.css";

type Kind = "plain" | "primary" | "danger" | "quiet";
export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: Kind;
  small?: boolean;
  icon?: LucideIcon;
  /** Shows that it is at work, and takes no second press. */
  busy?: boolean;
  children?: ReactNode;
}

const kinds: Record<Kind, string | undefined> = { plain: "", primary: s.primary, danger: s.danger, quiet: s.quiet };

export const Button = forwardRef<HTMLButtonElement, ButtonProps>(function Button({ kind = "plain", small, icon: Icon, busy, className, children, disabled, ...rest }, ref) {
  return (
    <button ref={ref} type="button" className={cx(s.button, kinds[kind], small && s.small, className)} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
      {busy ? <LoaderCircle className={s.spin} aria-hidden /> : Icon && <Icon aria-hidden />}
      {children}
    </button>
  );
});

export interface IconButtonProps extends Omit<ButtonProps, "children" | "aria-label"> {
  icon: LucideIcon;
  /** What it does: read out, and shown as its tooltip. */
  label: string;
}

export const IconButton = forwardRef<HTMLButtonElement, IconButtonProps>(function IconButton({ icon: Icon, label, kind = "quiet", small, busy, className, disabled, ...rest }, ref) {
  return (
    <Tooltip text={label} label={false}>
      <button ref={ref} type="button" className={cx(s.button, s.icon, kinds[kind], small && s.small, className)} aria-label={label} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
        {busy ? <LoaderCircle className={s.spin} aria-hidden /> : <Icon aria-hidden />}
      </button>
    </Tooltip>
  );
});
