/* A menu under a button. <Menu label="Options" items={[{ id, label, icon, onAction, bad, disabled }, "separator"]} />
 * With children, they are the button's content; without, it is the three dots. */
import type { ReactNode } from "react";
import { Button as AriaButton, Menu as AriaMenu, MenuItem, MenuTrigger, Popover, Separator } from "react-aria-components";
import { Check, Ellipsis } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import { cx } from "./cx";
import s from "./ui.module.css";

export interface MenuEntry {
  id: string;
  label: string;
  detail?: string;
  icon?: LucideIcon;
  onAction: () => void;
  /** It takes something away. */
  bad?: boolean;
  disabled?: boolean;
  /** One of several choices, and whether it is the one. */
  checked?: boolean;
}
export interface MenuProps {
  label: string;
  items: readonly (MenuEntry | "separator" | null | false | undefined)[];
  children?: ReactNode;
  small?: boolean;
  kind?: "plain" | "quiet";
  className?: string;
}

export function Menu({ label, items, children, small, kind, className }: MenuProps) {
  const bare = children === undefined;
  return (
    <MenuTrigger>
      <AriaButton aria-label={label} className={cx(s.button, bare && s.icon, (kind ?? (bare ? "quiet" : "plain")) === "quiet" && s.quiet, small && s.small, className)}>
        {bare ? <Ellipsis aria-hidden /> : children}
      </AriaButton>
      <Popover className={s.popover ?? ""} offset={4}>
        <AriaMenu className={s.list ?? ""} aria-label={label}>
          {items.map((item, i) => {
            if (!item) return null;
            if (item === "separator") return <Separator key={`s${i}`} className={s.separator ?? ""} />;
            const Icon = item.checked ? Check : item.icon;
            return (
              <MenuItem key={item.id} id={item.id} textValue={item.label} isDisabled={item.disabled ?? false} className={cx(s.item, item.bad && s.itemBad)} onAction={item.onAction}
                aria-current={item.checked ? "true" : undefined}>
                {Icon ? <Icon aria-hidden /> : item.checked === false && <span style={{ width: "1rem" }} />}
                <span className={s.itemText}>
                  <span>{item.label}</span>
                  {item.detail && <span className={s.hint}>{item.detail}</span>}
                </span>
              </MenuItem>
            );
          })}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}
