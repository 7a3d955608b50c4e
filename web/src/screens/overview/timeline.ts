/* The timeline's model: events by id, from pages of the history and from the stream, never twice and always in order. */
import type { LinkEvent } from "../../api";

export class Timeline {
  private readonly byId = new Map<string, LinkEvent>();
  private sorted: LinkEvent[] | null = null;

  constructor(private readonly most = 2000) {}

  /** Says whether any was new. */
  add(events: readonly LinkEvent[]): boolean {
    let news = false;
    for (const e of events) {
      if (this.byId.has(e.id)) continue;
      this.byId.set(e.id, e);
      news = true;
    }
    if (news) this.sorted = null;
    return news;
  }

  /** Newest first. */
  all(): readonly LinkEvent[] {
    if (this.sorted) return this.sorted;
    this.sorted = [...this.byId.values()].sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
    for (const e of this.sorted.splice(this.most)) this.byId.delete(e.id);
    return this.sorted;
  }
}

/** The module an event is about: the one it names, else the one that told it. */
export function moduleOf(e: LinkEvent): string {
  const p = e.payload as { module?: unknown } | null;
  return typeof p?.module === "string" ? p.module : e.source;
}

export interface Minute {
  at: number;
  events: LinkEvent[];
}

/** Runs of events of the same minute, in the order given. */
export function byMinute(events: readonly LinkEvent[]): Minute[] {
  const out: Minute[] = [];
  for (const e of events) {
    const at = Math.floor(e.timestamp / 60_000) * 60_000;
    const last = out[out.length - 1];
    if (last?.at === at) last.events.push(e);
    else out.push({ at, events: [e] });
  }
  return out;
}
