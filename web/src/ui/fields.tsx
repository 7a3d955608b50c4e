/* Form fields: a label always, a hint and a problem when there are, tied together for assistive technology. */
import { forwardRef, useId, useRef } from "react";
import type { ChangeEvent, InputHTMLAttributes, ReactNode, SelectHTMLAttributes, TextareaHTMLAttributes } from "react";
import { Search, X } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { IconButton } from "./Button";
import { cx } from "./cx";
import s from "./ui.module.css";

interface FieldProps {
  label: string;
  /** The label is read out but not shown. */
  hideLabel?: boolean;
  hint?: ReactNode;
  /** What is wrong with the value. */
  problem?: string | null;
}

function useField({ hint, problem }: FieldProps) {
  const id = useId();
  const described = [hint ? `${id}-h` : "", problem ? `${id}-p` : ""].filter(Boolean).join(" ");
  return { id, aria: { id, "aria-describedby": described || undefined, "aria-invalid": problem ? true : undefined } as const };
}

function Field({ id, field, className, children }: { id: string; field: FieldProps; className?: string | undefined; children: ReactNode }) {
  return (
    <div className={cx(s.field, className)}>
      <label htmlFor={id} className={field.hideLabel ? "visually-hidden" : s.label}>{field.label}</label>
      {children}
      {field.hint && <div id={`${id}-h`} className={s.hint}>{field.hint}</div>}
      {field.problem && <div id={`${id}-p`} className={s.problem} role="alert">{field.problem}</div>}
    </div>
  );
}

export type TextFieldProps = FieldProps & Omit<InputHTMLAttributes<HTMLInputElement>, "onChange"> & { onChange?: (value: string) => void };
export const TextField = forwardRef<HTMLInputElement, TextFieldProps>(function TextField({ label, hideLabel, hint, problem, onChange, className, ...rest }, ref) {
  const field = { label, hideLabel, hint, problem } as FieldProps;
  const { id, aria } = useField(field);
  return (
    <Field id={id} field={field} className={className}>
      <input ref={ref} type="text" className={s.input} autoComplete="off" {...rest} {...aria} onChange={(e) => onChange?.(e.target.value)} />
    </Field>
  );
});

export type TextAreaProps = FieldProps & Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "onChange"> & { onChange?: (value: string) => void };
export const TextArea = forwardRef<HTMLTextAreaElement, TextAreaProps>(function TextArea({ label, hideLabel, hint, problem, onChange, className, ...rest }, ref) {
  const field = { label, hideLabel, hint, problem } as FieldProps;
  const { id, aria } = useField(field);
  return (
    <Field id={id} field={field} className={className}>
      <textarea ref={ref} className={s.input} {...rest} {...aria} onChange={(e) => onChange?.(e.target.value)} />
    </Field>
  );
});

export interface Option<V extends string> {
  value: V;
  label: string;
  disabled?: boolean;
}
export type SelectProps<V extends string> = FieldProps & Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange" | "value"> & {
  value: V;
  options: readonly Option<V>[];
  onChange: (value: V) => void;
};
/** The browser's own select: best with a keyboard, a screen reader and a phone. */
export function Select<V extends string>({ label, hideLabel, hint, problem, value, options, onChange, className, ...rest }: SelectProps<V>) {
  const field = { label, hideLabel, hint, problem } as FieldProps;
  const { id, aria } = useField(field);
  return (
    <Field id={id} field={field} className={className}>
      <select className={cx(s.input, s.select)} value={value} {...rest} {...aria} onChange={(e: ChangeEvent<HTMLSelectElement>) => onChange(e.target.value as V)}>
        {options.map((o) => <option key={o.value} value={o.value} disabled={o.disabled}>{o.label}</option>)}
      </select>
    </Field>
  );
}

export interface SearchFieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder?: string;
  className?: string;
  onKeyDown?: InputHTMLAttributes<HTMLInputElement>["onKeyDown"];
}
/** Escape clears it. The label is its placeholder unless another is given. */
export const SearchField = forwardRef<HTMLInputElement, SearchFieldProps>(function SearchField({ label, value, onChange, placeholder, className, onKeyDown }, ref) {
  const t = useText(common);
  const own = useRef<HTMLInputElement | null>(null);
  return (
    <div className={cx(s.search, className)}>
      <Search aria-hidden />
      <input
        ref={(el) => {
          own.current = el;
          if (typeof ref === "function") ref(el);
          else if (ref) ref.current = el;
        }}
        type="search" className={s.input} aria-label={label} placeholder={placeholder ?? label} value={value} autoComplete="off" spellCheck={false}
        onChange={(e) => onChange(e.target.value)}
        onKeyDown={(e) => {
          if (e.key === "Escape" && value !== "") {
            e.stopPropagation();
            onChange("");
          }
          onKeyDown?.(e);
        }}
      />
      {value !== "" && <IconButton icon={X} label={t("action.clear")} onClick={() => { onChange(""); own.current?.focus(); }} />}
    </div>
  );
});

interface CheckProps {
  checked: boolean;
  onChange: (checked: boolean) => void;
  children: ReactNode;
  hint?: ReactNode;
  disabled?: boolean;
  hideLabel?: boolean;
}
function Check({ checked, onChange, children, hint, disabled, hideLabel, isSwitch }: CheckProps & { isSwitch?: boolean }) {
  const id = useId();
  return (
    <label className={cx(s.check, isSwitch && s.switch)}>
      <input type="checkbox" role={isSwitch ? "switch" : undefined} checked={checked} disabled={disabled} aria-describedby={hint ? id : undefined} onChange={(e) => onChange(e.target.checked)} />
      <span className={hideLabel ? "visually-hidden" : undefined}>
        {children}
        {hint && <span id={id} className={s.hint} style={{ display: "block" }}>{hint}</span>}
      </span>
    </label>
  );
}
export const Checkbox = (props: CheckProps) => <Check {...props} />;
/** For what takes effect at once. */
export const Switch = (props: CheckProps) => <Check {...props} isSwitch />;
