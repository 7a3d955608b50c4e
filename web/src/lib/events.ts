/* One stream of /events for the whole page, however many screens listen: a browser opens only six connections. */
import { useEffect, useRef, useSyncExternalStore } from "react";
import type { LinkEvent } from "../api";
import { follow } from "./sse";
import type { StreamState } from "./sse";

type Listener = (e: LinkEvent) => void;
const listeners = new Set<Listener>();
const watchers = new Set<() => void>();
let state: StreamState = "closed";
let last: string | null = null;
let stop: (() => void) | null = null;
let idle: ReturnType<typeof setTimeout> | undefined;

function start() {
  clearTimeout(idle);
  stop ??= follow("link.events", {}, {
    lastEventId: last,
    onEvent: (m) => {
      last = m.id ?? last;
      const e = JSON.parse(m.data) as LinkEvent;
      for (const f of [...listeners]) f(e);
    },
    onState: (s) => {
      state = s;
      for (const f of watchers) f();
    },
  });
}

/** Calls f with each event that happens from now on (and, after a break, with those missed). */
export function listen(f: Listener): () => void {
  listeners.add(f);
  start();
  return () => {
    listeners.delete(f);
    if (listeners.size > 0) return;
    idle = setTimeout(() => {
      stop?.();
      stop = null;
      state = "closed";
    }, 5000);
  };
}

/** listen() for a component; types: only these. */
export function useEvents(f: Listener, types?: readonly LinkEvent["type"][]): void {
  const latest = useRef({ f, types });
  latest.current = { f, types };
  useEffect(() => listen((e) => {
    const { f, types } = latest.current;
    if (!types || types.includes(e.type)) f(e);
  }), []);
}

/** How the stream is: open, or on its way back. */
export function useEventsState(): StreamState {
  return useSyncExternalStore((f) => {
    watchers.add(f);
    return () => void watchers.delete(f);
  }, () => state);
}
