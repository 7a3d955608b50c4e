/* Dialogs. The focus goes in, stays in, and comes back; Escape closes. On a phone they rise from the bottom.
 *
 *   <Dialog open={open} onClose={…} title="…" foot={<Button …/>}>…</Dialog>
 *   const confirm = useConfirm();  if (await confirm({ title, text, action: "Remove 3.7 MB", bad: true })) …  */
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import type { ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { X } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { Button, IconButton } from "./Button";
import { TextField } from "./fields";
import { cx } from "./cx";
import s from "./ui.module.css";

export interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  /** The title is read out but not shown. */
  hideTitle?: boolean;
  size?: "normal" | "wide" | "huge";
  /** A sheet along an edge in place of a box in the middle. */
  side?: "left" | "right";
  /** Buttons under the body. */
  foot?: ReactNode;
  /** An answer is needed: no click outside closes it, and it is announced as an alert. */
  alert?: boolean;
  bare?: boolean;
  children: ReactNode;
}

export function Dialog({ open, onClose, title, hideTitle, size = "normal", side, foot, alert, bare, children }: DialogProps) {
  const t = useText(common);
  return (
    <ModalOverlay isOpen={open} onOpenChange={(o) => { if (!o) onClose(); }} isDismissable={!alert} className={cx(s.veil, side && s.sheetVeil, side === "right" && s.sheetRight)}>
      <Modal className={cx(s.modal, side && s.sheet, size === "wide" && s.wide, size === "huge" && s.huge)}>
        <AriaDialog className={s.dialog ?? ""} role={alert ? "alertdialog" : "dialog"} {...(hideTitle && { "aria-label": title })}>
          {!hideTitle && (
            <div className={s.dialogHead}>
              <Heading slot="title" level={2}>{title}</Heading>
              <IconButton icon={X} label={t("action.close")} onClick={onClose} small />
            </div>
          )}
          {bare ? children : <div className={s.dialogBody}>{children}</div>}
          {foot && <div className={s.dialogFoot}>{foot}</div>}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

export interface Confirmation {
  title: string;
  /** What will happen, and whether it can be undone. */
  text: ReactNode;
  /** Names the deed: "Remove model", never "OK". */
  action: string;
  bad?: boolean;
  /** Has to be typed first, for what cannot be undone. */
  type?: { word: string; label: string };
}

export function ConfirmDialog({ what, onAnswer }: { what: Confirmation | null; onAnswer: (yes: boolean) => void }) {
  const t = useText(common);
  const [typed, setTyped] = useState("");
  const last = useRef(what);
  if (what) last.current = what;
  const shown = what ?? last.current;
  useEffect(() => setTyped(""), [what]);
  const ready = !shown?.type || typed === shown.type.word;
  return (
    <Dialog open={what !== null} onClose={() => onAnswer(false)} title={shown?.title ?? ""} alert foot={
      <>
        <Button autoFocus={!shown?.type} onClick={() => onAnswer(false)}>{t("action.cancel")}</Button>
        <Button kind={shown?.bad ? "danger" : "primary"} disabled={!ready} onClick={() => onAnswer(true)}>{shown?.action}</Button>
      </>
    }>
      <div>{shown?.text}</div>
      {shown?.type && <TextField label={shown.type.label} value={typed} onChange={setTyped} autoFocus spellCheck={false} />}
    </Dialog>
  );
}

const Confirm = createContext<(what: Confirmation) => Promise<boolean>>(() => Promise.resolve(false));

export function ConfirmProvider({ children }: { children: ReactNode }) {
  const [what, setWhat] = useState<Confirmation | null>(null);
  const answer = useRef<((yes: boolean) => void) | null>(null);
  const ask = useCallback((next: Confirmation) => new Promise<boolean>((resolve) => {
    answer.current?.(false);
    answer.current = resolve;
    setWhat(next);
  }), []);
  const done = useCallback((yes: boolean) => {
    answer.current?.(yes);
    answer.current = null;
    setWhat(null);
  }, []);
  return (
    <Confirm.Provider value={useMemo(() => ask, [ask])}>
      {children}
      <ConfirmDialog what={what} onAnswer={done} />
    </Confirm.Provider>
  );
}

/** Asks the person; resolves to whether they agreed. */
export const useConfirm = () => useContext(Confirm);
