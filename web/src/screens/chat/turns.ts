/* Answers that are being generated, one for each session at most. They go on while other sessions or screens are looked at.
 *
 *   sending ──turn──> streaming ──message──> (stored: gone from here)
 *      │                  ├──error──> (stored as failed: gone from here)
 *      │                  └──connection broke──> broken ──the stored answer is read──> gone
 *      └──refused──> refused (nothing was stored; the text goes back to where it was typed) */
import { useSyncExternalStore } from "react";
import type { QueryClient } from "@tanstack/react-query";
import type { OperatorChatDelta, OperatorChatRequest, OperatorChatTurn, OperatorToolCall } from "../../api";
import { ApiError, call, isAbort } from "../../lib/api";
import { onReturn } from "../../lib/connection";
import { stream } from "../../lib/sse";
import { messagesCut, messagesPut, sessionBegin, sessionPut, sessionRests } from "./data";
import type { Message } from "./data";

export interface Turn {
  /** The session's id; "new" until the server gave one. */
  key: string;
  state: "sending" | "streaming" | "broken" | "refused";
  /** What was asked, while it is not stored yet. */
  asked: { text: string; attachments: readonly string[]; replaces: string | null } | null;
  /** The answer, as far as it came. */
  answer: Message | null;
  error: ApiError | null;
  stopping: boolean;
  startedAt: number;
  firstAt: number | null;
}
export const NEW = "new";

interface Running {
  turn: Turn;
  text: string;
  reasoning: string;
  tools: OperatorToolCall[];
  abort: AbortController;
  timer: ReturnType<typeof setTimeout> | null;
}
const running = new Map<string, Running>();
const listeners = new Set<() => void>();
const enders = new Set<(key: string, message: Message | null) => void>();
const tell = () => { for (const f of [...listeners]) f(); };
const DRAW_MS = 50;

export const turnOf = (key: string): Turn | null => running.get(key)?.turn ?? null;
export function useTurn(key: string): Turn | null {
  return useSyncExternalStore((f) => {
    listeners.add(f);
    return () => void listeners.delete(f);
  }, () => turnOf(key));
}
/** Calls f when an answer has ended, with what was stored of it. */
export function onTurnEnd(f: (key: string, message: Message | null) => void): () => void {
  enders.add(f);
  return () => void enders.delete(f);
}

function set(r: Running, change: Partial<Turn>) {
  r.turn = { ...r.turn, ...change };
  tell();
}
function draw(r: Running) {
  if (r.timer !== null) clearTimeout(r.timer);
  r.timer = null;
  if (r.turn.answer) set(r, { answer: { ...r.turn.answer, content: r.text, reasoning: r.reasoning || r.turn.answer.reasoning, tool_calls: r.tools } });
}
function soon(r: Running) {
  r.timer ??= setTimeout(() => draw(r), DRAW_MS);
}
function end(r: Running, message: Message | null) {
  if (r.timer !== null) clearTimeout(r.timer);
  r.timer = null;
  if (running.get(r.turn.key) === r) running.delete(r.turn.key);
  tell();
  for (const f of [...enders]) f(r.turn.key, message);
}

/** Reads what is stored until the answer is not being generated any more. */
async function settle(client: QueryClient, r: Running): Promise<void> {
  const id = r.turn.key;
  for (let tries = 0; running.get(id) === r; tries++) {
    try {
      const detail = await call("operator.sessions_get", { params: { id, limit: 20 } });
      messagesPut(client, id, detail.messages);
      const stored = detail.messages.find((m) => m.id === r.turn.answer?.id) ?? detail.messages.at(-1) ?? null;
      if (!detail.session.running) {
        void client.invalidateQueries({ queryKey: ["chat.messages", id] });
        sessionPut(client, detail.session);
        end(r, stored);
        return;
      }
      if (stored && stored.id === r.turn.answer?.id) {
        r.text = stored.content.length >= r.text.length ? stored.content : r.text;
        r.tools = stored.tool_calls;
        draw(r);
      }
    } catch (e) {
      if (e instanceof ApiError && e.status === 404) return end(r, null);
      if (e instanceof ApiError && (e.status === 0 || e.status === 401)) {
        await new Promise<void>((resolve) => {
          const stop = onReturn(() => {
            stop();
            resolve();
          });
        });
        continue;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(500 * 1.3 ** tries, 5000)));
  }
}

interface Begin {
  client: QueryClient;
  /** null: a new session. */
  sessionId: string | null;
  asked: Turn["asked"];
  ask: (onEvent: (event: string, data: string) => void, signal: AbortSignal) => Promise<void>;
  /** Called once, with the session's id as soon as it is known. */
  onSession?: (id: string) => void;
  /** Called when nothing was stored. */
  onRefused?: (error: ApiError) => void;
  onStored?: (turn: OperatorChatTurn) => void;
}

async function begin({ client, sessionId, asked, ask, onSession, onRefused, onStored }: Begin): Promise<void> {
  const r: Running = {
    turn: { key: sessionId ?? NEW, state: "sending", asked, answer: null, error: null, stopping: false, startedAt: performance.now(), firstAt: null },
    text: "", reasoning: "", tools: [], abort: new AbortController(), timer: null,
  };
  running.set(r.turn.key, r);
  tell();
  let failed: ApiError | null = null;
  let done = false;
  const onEvent = (event: string, data: string) => {
    if (event === "turn") {
      const turn = JSON.parse(data) as OperatorChatTurn;
      const id = turn.session.id;
      if (r.turn.key !== id) {
        running.delete(r.turn.key);
        running.set(id, r);
      }
      onStored?.(turn);
      sessionBegin(client, turn.session, []);
      messagesPut(client, id, [turn.user_message, turn.message]);
      set(r, { key: id, state: "streaming", asked: null, answer: turn.message });
      sessionPut(client, turn.session);
      onSession?.(id);
    } else if (event === "delta") {
      const d = JSON.parse(data) as OperatorChatDelta;
      if (r.turn.firstAt === null) set(r, { firstAt: performance.now() });
      r.text += d.text ?? "";
      r.reasoning += d.reasoning ?? "";
      soon(r);
    } else if (event === "tool_call") {
      const call = JSON.parse(data) as OperatorToolCall;
      const at = r.tools.findIndex((x) => x.id === call.id);
      r.tools = at < 0 ? [...r.tools, call] : r.tools.with(at, call);
      draw(r);
    } else if (event === "message") {
      const message = JSON.parse(data) as Message;
      messagesPut(client, message.session_id, [message]);
      sessionRests(client, message.session_id);
      done = true;
      end(r, message);
      void client.invalidateQueries({ queryKey: ["chat.sessions"] });
    } else if (event === "error") {
      const { error } = JSON.parse(data) as { error: { message: string; code: string | null; request_id: string | null } };
      failed = new ApiError(error.message, 502, error.code ?? "error", null, error.request_id);
    }
  };
  try {
    await ask(onEvent, r.abort.signal);
  } catch (e) {
    if (!done && r.turn.state === "sending" && !isAbort(e)) {
      failed = e instanceof ApiError ? e : new ApiError(String(e), 0, "error");
      running.delete(r.turn.key);
      running.set(r.turn.key, r);
      set(r, { state: "refused", error: failed });
      onRefused?.(failed);
      return;
    }
  }
  if (done) return;
  draw(r);
  if (r.turn.key === NEW) {
    set(r, { state: "refused", error: failed ?? new ApiError("the connection broke before the message was stored", 0, "cut_off") });
    if (r.turn.error) onRefused?.(r.turn.error);
    return;
  }
  if (failed === null && !r.turn.stopping) set(r, { state: "broken" });
  await settle(client, r);
}

export function turnSend(client: QueryClient, body: OperatorChatRequest & { message: string }, hooks: Pick<Begin, "onSession" | "onRefused" | "onStored">): void {
  const sessionId = body.session_id ?? null;
  const replaces = body.replaces ?? null;
  void begin({
    client, sessionId, asked: { text: body.message, attachments: body.attachments ?? [], replaces }, ...hooks,
    ask: (onEvent, signal) => stream("operator.chat", { body: { ...body, stream: true, source: "web" }, signal, onEvent: (e) => onEvent(e.event, e.data) }),
    onStored: (turn) => {
      if (replaces && sessionId) messagesCut(client, sessionId, replaces, true);
      hooks.onStored?.(turn);
    },
  });
}

export function turnRetry(client: QueryClient, sessionId: string, messageId: string, options: { model?: string; tools: boolean }, onRefused: (e: ApiError) => void): void {
  void begin({
    client, sessionId, asked: null, onRefused,
    ask: (onEvent, signal) => stream("operator.messages_retry", { params: { id: sessionId, message_id: messageId }, body: { ...options, stream: true }, signal, onEvent: (e) => onEvent(e.event, e.data) }),
    onStored: (turn) => messagesCut(client, sessionId, turn.user_message.id, false),
  });
}

/** Stops an answer. What was generated so far is kept as a part. */
export async function turnStop(client: QueryClient, sessionId: string): Promise<void> {
  const r = running.get(sessionId);
  if (r) set(r, { stopping: true });
  try {
    await call("operator.sessions_stop", { params: { id: sessionId } });
  } catch (e) {
    if (r && running.get(sessionId) === r) set(r, { stopping: false });
    throw e;
  }
  if (!r) {
    void client.invalidateQueries({ queryKey: ["chat.messages", sessionId] });
    return;
  }
  setTimeout(() => { // the end comes by the stream; if that hangs, it is read from the store
    if (running.get(sessionId) === r) r.abort.abort();
  }, 4000);
}

/** The person has seen why it was refused. */
export function turnDismiss(key: string): void {
  if (running.get(key)?.turn.state === "refused") {
    running.delete(key);
    tell();
  }
}
/** Tool calls that were decided here, before the stream tells. */
export function turnTool(call: OperatorToolCall): void {
  for (const r of running.values()) {
    const at = r.tools.findIndex((x) => x.id === call.id);
    if (at < 0) continue;
    r.tools = r.tools.with(at, call);
    draw(r);
  }
}
