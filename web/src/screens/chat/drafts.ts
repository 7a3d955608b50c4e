/* What was typed and not sent, for each session, in this browser. The tools switch and the list's width too. */
import { Stored } from "../../lib/store";

type Drafts = Readonly<Record<string, { text: string; at: number }>>;
const isDrafts = (v: unknown): v is Drafts =>
  typeof v === "object" && v !== null && !Array.isArray(v) &&
  Object.values(v).every((d) => typeof d === "object" && d !== null && typeof (d as { text?: unknown }).text === "string" && typeof (d as { at?: unknown }).at === "number");
const MOST = 50;
const LONGEST = 100_000;
const drafts = new Stored<Drafts>("chat.drafts", 1, {}, isDrafts);

export const draftOf = (key: string): string => drafts.get()[key]?.text ?? "";
export function draftKeep(key: string, text: string): void {
  const { [key]: old, ...rest } = drafts.get();
  if (!text) {
    if (old) drafts.set(rest);
    return;
  }
  if (old?.text === text) return;
  const list = Object.entries(rest).sort((a, b) => b[1].at - a[1].at).slice(0, MOST - 1);
  drafts.set({ ...Object.fromEntries(list), [key]: { text: text.slice(0, LONGEST), at: Date.now() } });
}

export const toolsWanted = new Stored<boolean>("chat.tools", 1, false, (v): v is boolean => typeof v === "boolean");
export const lastModel = new Stored<string>("chat.model", 1, "auto", (v): v is string => typeof v === "string" && v.length <= 256);
