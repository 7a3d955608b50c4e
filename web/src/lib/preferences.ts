/* How this person likes the page. Applied to <html> before anything is drawn. */
import { Stored, useStored } from "./store";

export type Language = "en" | "es";
export interface Preferences {
  language: "auto" | Language;
  theme: "system" | "light" | "dark";
  density: "comfortable" | "compact";
  navigation: "open" | "narrow";
}
const choices: { [K in keyof Preferences]: readonly Preferences[K][] } = {
  language: ["auto", "en", "es"],
  theme: ["system", "light", "dark"],
  density: ["comfortable", "compact"],
  navigation: ["open", "narrow"],
};
const isPreferences = (v: unknown): v is Preferences =>
  typeof v === "object" && v !== null &&
  (Object.keys(choices) as (keyof Preferences)[]).every((k) => (choices[k] as readonly unknown[]).includes((v as Record<string, unknown>)[k]));

export const preferences = new Stored<Preferences>(
  "preferences", 1, { language: "auto", theme: "system", density: "comfortable", navigation: "open" }, isPreferences,
);

export function languageOf(p: Preferences): Language {
  if (p.language !== "auto") return p.language;
  for (const tag of navigator.languages) {
    const base = tag.slice(0, 2).toLowerCase();
    if (base === "en" || base === "es") return base;
  }
  return "en";
}

export function applyPreferences(): void {
  const p = preferences.get();
  const html = document.documentElement;
  html.lang = languageOf(p);
  html.dataset.density = p.density;
  if (p.theme === "system") delete html.dataset.theme;
  else html.dataset.theme = p.theme;
}

export function usePreferences(): [Preferences, (change: Partial<Preferences>) => void] {
  const [p, set] = useStored(preferences);
  return [p, (change) => set({ ...p, ...change })];
}
