/* Where one types. Enter sends, Shift+Enter breaks the line; files come by button, paste or drop; what was typed is kept per session. */
import { forwardRef, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "react";
import type { DragEvent, KeyboardEvent } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { Button as AriaButton, Dialog as AriaDialog, DialogTrigger, Popover } from "react-aria-components";
import { ChevronsUpDown, FileAudio, FileText, Paperclip, SendHorizontal, Sparkles, Square, Wrench, X } from "lucide-react";
import { useText } from "../../i18n";
import { ApiError, call, urlOf, useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Button, IconButton, Meter, Tooltip, cx, useErrorText } from "../../ui";
import { draftKeep, draftOf } from "./drafts";
import { useHelp } from "./help";
import { ModelList } from "./ModelList";
import { text } from "./text";
import { upload } from "./upload";
import type { Upload } from "./upload";
import s from "./chat.module.css";

export interface ComposerHandle {
  focus: () => void;
  put: (text: string) => void;
  edit: (text: string) => void;
  restore: (text: string) => void;
}
export interface ComposerProps {
  draftKey: string;
  sessionId: string | null;
  busy: boolean;
  stopping: boolean;
  offline: boolean;
  disabled: boolean;
  model: string;
  onModel: (model: string) => void;
  tools: boolean;
  onTools: (on: boolean) => void;
  editing: boolean;
  onCancelEdit: () => void;
  onSend: (text: string, attachments: readonly string[]) => void;
  onStop: () => void;
  refused: ApiError | null;
  onDismiss: () => void;
  onOpenList: (() => void) | null;
}
const LONGEST = 1_000_000;
const FILES = 16;

function ModelPicker({ model, onModel }: { model: string; onModel: (m: string) => void }) {
  const t = useText(text);
  const [open, setOpen] = useState(false);
  return (
    <DialogTrigger isOpen={open} onOpenChange={setOpen}>
      <AriaButton className={s.pick ?? ""} aria-label={t("model.pick", { model: model === "auto" ? t("model.auto_name") : model })}>
        {model === "auto" && <Sparkles aria-hidden />}<span className="truncate">{model === "auto" ? t("model.auto_name") : model}</span><ChevronsUpDown aria-hidden />
      </AriaButton>
      <Popover className={s.pickBox ?? ""} placement="top start">
        <AriaDialog aria-label={t("model")} className={s.pickInner ?? ""}>
          <ModelList value={model} onPick={(m) => { onModel(m); setOpen(false); }} />
        </AriaDialog>
      </Popover>
    </DialogTrigger>
  );
}

function ToolsSwitch({ on, onChange }: { on: boolean; onChange: (on: boolean) => void }) {
  const t = useText(text);
  const f = useFormat();
  const list = useApi("operator.tools_list", { staleTime: 60_000 });
  const usable = list.data?.tools.filter((x) => x.available) ?? [];
  const hint = [on ? t("tools.on") : t("tools.off"), usable.length > 0 ? t("tools.which", { names: f.list(usable.map((x) => x.title)) }) : ""].filter(Boolean).join("\n");
  return (
    <Tooltip text={hint}>
      <button type="button" role="switch" aria-checked={on} aria-label={t("tools")} className={s.toolsSwitch} onClick={() => onChange(!on)}><Wrench aria-hidden /><span>{t("tools")}</span></button>
    </Tooltip>
  );
}

export const Composer = forwardRef<ComposerHandle, ComposerProps>(function Composer(p, ref) {
  const t = useText(text);
  const f = useFormat();
  const errorText = useErrorText();
  const help = useHelp();
  const client = useQueryClient();
  const [value, setValue] = useState(() => draftOf(p.draftKey));
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const [dragging, setDragging] = useState(false);
  const [again, setAgain] = useState<number | null>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const before = useRef("");
  const sent = useRef<readonly Upload[]>([]);
  const focus = useCallback(() => area.current?.focus(), []);
  const put = useCallback((x: string) => {
    setValue(x);
    requestAnimationFrame(() => {
      const el = area.current;
      if (!el) return;
      el.focus();
      el.setSelectionRange(el.value.length, el.value.length);
    });
  }, []);
  useImperativeHandle(ref, () => ({
    focus, put,
    edit: (x) => {
      before.current = area.current?.value ?? "";
      put(x);
    },
    restore: (x) => {
      setValue((now) => now || x);
      setUploads((now) => (now.length > 0 ? now : sent.current));
    },
  }), [focus, put]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches && !document.querySelector("[role=dialog]") && !/\/chat\/[^/]+\/./.test(location.pathname)) focus();
  }, [focus]);
  useEffect(() => {
    if (p.editing) return;
    const timer = setTimeout(() => draftKeep(p.draftKey, value), 300);
    return () => clearTimeout(timer);
  }, [value, p.draftKey, p.editing]);
  const latest = useRef({ value, editing: p.editing });
  latest.current = { value, editing: p.editing };
  useEffect(() => () => { if (!latest.current.editing) draftKeep(p.draftKey, latest.current.value); }, [p.draftKey]);
  useLayoutEffect(() => {
    const el = area.current;
    if (!el) return;
    el.style.height = "auto";
    el.style.height = `${el.scrollHeight}px`;
  }, [value]);
  const refused = p.refused;
  useEffect(() => {
    if (!refused?.retryAfterMs) return setAgain(null);
    const until = Date.now() + refused.retryAfterMs;
    const look = () => setAgain(Math.max(0, until - Date.now()) || null);
    look();
    const timer = setInterval(look, 500);
    return () => clearInterval(timer);
  }, [refused]);

  const add = useCallback((files: Iterable<File>) => {
    for (const file of files) {
      const one: Upload = { key: crypto.randomUUID(), name: file.name || t("file.pasted"), bytes: file.size, kind: file.type.startsWith("image/") ? "image" : file.type.startsWith("audio/") ? "audio" : "text", sent: 0, file: null, error: null, abort: new AbortController() };
      setUploads((old) => (old.length >= FILES ? old : [...old, one]));
      const patch = (change: Partial<Upload>) => setUploads((old) => old.map((x) => (x.key === one.key ? { ...x, ...change } : x)));
      upload(file, one.name, p.sessionId, one.abort.signal, (sent) => patch({ sent })).then(
        (stored) => patch({ file: stored, sent: 1, kind: stored.kind }),
        (e: unknown) => { if (!one.abort.signal.aborted) patch({ error: e instanceof ApiError && e.status === 415 ? t("file.type") : e instanceof ApiError && e.status === 413 ? t("file.large") : errorText(e) }); },
      );
    }
  // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [p.sessionId, t]);
  const drop = (one: Upload) => {
    one.abort.abort();
    setUploads((old) => old.filter((x) => x.key !== one.key));
    if (one.file) call("operator.files_delete", { params: { id: one.file.id } }).catch(() => undefined); // it goes by itself later
    focus();
  };

  const words = value.trim();
  const uploading = uploads.some((x) => !x.file && !x.error);
  const why = p.disabled ? t("send.lost") : p.offline ? t("send.offline") : p.busy ? t("send.busy") : again !== null ? t("send.wait", { time: f.duration(Math.ceil(again / 1000) * 1000) }) : uploading ? t("send.uploading")
    : words === "" ? (uploads.length > 0 ? t("send.words") : t("send.empty")) : value.length > LONGEST ? t("send.long", { count: value.length - LONGEST }) : null;
  const send = () => {
    if (why !== null) return;
    p.onSend(words, uploads.flatMap((x) => (x.file ? [x.file.id] : [])));
    sent.current = uploads;
    setValue("");
    setUploads([]);
    draftKeep(p.draftKey, "");
    void client.invalidateQueries({ queryKey: ["operator.files_list"] });
  };
  const cancelEdit = () => {
    setValue(before.current);
    p.onCancelEdit();
    focus();
  };
  const key = (e: KeyboardEvent<HTMLTextAreaElement>) => {
    if (e.key === "Enter" && !e.shiftKey && !e.altKey && !e.nativeEvent.isComposing && e.keyCode !== 229) {
      e.preventDefault();
      send();
    } else if (e.key === "Escape" && p.editing) {
      e.preventDefault();
      cancelEdit();
    }
  };
  const dragged = (e: DragEvent) => [...e.dataTransfer.types].includes("Files");

  return (
    <div className={cx(s.composer, dragging && s.dropping)}
      onDragOver={(e) => { if (dragged(e)) { e.preventDefault(); setDragging(true); } }}
      onDragLeave={(e) => { if (!e.currentTarget.contains(e.relatedTarget as Node | null)) setDragging(false); }}
      onDrop={(e) => {
        setDragging(false);
        if (!dragged(e)) return;
        e.preventDefault();
        add(e.dataTransfer.files);
      }}>
      {refused && (
        <div className={s.refused} role="alert">
          <div>
            <strong>{refused.code === "session_busy" ? t("refused.busy") : t("refused")}</strong>
            <p>{errorText(refused)}</p>
            <p>{help(refused.code, refused.status)}</p>
          </div>
          {refused.code === "session_busy" && <Button small icon={Square} onClick={p.onStop}>{t("stop")}</Button>}
          <IconButton small icon={X} label={t("dismiss")} onClick={p.onDismiss} />
        </div>
      )}
      {p.editing && (
        <div className={s.editing}>
          <span>{t("editing")}</span>
          <Button small kind="quiet" onClick={cancelEdit}>{t("cancel")}</Button>
        </div>
      )}
      {uploads.length > 0 && (
        <ul className={s.uploads} aria-label={t("files")}>
          {uploads.map((x) => (
            <li key={x.key} className={s.upload} data-error={x.error ? "" : undefined}>
              {x.file && x.kind === "image" ? <img src={urlOf("operator.files_content", { id: x.file.id })} alt="" /> : x.kind === "audio" ? <FileAudio aria-hidden /> : <FileText aria-hidden />}
              <span className={s.uploadText}>
                <span className="truncate">{x.name}</span>
                {x.error ? <span className={s.uploadError} role="alert">{x.error}</span> : x.file ? <span className="soft">{f.bytes(x.bytes)}</span> : <Meter progress label={t("file.uploading", { name: x.name })} value={x.sent} />}
              </span>
              <IconButton small icon={X} label={t("file.remove", { name: x.name })} onClick={() => drop(x)} />
            </li>
          ))}
        </ul>
      )}
      <textarea ref={area} className={s.area} rows={1} aria-label={p.editing ? t("edit.label") : t("message")} placeholder={p.editing ? t("edit.label") : t("placeholder")} value={value} onChange={(e) => setValue(e.target.value)} onKeyDown={key} enterKeyHint="send"
        onPaste={(e) => {
          const files = [...e.clipboardData.files];
          if (files.length === 0) return;
          e.preventDefault();
          add(files);
        }} />
      <div className={s.bar}>
        <input ref={picker} type="file" multiple hidden aria-label={t("attach")} onChange={(e) => { add(e.target.files ?? []); e.target.value = ""; }} />
        <IconButton icon={Paperclip} label={t("attach")} disabled={p.offline || uploads.length >= FILES} onClick={() => picker.current?.click()} />
        <ModelPicker model={p.model} onModel={p.onModel} />
        <ToolsSwitch on={p.tools} onChange={p.onTools} />
        <span className="spacer" />
        {again !== null && <span className={cx(s.barNote, "num")} role="status">{t("send.wait", { time: f.duration(Math.ceil(again / 1000) * 1000) })}</span>}
        {p.busy ? <Button icon={Square} onClick={p.onStop} disabled={p.stopping || p.sessionId === null} className={s.stop} aria-keyshortcuts="Escape">{p.stopping ? t("stopping") : t("stop")}</Button> : (
          <IconButton icon={SendHorizontal} kind="primary" label={why ?? t("send")} aria-disabled={why !== null || undefined} onClick={send} className={s.send} />
        )}
      </div>
      {dragging && <div className={s.dropHere} aria-hidden>{t("file.drop")}</div>}
    </div>
  );
});
