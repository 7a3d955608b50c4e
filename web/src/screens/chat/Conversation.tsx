/* One conversation: its head, its messages, of which only those in sight are drawn, and where one types.
 * While an answer grows the view stays at its end, unless the person scrolled up; older messages are read upwards. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Link, useLocation } from "wouter";
import { ArrowDown, Download, FileJson, GitBranch, History, MessageSquarePlus, PanelLeft, Pencil, Pin, PinOff, Trash2 } from "lucide-react";
import { useCommands } from "../../app/commands";
import { useText } from "../../i18n";
import { ApiError } from "../../lib/api";
import { useConnection } from "../../lib/connection";
import { useStored } from "../../lib/store";
import { Badge, Button, EmptyState, ErrorState, IconButton, Menu, SkeletonLines, cx, toast, useErrorText } from "../../ui";
import { useBranch, useExport, useRemove, useSessionChange } from "./acts";
import { blocksOf, plain } from "./blocks";
import { Composer } from "./Composer";
import type { ComposerHandle } from "./Composer";
import { useMessages } from "./data";
import type { Message } from "./data";
import { draftKeep, lastModel, toolsWanted } from "./drafts";
import { Loading } from "./Loading";
import { MessageRow } from "./Message";
import type { MessageActs } from "./Message";
import { text } from "./text";
import { NEW, onTurnEnd, turnDismiss, turnOf, turnRetry, turnSend, turnStop, useTurn } from "./turns";
import { TitleInput } from "./TitleInput";
import { Welcome } from "./Welcome";
import s from "./chat.module.css";

interface Item {
  key: string;
  message: Message;
  growing: boolean;
  /** Messages that were replaced stand before it and are not shown. */
  gap: boolean;
}

function pendingMessage(content: string): Message {
  return { id: "pending", session_id: "", seq: Number.MAX_SAFE_INTEGER, role: "user", content, status: "ok", timestamp: Date.now(), tool_calls: [], attachments: [] } as unknown as Message;
}

export interface ConversationProps {
  id: string | null;
  /** The message to show. */
  message: string | null;
  /** Opens the list of sessions, where it is not beside. */
  onList: (() => void) | null;
  onNew: () => void;
}

export function Conversation({ id, message, onList, onNew }: ConversationProps) {
  const t = useText(text);
  const client = useQueryClient();
  const errorText = useErrorText();
  const [, go] = useLocation();
  const connection = useConnection();
  const key = id ?? NEW;
  const turn = useTurn(key);
  const [replaced, setReplaced] = useState(false);
  const [poll, setPoll] = useState(false);
  const query = useMessages(id, replaced, poll && turn === null);
  const pages = query.data?.pages;
  const session = pages?.[pages.length - 1]?.session ?? null;
  const [tools, setTools] = useStored(toolsWanted);
  const [newModel, setNewModel] = useStored(lastModel);
  const model = id ? session?.model ?? "auto" : newModel;
  const composer = useRef<ComposerHandle>(null);
  const changeSession = useSessionChange();
  const remove = useRemove(() => go("/chat", { replace: true }));
  const save = useExport();
  const branch = useBranch();
  const [editing, setEditing] = useState<Message | null>(null);
  const [renaming, setRenaming] = useState(false);

  const items = useMemo(() => {
    const out: Item[] = [];
    const live = turn?.answer ?? null;
    let seen = false;
    let before: number | null = pages?.[0]?.prev_cursor ? null : 0;
    for (const m of pages?.flatMap((p) => p.messages) ?? []) {
      if (m.role === "system" || m.role === "tool") {
        before = m.seq;
        continue;
      }
      const isLive = live?.id === m.id;
      seen ||= isLive;
      const gap = !replaced && before !== null && m.seq > before + 1;
      out.push({ key: m.id, message: isLive ? live : m, growing: (isLive && turn?.state === "streaming") || (!isLive && m.status === "streaming"), gap });
      before = m.seq;
    }
    if (turn?.asked) {
      const from = turn.asked.replaces;
      const at = from === null ? -1 : out.findIndex((x) => x.key === from);
      if (at >= 0) out.splice(at);
      if (turn.state === "sending") out.push({ key: "pending", message: pendingMessage(turn.asked.text), growing: false, gap: false });
    } else if (live && !seen) {
      out.push({ key: live.id, message: live, growing: turn?.state === "streaming", gap: false });
    }
    return out;
  }, [pages, turn, replaced]);
  const busy = turn !== null && turn.state !== "refused";
  const elsewhere = !busy && session?.running === true;
  useEffect(() => setPoll(elsewhere), [elsewhere]);

  /* ---- scrolling ---- */
  const box = useRef<HTMLDivElement>(null);
  const itemsNow = useRef(items);
  itemsNow.current = items;
  const [atEnd, setAtEnd] = useState(true);
  const v = useVirtualizer({
    count: items.length,
    getScrollElement: () => box.current,
    getItemKey: useCallback((i: number) => itemsNow.current[i]?.key ?? i, []),
    estimateSize: useCallback((i: number) => {
      const m = itemsNow.current[i]?.message;
      return m ? 90 + Math.min(Math.ceil(m.content.length / 90) * 24, 2400) : 120;
    }, []),
    overscan: 4, anchorTo: "end", followOnAppend: true, scrollEndThreshold: 60, paddingStart: 8, paddingEnd: 24,
  });
  const toEnd = useCallback(() => {
    if (itemsNow.current.length > 0) v.scrollToIndex(itemsNow.current.length - 1, { align: "end" });
  }, [v]);
  const placed = useRef(false);
  useLayoutEffect(() => {
    if (placed.current || items.length === 0 || message !== null) return;
    placed.current = true;
    toEnd();
  }, [items.length, message, toEnd]);
  const { hasPreviousPage, isFetchingPreviousPage, fetchPreviousPage } = query;
  const scrolled = useCallback(() => {
    const el = box.current;
    if (!el) return;
    setAtEnd(el.scrollHeight - el.scrollTop - el.clientHeight < 80);
    if (el.scrollTop < 600 && placed.current && hasPreviousPage && !isFetchingPreviousPage) void fetchPreviousPage();
  }, [hasPreviousPage, isFetchingPreviousPage, fetchPreviousPage]);

  /* ---- a message that was asked for ---- */
  const [flash, setFlash] = useState<string | null>(null);
  const wanted = useRef<string | null>(null);
  if (message !== wanted.current && message !== null) wanted.current = message;
  useEffect(() => {
    if (message === null || !pages || flash === message) return;
    const at = items.findIndex((x) => x.key === message);
    if (at >= 0) {
      placed.current = true;
      v.scrollToIndex(at, { align: "center" });
      setFlash(message);
      const timer = setTimeout(() => v.scrollToIndex(at, { align: "center" }), 120); // once more, when what is around it was measured
      const rest = setTimeout(() => document.querySelector<HTMLElement>(`[data-message="${message}"]`)?.focus({ preventScroll: true }), 250);
      void [timer, rest];
    } else if (hasPreviousPage) {
      if (!isFetchingPreviousPage) void fetchPreviousPage();
    } else if (!replaced) {
      setReplaced(true); // it may have been replaced since
    } else if (!query.isFetching) {
      setFlash(message);
      placed.current = true;
      toEnd();
      toast(t("message.gone"), "warn");
    }
  }, [message, pages, items, flash, hasPreviousPage, isFetchingPreviousPage, fetchPreviousPage, replaced, query.isFetching, v, toEnd, t]);

  /* ---- reading aloud: once, when the answer is there ---- */
  const [spoken, speak] = useState("");
  const state = turn?.state ?? null;
  useEffect(() => {
    if (state === "streaming") speak(t("say.generating"));
  }, [state, t]);
  useEffect(() => onTurnEnd((k, m) => {
    if (k !== key || !m) return;
    const said = plain(blocksOf(m.content), t("say.code"));
    const cut = said.length > 1200 ? `${said.slice(0, 1200)} … ${t("say.more")}` : said;
    speak(m.status === "ok" ? t("say.answer", { text: cut }) : m.status === "cancelled" ? t("say.stopped") : t("say.failed", { reason: m.error?.message ?? "" }));
  }), [key, t]);

  /* ---- doing ---- */
  const refused = turn?.state === "refused" ? turn.error : null;
  const send = useCallback((content: string, attachments: readonly string[]) => {
    const edited = editing;
    const replaces = edited?.id ?? null;
    setEditing(null);
    turnSend(client, {
      message: content, attachments: [...attachments], tools, ...(id ? { session_id: id } : model !== "auto" ? { model } : {}), ...(replaces && { replaces }),
    }, {
      onSession: (sessionId) => { if (!id) go(`/chat/${sessionId}`, { replace: true }); },
      onRefused: () => {
        setEditing(edited);
        composer.current?.restore(content);
        setTimeout(() => { if (!composer.current) draftKeep(key, content); }, 100); // the page was locked: it is there after the login
      },
    });
    requestAnimationFrame(toEnd);
  }, [client, editing, go, id, key, model, toEnd, tools]);
  const stop = useCallback(() => {
    if (id) turnStop(client, id).catch((e: unknown) => toast(errorText(e), "bad"));
  // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [client, id]);
  const retry = useCallback((messageId: string, other?: string) => {
    if (!id) return;
    if (turnOf(id)?.state === "refused") turnDismiss(id);
    turnRetry(client, id, messageId, { tools, ...(other && { model: other }) }, () => undefined);
  }, [client, id, tools]);
  const acts = useMemo<MessageActs>(() => ({
    edit: (m) => {
      setEditing(m);
      composer.current?.edit(m.content);
    },
    retry, branch: (m) => { if (id) void branch(id, m.id); },
    earlier: () => setReplaced(true),
  // eslint-disable-next-line react-hooks/exhaustive-deps
  }), [id, retry]);
  const setModel = useCallback((next: string) => {
    if (id) changeSession(id, { model: next });
    else setNewModel(next);
  }, [id, changeSession, setNewModel]);

  const waiting = busy || elsewhere;
  useEffect(() => {
    if (!waiting) return;
    const esc = (e: globalThis.KeyboardEvent) => {
      if (e.key === "Escape" && !e.defaultPrevented && !document.querySelector("[role=dialog], [role=alertdialog], [role=menu], [role=listbox]")) stop();
    };
    window.addEventListener("keydown", esc);
    return () => window.removeEventListener("keydown", esc);
  }, [waiting, stop]);
  useCommands(() => (session ? [
    { id: "chat.rename", label: t("rename"), icon: Pencil, run: () => setRenaming(true) },
    { id: "chat.pin", label: session.pinned ? t("unpin") : t("pin"), icon: session.pinned ? PinOff : Pin, run: () => changeSession(session.id, { pinned: !session.pinned }) },
    { id: "chat.md", label: t("export.md"), icon: Download, words: "export save exportar guardar", run: () => void save(session, "markdown") },
    { id: "chat.json", label: t("export.json"), icon: FileJson, words: "export save exportar guardar", run: () => void save(session, "json") },
    { id: "chat.replaced", label: replaced ? t("earlier.hide") : t("earlier.show"), icon: History, run: () => setReplaced(!replaced) },
    { id: "chat.delete", label: t("delete"), icon: Trash2, run: () => void remove(session) },
  ] : []), [session, t, replaced]);
  useCommands(() => [{ id: "chat.write", label: t("write"), keys: "i", keyOnly: true, run: () => composer.current?.focus() }], [t]);

  const fresh = !busy && items.length === 0 && (id === null || (session !== null && session.message_count === 0 && !query.isFetching));
  const lost = query.error instanceof ApiError && query.error.status === 404;
  const title = session?.title ?? t("new");
  return (
    <section className={s.conversation} aria-label={title}>
      <header className={s.head}>
        {onList && <IconButton icon={PanelLeft} label={t("sessions")} onClick={onList} />}
        {renaming && session ? (
          <TitleInput title={session.title} onDone={(next) => {
            setRenaming(false);
            if (next) changeSession(session.id, { title: next });
          }} />
        ) : <h1 className={s.title} onDoubleClick={() => session && setRenaming(true)}>{title}</h1>}
        {session?.pinned && <Badge icon={Pin}>{t("pinned")}</Badge>}
        {session?.branched_from && (
          <Link href={`/chat/${session.branched_from.session_id}/${session.branched_from.message_id}`} className={s.branched ?? ""}><GitBranch aria-hidden />{t("branched")}</Link>
        )}
        <span className="spacer" />
        {onList && <IconButton icon={MessageSquarePlus} label={t("new")} onClick={onNew} />}
        {session && (
          <Menu label={t("session.options", { title })} items={[
            { id: "rename", label: t("rename"), icon: Pencil, onAction: () => setRenaming(true) },
            { id: "pin", label: session.pinned ? t("unpin") : t("pin"), ...(!session.pinned && { detail: t("pin.detail") }), icon: session.pinned ? PinOff : Pin, onAction: () => changeSession(session.id, { pinned: !session.pinned }) },
            { id: "md", label: t("export.md"), icon: Download, onAction: () => void save(session, "markdown") },
            { id: "json", label: t("export.json"), icon: FileJson, onAction: () => void save(session, "json") },
            { id: "replaced", label: replaced ? t("earlier.hide") : t("earlier.show"), icon: History, onAction: () => setReplaced(!replaced) },
            "separator",
            { id: "delete", label: t("delete"), icon: Trash2, bad: true, onAction: () => void remove(session) },
          ]} />
        )}
      </header>
      <div className={s.logPlace}>
        {lost ? (
          <EmptyState icon={GitBranch} title={t("lost")} action={<Button onClick={onNew}>{t("new")}</Button>}>{t("lost.text")}</EmptyState>
        ) : query.error && !pages ? (
          <div className={s.pad}><ErrorState error={query.error} onRetry={() => void query.refetch()} /></div>
        ) : fresh ? (
          <Welcome onPick={(x) => composer.current?.put(x)} />
        ) : id !== null && !pages && !busy ? (
          <div className={s.pad}><SkeletonLines lines={8} /></div>
        ) : (
          <div ref={box} className={s.log} role="log" aria-live="off" aria-label={t("messages")} tabIndex={0} onScroll={scrolled}>
            <div className={s.logInner} style={{ height: v.getTotalSize() }}>
              {isFetchingPreviousPage && <div className={s.older} role="status">{t("older")}</div>}
              {v.getVirtualItems().map((x) => {
                const item = items[x.index];
                if (!item) return null;
                return (
                  <div key={x.key} ref={v.measureElement} data-index={x.index} className={s.slot} style={{ transform: `translateY(${x.start}px)` }}>
                    <MessageRow message={item.message} growing={item.growing} gap={item.gap} flash={flash === item.key} last={x.index === items.length - 1} busy={waiting} broken={turn?.state === "broken" && turn.answer?.id === item.key}
                      startedAt={item.growing ? turn?.startedAt ?? null : null} acts={acts} />
                  </div>
                );
              })}
            </div>
          </div>
        )}
        {!atEnd && items.length > 0 && <Button className={cx(s.toEnd)} small icon={ArrowDown} onClick={toEnd}>{t("to_end")}</Button>}
      </div>
      <div className="visually-hidden" role="status" aria-live="polite">{spoken}</div>
      <div className={s.foot}>
        {waiting && turn?.firstAt == null && <Loading />}
        <Composer
          ref={composer} draftKey={key} sessionId={id} busy={waiting} stopping={turn?.stopping ?? false} offline={connection !== "ok"} disabled={lost} model={model} onModel={setModel} tools={tools} onTools={setTools}
          editing={editing !== null} onCancelEdit={() => setEditing(null)} onSend={send} onStop={stop} refused={refused} onDismiss={() => turnDismiss(key)} onOpenList={onList}
        />
      </div>
    </section>
  );
}
