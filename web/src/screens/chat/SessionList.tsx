/* The sessions, the latest first under the day they were last used; a search looks into titles and into every message. */
import { memo, useEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { Download, FileJson, GitBranch, LoaderCircle, MessageSquarePlus, MessagesSquare, Pencil, Pin, PinOff, Trash2 } from "lucide-react";
import { useLanguage, useText } from "../../i18n";
import { ApiError, call } from "../../lib/api";
import type { OperatorSearchReply, OperatorSessionList } from "../../api";
import { Button, EmptyState, ErrorState, Menu, SearchField, SkeletonLines, Time, useErrorText } from "../../ui";
import { useExport, useRemove, useSessionChange } from "./acts";
import type { Session } from "./data";
import { TitleInput } from "./TitleInput";
import { text } from "./text";
import type { T } from "./text";
import s from "./chat.module.css";

function useLate<V>(value: V, ms: number): V {
  const [late, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return late;
}

function useSessions(q: string) {
  return useInfiniteQuery({
    queryKey: ["chat.sessions", q],
    queryFn: ({ pageParam, signal }): Promise<OperatorSessionList> => call("operator.sessions_list", { params: { limit: 50, ...(q && { q }), ...(pageParam && { cursor: pageParam }) }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    staleTime: 5000,
    refetchInterval: (query) => (query.state.data?.pages.some((p) => p.sessions.some((x) => x.running)) ? 3000 : 30_000),
    placeholderData: (old) => old,
  });
}
function useHits(q: string) {
  return useInfiniteQuery({
    queryKey: ["chat.hits", q],
    enabled: q !== "",
    queryFn: ({ pageParam, signal }): Promise<OperatorSearchReply> => call("operator.search", { params: { q, limit: 30, ...(pageParam && { cursor: pageParam }) }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    staleTime: 5000,
    retry: (n, e) => e instanceof ApiError && e.passing && n < 2,
  });
}

/** Calls f when the end of the list comes into sight. */
function End({ more, busy, onMore, label }: { more: boolean; busy: boolean; onMore: () => void; label: string }) {
  const ref = useRef<HTMLDivElement>(null);
  const act = useRef(onMore);
  act.current = onMore;
  useEffect(() => {
    const el = ref.current;
    if (!el || !more || busy) return;
    const watch = new IntersectionObserver((e) => { if (e.some((x) => x.isIntersecting)) act.current(); }, { rootMargin: "300px" });
    watch.observe(el);
    return () => watch.disconnect();
  }, [more, busy]);
  if (!more) return null;
  return <div ref={ref} className={s.listMore}>{busy ? <span className="soft" role="status">{label}</span> : <Button small kind="quiet" onClick={onMore}>{label}</Button>}</div>;
}

function dayOf(at: number, now: number): { key: string; days: number } {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const days = at >= midnight ? 0 : Math.ceil((midnight - at) / 86_400_000);
  if (days <= 1) return { key: `d${days}`, days };
  if (days <= 7) return { key: "week", days };
  const d = new Date(at);
  return { key: `${d.getFullYear()}-${d.getMonth()}`, days };
}
function dayName(key: string, at: number, t: T, language: string): string {
  if (key === "pinned") return t("day.pinned");
  if (key === "d0") return t("day.today");
  if (key === "d1") return t("day.yesterday");
  if (key === "week") return t("day.week");
  const name = new Intl.DateTimeFormat(language, { month: "long", year: "numeric" }).format(at);
  return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
}

/** The words of a search in a text. */
function Marked({ value, marks }: { value: string; marks: readonly number[] }) {
  const out = [];
  let at = 0;
  for (let i = 0; i + 1 < marks.length; i += 2) {
    const start = marks[i] ?? 0;
    const length = marks[i + 1] ?? 0;
    if (start < at || start + length > value.length) continue;
    out.push(value.slice(at, start), <mark key={i}>{value.slice(start, start + length)}</mark>);
    at = start + length;
  }
  out.push(value.slice(at));
  return <>{out}</>;
}
function marksOf(value: string, q: string): number[] {
  const fold = (x: string) => x.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const folded = fold(value);
  if (folded.length !== value.length) return [];
  const marks: [number, number][] = [];
  for (const word of q.replace(/"/g, " ").split(/\s+/).filter(Boolean)) {
    const w = fold(word);
    for (let at = folded.indexOf(w); at >= 0; at = folded.indexOf(w, at + w.length)) marks.push([at, w.length]);
  }
  return marks.sort((a, b) => a[0] - b[0]).flat();
}

interface RowProps {
  session: Session;
  current: boolean;
  first: boolean;
  q: string;
  onGone: (id: string) => void;
  onPick: () => void;
}
const Row = memo(function Row({ session, current, first, q, onGone, onPick }: RowProps) {
  const t = useText(text);
  const [renaming, setRenaming] = useState(false);
  const link = useRef<HTMLAnchorElement>(null);
  const changeSession = useSessionChange();
  const remove = useRemove(onGone);
  const save = useExport();
  const key = (e: KeyboardEvent) => {
    if (e.key === "F2") setRenaming(true);
    else if (e.key === "Delete") void remove(session);
    else return;
    e.preventDefault();
  };
  return (
    <li className={s.session} data-current={current ? "" : undefined}>
      {renaming ? (
        <TitleInput title={session.title} onDone={(title) => {
          setRenaming(false);
          if (title) changeSession(session.id, { title });
          setTimeout(() => link.current?.focus(), 0);
        }} />
      ) : (
        <Link ref={link} href={`/chat/${session.id}`} className={s.sessionLink ?? ""} aria-current={current ? "page" : undefined} tabIndex={first ? 0 : -1} data-row="" onKeyDown={key} onClick={onPick} onDoubleClick={() => setRenaming(true)}>
          {session.branched_from && <GitBranch aria-label={t("branched")} />}
          <span className={s.sessionTitle}>{q ? <Marked value={session.title} marks={marksOf(session.title, q)} /> : session.title}</span>
          {session.running && <LoaderCircle className={s.turning} role="img" aria-label={t("running")} />}
        </Link>
      )}
      <span className={s.sessionMenu}>
        <Menu small label={t("session.options", { title: session.title })} items={[
          { id: "rename", label: t("rename"), icon: Pencil, onAction: () => setRenaming(true) },
          { id: "pin", label: session.pinned ? t("unpin") : t("pin"), detail: session.pinned ? undefined : t("pin.detail"), icon: session.pinned ? PinOff : Pin, onAction: () => changeSession(session.id, { pinned: !session.pinned }) },
          { id: "md", label: t("export.md"), icon: Download, onAction: () => void save(session, "markdown") },
          { id: "json", label: t("export.json"), icon: FileJson, onAction: () => void save(session, "json") },
          "separator",
          { id: "delete", label: t("delete"), icon: Trash2, bad: true, onAction: () => void remove(session) },
        ]} />
      </span>
    </li>
  );
});

export interface SessionListProps {
  current: string | null;
  onNew: () => void;
  onGone: (id: string) => void;
  onPick: () => void;
}
export function SessionList({ current, onNew, onGone, onPick }: SessionListProps) {
  const t = useText(text);
  const language = useLanguage();
  const errorText = useErrorText();
  const [typed, setTyped] = useState("");
  const q = useLate(typed.trim(), 200);
  const list = useSessions(q);
  const hits = useHits(q);
  const box = useRef<HTMLDivElement>(null);
  const sessions = useMemo(() => {
    const seen = new Set<string>();
    return (list.data?.pages.flatMap((p) => p.sessions) ?? []).filter((x) => !seen.has(x.id) && seen.add(x.id));
  }, [list.data]);
  const found = hits.data?.pages.flatMap((p) => p.hits) ?? [];
  const groups = useMemo(() => {
    const out: { key: string; name: string; sessions: Session[] }[] = [];
    const now = Date.now();
    const put = (key: string, x: Session) => {
      let g = out.find((y) => y.key === key);
      if (!g) out.push((g = { key, name: dayName(key, x.updated_at, t, language), sessions: [] }));
      g.sessions.push(x);
    };
    for (const x of sessions) if (x.pinned) put("pinned", x);
    for (const x of sessions) if (!x.pinned) put(dayOf(x.updated_at, now).key, x);
    return out;
  }, [sessions, t, language]);
  const tabStop = sessions.some((x) => x.id === current) ? current : groups[0]?.sessions[0]?.id;

  const move = (e: KeyboardEvent) => {
    const rows = [...(box.current?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
    const at = rows.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[e.key];
    if (to === undefined || (at < 0 && e.key !== "ArrowDown")) return;
    if (at < 0 && !(e.target instanceof HTMLInputElement)) return;
    e.preventDefault();
    if (to < 0) box.current?.querySelector("input")?.focus();
    else rows[Math.min(to, rows.length - 1)]?.focus();
  };

  return (
    <div ref={box} className={s.sessions} onKeyDown={move}>
      <div className={s.listHead} data-session-search="">
        <Button icon={MessageSquarePlus} onClick={onNew} className={s.newButton}>{t("new")}</Button>
        <SearchField label={t("search")} value={typed} onChange={setTyped} />
      </div>
      <nav className={s.listBody} aria-label={t("sessions")}>
        {list.error && !list.data ? <div className={s.listPad}><ErrorState error={list.error} onRetry={() => void list.refetch()} /></div> : !list.data ? <div className={s.listPad}><SkeletonLines lines={6} /></div> : (
          <>
            {q !== "" && <h2 className={s.group}>{t("found.sessions", { count: list.data.pages[0]?.total ?? 0 })}</h2>}
            {sessions.length === 0 && q === "" && <EmptyState icon={MessagesSquare} title={t("none")}>{t("none.text")}</EmptyState>}
            {groups.map((g) => (
              <section key={g.key} aria-label={g.name}>
                {q === "" && <h2 className={s.group}>{g.name}</h2>}
                <ul>
                  {g.sessions.map((x) => <Row key={x.id} session={x} current={x.id === current} first={x.id === tabStop} q={q} onGone={onGone} onPick={onPick} />)}
                </ul>
              </section>
            ))}
            <End more={list.hasNextPage} busy={list.isFetchingNextPage} onMore={() => void list.fetchNextPage()} label={list.isFetchingNextPage ? t("loading_more") : t("more")} />
            {q !== "" && (
              <section aria-label={t("found.messages")}>
                <h2 className={s.group}>{t("found.messages")}</h2>
                {hits.error && <p className={s.listPad}>{errorText(hits.error)}</p>}
                {hits.data && found.length === 0 && <p className={s.nothing}>{t("found.none")}</p>}
                <ul>
                  {found.map((h) => (
                    <li key={h.message_id} className={s.hit}>
                      <Link href={`/chat/${h.session_id}/${h.message_id}`} className={s.hitLink ?? ""} data-row="" onClick={onPick}>
                        <span className={s.hitTitle}><span className="truncate">{h.title}</span> <Time at={h.timestamp} /></span>
                        <span className={s.hitText}><Marked value={h.snippet} marks={h.marks} /></span>
                      </Link>
                    </li>
                  ))}
                </ul>
                <End more={hits.hasNextPage} busy={hits.isFetchingNextPage} onMore={() => void hits.fetchNextPage()} label={hits.isFetchingNextPage ? t("loading_more") : t("more")} />
              </section>
            )}
          </>
        )}
      </nav>
    </div>
  );
}
