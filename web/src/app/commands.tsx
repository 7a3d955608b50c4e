/* Commands and keys. A screen says what can be done on it:
 *
 *   useCommands(() => [{ id: "chat.new", label: t("new"), icon: Plus, keys: "n", run: newChat }], [t, newChat]);
 *
 * They are in the palette (Ctrl or Cmd+K), in the list of shortcuts (?), and their keys work while the screen is
 * there: "mod+enter", "n", or a sequence "g c". A key without mod does nothing while one types. */
import { createContext, lazy, Suspense, useCallback, useContext, useEffect, useMemo, useRef, useState } from "react";
import type { DependencyList, ReactNode } from "react";
import type { LucideIcon } from "lucide-react";
import { useLocation } from "wouter";
import { common } from "../i18n/common";
import { useLanguage, useText } from "../i18n";
import { usePreferences } from "../lib/preferences";
import { screens } from "../screens";
import { pageIcons } from "./icons";

export interface Command {
  id: string;
  label: string;
  /** More words by which it is found. */
  words?: string;
  icon?: LucideIcon;
  keys?: string;
  /** Heading in the palette. */
  group?: string;
  run: () => void;
  /** In the list of shortcuts but not in the palette. */
  keyOnly?: boolean;
}
export interface CommandsContext {
  list: () => Command[];
  add: (commands: readonly Command[]) => () => void;
  openPalette: () => void;
  openKeys: () => void;
}
const Context = createContext<CommandsContext>({ list: () => [], add: () => () => undefined, openPalette: () => undefined, openKeys: () => undefined });
export const useCommandsContext = () => useContext(Context);

export function useCommands(make: () => readonly Command[], deps: DependencyList): void {
  const { add } = useContext(Context);
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const commands = useMemo(make, deps);
  useEffect(() => add(commands), [add, commands]);
}

const Palette = lazy(() => import("./Palette"));
const Keys = lazy(() => import("./Keys"));
export const mac = /Mac|iP(hone|ad)/.test(navigator.userAgent);

function typing(e: KeyboardEvent): boolean {
  const el = e.target;
  return el instanceof HTMLElement && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) && (el as HTMLInputElement).type !== "checkbox";
}
function nameOf(e: KeyboardEvent): string {
  const key = e.key === " " ? "space" : e.key.length === 1 ? e.key.toLowerCase() : e.key.toLowerCase();
  const mod = mac ? e.metaKey : e.ctrlKey;
  return `${mod ? "mod+" : ""}${e.altKey ? "alt+" : ""}${e.shiftKey && e.key.length > 1 ? "shift+" : ""}${key}`;
}

function PageCommands() {
  const t = useText(common);
  const language = useLanguage();
  const [, go] = useLocation();
  const [p, set] = usePreferences();
  const { openPalette, openKeys } = useContext(Context);
  useCommands(() => {
    const group = t("palette.page");
    const theme = p.theme;
    return [
      ...screens.map((s): Command => ({ id: `go.${s.name}`, label: t(`screen.${s.name}`), icon: s.icon, keys: `g ${s.key}`, group: t("palette.screens"), words: s.name, run: () => go(`/${s.name}`) })),
      { id: "page.palette", label: t("keys.palette"), keys: "mod+k", run: openPalette, keyOnly: true },
      { id: "page.keys", label: t("keys.title"), keys: "?", icon: pageIcons.keys, group, run: openKeys },
      { id: "page.nav", label: t("keys.nav"), keys: "mod+b", icon: pageIcons.nav, group, run: () => set({ navigation: p.navigation === "open" ? "narrow" : "open" }) },
      ...(["light", "dark", "system"] as const).filter((x) => x !== theme).map((x): Command => ({ id: `page.theme.${x}`, label: t(`palette.theme_${x}`), icon: pageIcons[x], group, run: () => set({ theme: x }) })),
      { id: "page.language", label: t("palette.language"), icon: pageIcons.language, group, words: "language idioma english español", run: () => set({ language: language === "en" ? "es" : "en" }) },
    ];
  }, [t, language, p, set, go, openPalette, openKeys]);
  return null;
}

export function CommandsProvider({ children }: { children: ReactNode }) {
  const sets = useRef(new Set<readonly Command[]>());
  const [shown, setShown] = useState<"palette" | "keys" | null>(null);
  const add = useCallback((commands: readonly Command[]) => {
    sets.current.add(commands);
    return () => void sets.current.delete(commands);
  }, []);
  const list = useCallback(() => [...sets.current].flat(), []);
  const openPalette = useCallback(() => setShown("palette"), []);
  const openKeys = useCallback(() => setShown("keys"), []);
  const value = useMemo<CommandsContext>(() => ({ list, add, openPalette, openKeys }), [list, add, openPalette, openKeys]);
  useEffect(() => {
    let first: { key: string; at: number } | null = null;
    const key = (e: KeyboardEvent) => {
      if (e.defaultPrevented || e.isComposing || e.repeat) return;
      const name = nameOf(e);
      const modal = document.querySelector("[role=dialog], [role=alertdialog]") !== null;
      if (!name.startsWith("mod+") && (typing(e) || modal)) {
        first = null;
        return;
      }
      if (modal && name !== "mod+k") return;
      const sequence = first && e.timeStamp - first.at < 1200 ? `${first.key} ${name}` : null;
      const commands = list();
      const hit = (sequence && commands.find((c) => c.keys === sequence)) || commands.find((c) => c.keys === name);
      first = null;
      if (hit) {
        e.preventDefault();
        hit.run();
      } else if (commands.some((c) => c.keys?.startsWith(`${name} `))) {
        first = { key: name, at: e.timeStamp };
      }
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, [list]);
  const close = () => setShown(null);
  return (
    <Context.Provider value={value}>
      <PageCommands />
      {children}
      <Suspense fallback={null}>
        {shown === "palette" && <Palette commands={list().filter((c) => !c.keyOnly)} onClose={close} />}
        {shown === "keys" && <Keys commands={list().filter((c) => c.keys)} onClose={close} />}
      </Suspense>
    </Context.Provider>
  );
}
