/* Server-sent events over fetch: for answers to a POST, and for streams that go on after sleep.
 * EventSource can neither POST nor show why it was refused, and gives up at the first 5xx. */
import { useEffect, useRef, useState } from "react";
import { ApiError, callRaw, isAbort } from "./api";
import type { Body, CallOptions, Input, Params, RouteId } from "./api";
import { connection, onReturn } from "./connection";

export interface SseEvent {
  event: string;
  data: string;
  id: string | null;
}

/** Cuts text that comes in pieces into events (the WHATWG grammar, without BOM). */
export class SseParser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private id: string | null = null;
  retry: number | null = null;

  push(text: string): SseEvent[] {
    const out: SseEvent[] = [];
    this.rest += text;
    for (;;) {
      const m = /\r\n|\n|\r(?=[^])/.exec(this.rest); // a lone CR at the end may be half of a CRLF
      if (!m) return out;
      const line = this.rest.slice(0, m.index);
      this.rest = this.rest.slice(m.index + m[0].length);
      this.line(line, out);
    }
  }

  private line(line: string, out: SseEvent[]) {
    if (line === "") {
      if (this.data.length > 0) out.push({ event: this.event || "message", data: this.data.join("\n"), id: this.id });
      this.data = [];
      this.event = "";
      return;
    }
    if (line.startsWith(":")) return;
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

async function read(reply: Response, onEvent: (e: SseEvent) => void, onBytes?: () => void): Promise<void> {
  if (!reply.body) throw new ApiError("the server's answer has no body", 0, "cut_off");
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new SseParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes?.();
    for (const e of parser.push(value)) onEvent(e);
  }
}

/** A route whose answer is a stream, read to its end. An abort by options.signal rejects with AbortError,
 * a connection that breaks with ApiError cut_off. */
export async function stream<R extends RouteId>(
  id: R,
  options: { params?: Params<R>; body?: Body<R> } & CallOptions & { onEvent: (e: SseEvent) => void; onOpen?: (reply: Response) => void },
): Promise<void> {
  const { onEvent, onOpen, ...rest } = options;
  const reply = await callRaw(id, { ...rest, headers: { accept: "text/event-stream", ...rest.headers } });
  onOpen?.(reply);
  try {
    await read(reply, onEvent);
  } catch (e) {
    if (isAbort(e) || e instanceof ApiError || options.signal?.aborted) throw e;
    connection.lost();
    throw new ApiError("the connection broke before the answer was complete", 0, "cut_off");
  }
}

export type StreamState = "connecting" | "open" | "waiting" | "paused" | "closed";
export interface FollowOptions {
  onEvent: (e: SseEvent) => void;
  onState?: (state: StreamState, error: ApiError | null) => void;
  /** Go on after this event. */
  lastEventId?: string | null;
  /** End of the stream is the end (a job's), not a reason to come back. */
  once?: boolean;
  /** Silence after which the connection is taken for dead, when the server sends pings. */
  silenceMs?: number;
  /** Stay connected in a hidden tab. */
  hidden?: boolean;
}

/** Follows a GET stream until the returned function is called: comes back by itself with Last-Event-ID after an
 * error, sleep or being offline; pauses in a tab hidden for 30 s. A refusal (4xx) ends it. */
export function follow<R extends RouteId>(id: R, input: Input<R>, options: FollowOptions): () => void {
  let last = options.lastEventId ?? null;
  let wait = 500;
  let ended = false;
  let abort: AbortController | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let hideTimer: ReturnType<typeof setTimeout> | undefined;
  const say = (state: StreamState, error: ApiError | null = null) => options.onState?.(state, error);

  const later = (error: ApiError | null) => {
    if (ended) return;
    say("waiting", error);
    timer = setTimeout(() => void open(), wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, 10_000);
  };
  const open = async () => {
    clearTimeout(timer);
    abort?.abort();
    const mine = (abort = new AbortController());
    let watch: ReturnType<typeof setTimeout> | undefined;
    const alive = () => {
      clearTimeout(watch);
      if (options.silenceMs) watch = setTimeout(() => mine.abort(), options.silenceMs);
    };
    say("connecting");
    let error: ApiError | null = null;
    try {
      alive();
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (last !== null) headers["last-event-id"] = last;
      const reply = await callRaw(id, { params: input.params as Params<R>, headers, signal: mine.signal });
      say("open");
      await read(reply, (e) => {
        if (e.id !== null) last = e.id;
        wait = 500;
        if (!ended && mine === abort) options.onEvent(e);
      }, alive);
      if (options.once && mine === abort) {
        ended = true;
        say("closed");
      }
    } catch (e) {
      if (e instanceof ApiError) {
        error = e;
        if (e.status >= 400 && e.status < 500 && e.status !== 401 && e.status !== 408 && e.status !== 429) {
          ended = true;
          say("closed", e);
        }
      }
    } finally {
      clearTimeout(watch);
    }
    if (mine === abort && !ended) later(error);
  };
  const visible = () => {
    clearTimeout(hideTimer);
    if (ended || options.hidden) return;
    if (document.visibilityState === "hidden") {
      hideTimer = setTimeout(() => {
        clearTimeout(timer);
        const old = abort;
        abort = null;
        old?.abort();
        say("paused");
      }, 30_000);
    } else if (abort === null) {
      void open();
    }
  };
  document.addEventListener("visibilitychange", visible);
  const unreturn = onReturn(() => {
    if (!ended && document.visibilityState === "visible") {
      wait = 500;
      void open();
    }
  });
  void open();
  return () => {
    ended = true;
    clearTimeout(timer);
    clearTimeout(hideTimer);
    document.removeEventListener("visibilitychange", visible);
    unreturn();
    abort?.abort();
  };
}

/** follow() for a component. The stream is opened anew when the route, its parameters or enabled change. */
export function useStream<R extends RouteId>(
  id: R,
  input: Input<R>,
  options: FollowOptions & { enabled?: boolean },
): { state: StreamState; error: ApiError | null } {
  const [status, setStatus] = useState<{ state: StreamState; error: ApiError | null }>({ state: "connecting", error: null });
  const latest = useRef(options);
  latest.current = options;
  const key = JSON.stringify(input.params ?? null);
  const enabled = options.enabled ?? true;
  useEffect(() => {
    if (!enabled) return;
    const { lastEventId, once, silenceMs, hidden } = latest.current;
    return follow(id, { params: (JSON.parse(key) as Params<R> | null) ?? undefined } as Input<R>, {
      onEvent: (e) => latest.current.onEvent(e),
      onState: (state, error) => {
        setStatus({ state, error });
        latest.current.onState?.(state, error);
      },
      ...(lastEventId !== undefined && { lastEventId }), ...(once !== undefined && { once }),
      ...(silenceMs !== undefined && { silenceMs }), ...(hidden !== undefined && { hidden }),
    });
  }, [id, key, enabled]);
  return status;
}
