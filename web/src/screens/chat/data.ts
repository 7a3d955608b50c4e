/* Messages of a session as the page keeps them: pages of TanStack's infinite query, the oldest first, read upwards.
 * What a turn brings is put into them, so that nothing has to be asked for again. */
import { useInfiniteQuery } from "@tanstack/react-query";
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import type { OperatorMessage, OperatorSession, OperatorSessionDetail } from "../../api";
import { ApiError, call } from "../../lib/api";

export type Message = OperatorMessage;
export type Session = OperatorSession;
type Pages = InfiniteData<OperatorSessionDetail, string | null>;

const PAGE = 60;
export const messagesKey = (id: string, replaced: boolean) => ["chat.messages", id, replaced] as const;

export function useMessages(id: string | null, replaced: boolean, poll: boolean) {
  return useInfiniteQuery<OperatorSessionDetail, ApiError, Pages, readonly unknown[], string | null>({
    queryKey: messagesKey(id ?? "", replaced),
    enabled: id !== null,
    queryFn: ({ pageParam, signal }) =>
      call("operator.sessions_get", { params: { id: id ?? "", limit: replaced ? 500 : PAGE, replaced, ...(pageParam !== null && { cursor: pageParam }) }, signal }),
    initialPageParam: null,
    getPreviousPageParam: (first) => first.prev_cursor ?? undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    staleTime: 5000,
    refetchInterval: poll ? 1500 : false,
    retry: (n, e) => e.passing && e.status !== 0 && n < 2,
  });
}

function change(client: QueryClient, id: string, f: (pages: Pages) => Pages) {
  for (const replaced of [false, true]) client.setQueryData<Pages>(messagesKey(id, replaced), (old) => (old ? f(old) : old));
}

/** Puts messages where they belong: those known are updated, others go last. */
export function messagesPut(client: QueryClient, id: string, list: readonly Message[]): void {
  change(client, id, (old) => {
    const left = new Map(list.map((m) => [m.id, m]));
    const pages = old.pages.map((p) => ({
      ...p,
      messages: p.messages.map((m) => {
        const next = left.get(m.id);
        left.delete(m.id);
        return next ?? m;
      }),
    }));
    const last = pages[pages.length - 1];
    if (last && left.size > 0) pages[pages.length - 1] = { ...last, messages: [...last.messages, ...left.values()] };
    return { ...old, pages };
  });
}

/** Takes away what comes after (and, with itself, including) a message: it was replaced. */
export function messagesCut(client: QueryClient, id: string, messageId: string, itself: boolean): void {
  change(client, id, (old) => {
    const seq = old.pages.flatMap((p) => p.messages).find((m) => m.id === messageId)?.seq;
    if (seq === undefined) return old;
    return { ...old, pages: old.pages.map((p) => ({ ...p, messages: p.messages.filter((m) => (itself ? m.seq < seq : m.seq <= seq)) })) };
  });
  client.removeQueries({ queryKey: messagesKey(id, true), type: "inactive" });
}

/** A change to one message, in whatever list it is. */
export function messagePatch(client: QueryClient, id: string, messageId: string, f: (m: Message) => Message): void {
  change(client, id, (old) => ({ ...old, pages: old.pages.map((p) => (p.messages.some((m) => m.id === messageId) ? { ...p, messages: p.messages.map((m) => (m.id === messageId ? f(m) : m)) } : p)) }));
}

/** The session's own data wherever it is shown. */
export function sessionPut(client: QueryClient, session: Session): void {
  change(client, session.id, (old) => ({ ...old, pages: old.pages.map((p) => ({ ...p, session })) }));
  void client.invalidateQueries({ queryKey: ["chat.sessions"] });
}

/** No answer is being generated any more. */
export function sessionRests(client: QueryClient, id: string): void {
  change(client, id, (old) => ({ ...old, pages: old.pages.map((p) => (p.session.running ? { ...p, session: { ...p.session, running: false } } : p)) }));
}

/** Makes room for a session that begins now, so that its first answer is shown without a question to the server. */
export function sessionBegin(client: QueryClient, session: Session, messages: readonly Message[]): void {
  client.setQueryData<Pages>(messagesKey(session.id, false), (old) => old ?? {
    pageParams: [null],
    pages: [{
      session_id: session.id, user_id: session.user_id, created_at: session.created_at, message_count: session.message_count, summary: "", session, messages: [...messages], prev_cursor: null, next_cursor: null,
    }],
  });
}
