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
  /** Newest first; of a run of steps of one thing (a load's progress, the tension) only the latest. */
  events: { event: LinkEvent; steps: number }[];
}

/** What an event is a step of; null: it stands for itself. */
function runOf(e: LinkEvent): string | null {
  const p = (e.payload ?? {}) as { state?: unknown; model?: unknown; id?: unknown };
  if (e.type === "switch.tension.updated") return e.type;
  if (e.type === "hermes.model.load" && p.state === "loading") return `${e.type} ${String(p.model)}`;
  if (e.type === "hermes.model.pull" && p.state === "running") return `${e.type} ${String(p.id)}`;
  return null;
}

/** Events by their minute, in the order given. */
export function byMinute(events: readonly LinkEvent[]): Minute[] {
  const out: Minute[] = [];
  for (const e of events) {
    const at = Math.floor(e.timestamp / 60_000) * 60_000;
    let last = out[out.length - 1];
    if (last?.at !== at) out.push((last = { at, events: [] }));
    const run = runOf(e);
    const same = run === null ? undefined : last.events.find((x) => runOf(x.event) === run);
    if (same) same.steps++;
    else last.events.push({ event: e, steps: 1 });
  }
  return out;
}
