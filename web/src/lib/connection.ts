/* Whether the server answers and lets us in, as one small store.
 *
 *   ok ──no answer──> unreachable ──it answers again──> ok (listeners then fetch anew)
 *    └──────401─────> locked ──logged in in another tab, seen on focus or by a look every 3 s──> ok */
import { useSyncExternalStore } from "react";

export type ConnectionState = "ok" | "unreachable" | "locked";
const LOOK = "/vx11/session";

class Connection {
  state: ConnectionState = "ok";
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = 500;
  private readonly listeners = new Set<() => void>();

  constructor() {
    const now = () => {
      if (this.state !== "ok" && document.visibilityState === "visible") void this.look();
    };
    window.addEventListener("online", now);
    window.addEventListener("focus", now);
    document.addEventListener("visibilitychange", now);
    window.addEventListener("offline", () => this.lost());
  }

  readonly subscribe = (f: () => void) => {
    this.listeners.add(f);
    return () => void this.listeners.delete(f);
  };

  private set(state: ConnectionState) {
    if (this.state === state) return;
    this.state = state;
    this.wait = 500;
    for (const f of this.listeners) f();
    if (state !== "ok") this.later();
  }

  private later() {
    clearTimeout(this.timer);
    this.wait = this.state === "locked" ? 3000 : Math.min(this.wait * 1.6, 5000);
    this.timer = setTimeout(() => void this.look(), this.wait);
  }

  /** Asks now whether the server is there. */
  readonly look = async (): Promise<void> => {
    clearTimeout(this.timer);
    try {
      const reply = await fetch(LOOK, { cache: "no-store", signal: AbortSignal.timeout(8000) });
      if (reply.ok) return this.set("ok");
      if (reply.status === 401) this.set("locked");
    } catch {
      this.set("unreachable");
    }
    if (this.state !== "ok") this.later();
  };

  /** A call got no answer. */
  lost() {
    if (this.state === "ok") this.set("unreachable");
  }

  /** A call was answered with this status. */
  heard(status: number) {
    if (status === 401) this.set("locked");
    else if (this.state === "unreachable" && status < 500) this.set("ok");
  }
}

export const connection = new Connection();

export function useConnection(): ConnectionState {
  return useSyncExternalStore(connection.subscribe, () => connection.state);
}

/** Runs f each time the server is there again. */
export function onReturn(f: () => void): () => void {
  let before = connection.state;
  return connection.subscribe(() => {
    if (connection.state === "ok" && before !== "ok") f();
    before = connection.state;
  });
}
