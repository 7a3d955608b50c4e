/* Type to find one of many; allowsCustomValue lets the text itself be the value. */
import type { ReactNode } from "react";
import { Button as AriaButton, ComboBox as AriaComboBox, Input, Label, ListBox, ListBoxItem, Popover } from "react-aria-components";
import { ChevronDown } from "lucide-react";
import { cx } from "./cx";
import s from "./ui.module.css";

export interface ComboItem {
  id: string;
  label: string;
  detail?: string;
  icon?: ReactNode;
}
export interface ComboBoxProps {
  label: string;
  hideLabel?: boolean;
  items: readonly ComboItem[];
  value: string | null;
  onChange: (id: string | null) => void;
  placeholder?: string;
  allowsCustomValue?: boolean;
  disabled?: boolean;
}

export function ComboBox({ label, hideLabel, items, value, onChange, placeholder, allowsCustomValue, disabled }: ComboBoxProps) {
  return (
    <AriaComboBox
      className={s.field ?? ""} defaultItems={items} selectedKey={value} isDisabled={disabled ?? false} allowsCustomValue={allowsCustomValue ?? false} menuTrigger="focus"
      onSelectionChange={(key) => onChange(key === null ? null : String(key))}
    >
      <Label className={hideLabel ? "visually-hidden" : s.label ?? ""}>{label}</Label>
      <div className={s.combo}>
        <Input className={s.input ?? ""} placeholder={placeholder ?? ""} spellCheck={false} />
        <AriaButton className={cx(s.button, s.icon, s.quiet)}><ChevronDown aria-hidden /></AriaButton>
      </div>
      <Popover className={cx(s.popover, s.comboPopover)} offset={4}>
        <ListBox className={s.list ?? ""}>
          {(item: ComboItem) => (
            <ListBoxItem id={item.id} textValue={item.label} className={s.item ?? ""}>
              {item.icon}
              <span className={s.itemText}>
                <span>{item.label}</span>
                {item.detail && <span className={s.hint}>{item.detail}</span>}
              </span>
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </AriaComboBox>
  );
}
