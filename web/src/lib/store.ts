/* What this browser remembers: values under a name and a version. A value of another version, or one that is not
 * what it should be, is forgotten. Other tabs follow. Without storage (private mode) it lasts as long as the tab. */
import { useSyncExternalStore } from "react";

export class Stored<T> {
  private value: T;
  private readonly listeners = new Set<() => void>();
  private readonly key: string;

  constructor(name: string, readonly version: number, readonly fallback: T, private readonly check: (v: unknown) => v is T) {
    this.key = `vx11.${name}`;
    this.value = this.load();
    window.addEventListener("storage", (e) => {
      if (e.key !== this.key && e.key !== null) return;
      this.value = this.load();
      this.tell();
    });
  }

  private load(): T {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) ?? "null") as { version?: unknown; value?: unknown } | null;
      if (kept?.version === this.version && this.check(kept.value)) return kept.value;
    } catch { /* not ours, or no storage */ }
    return this.fallback;
  }

  private tell() {
    for (const f of this.listeners) f();
  }

  readonly get = (): T => this.value;
  readonly set = (value: T): void => {
    this.value = value;
    try {
      localStorage.setItem(this.key, JSON.stringify({ version: this.version, value }));
    } catch { /* kept in this tab only */ }
    this.tell();
  };
  readonly subscribe = (f: () => void): (() => void) => {
    this.listeners.add(f);
    return () => void this.listeners.delete(f);
  };
}

export function useStored<T>(stored: Stored<T>): [T, (value: T) => void] {
  return [useSyncExternalStore(stored.subscribe, stored.get), stored.set];
}
