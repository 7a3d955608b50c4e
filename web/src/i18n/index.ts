/* Words in English and Spanish. English is the source of keys; a Spanish file that lacks one does not compile.
 *
 *   // i18n/en/things.ts:  export default { title: "Things", count: { one: "{count} thing", other: "{count} things" } } as const satisfies Strings;
 *   // i18n/es/things.ts:  export default { title: "Cosas", count: { one: "{count} cosa", other: "{count} cosas" } } satisfies Translation<typeof en>;
 *   const text = strings({ en: () => import("../../i18n/en/things"), es: () => import("../../i18n/es/things") });
 *   const t = useText(text);  t("title");  t("count", { count: 3 })
 *
 * Only the chosen language is loaded. useText suspends until it is there; the app has a boundary around each screen. */
import { createElement, Fragment, useMemo } from "react";
import type { ReactNode } from "react";
import { formatOf } from "../lib/format";
import { languageOf, preferences, usePreferences } from "../lib/preferences";
import type { Language } from "../lib/preferences";

/** Forms by Intl.PluralRules of the parameter `count`. */
export interface Plural {
  readonly one: string;
  readonly other: string;
  readonly zero?: string;
  readonly many?: string;
}
export type Strings = Readonly<Record<string, string | Plural>>;
export type Translation<T extends Strings> = { readonly [K in keyof T]: T[K] extends string ? string : Plural };

type Holes<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Holes<Rest> : never;
type HolesOf<E> = E extends string ? Holes<E> : E extends Plural ? Holes<E["one"]> | Holes<E["other"]> | "count" : never;
type Value = string | number;
type Args<E> = [HolesOf<E>] extends [never] ? [] : [values: { [K in HolesOf<E>]: K extends "count" ? number : Value }];

export interface Text<T extends Strings> {
  <K extends keyof T & string>(key: K, ...values: Args<T[K]>): string;
  readonly language: Language;
}

export interface Catalogue<T extends Strings> {
  load: (language: Language) => Promise<Strings>;
  loaded: Partial<Record<Language, Strings>>;
  readonly type?: T;
}

export function strings<T extends Strings>(files: { en: () => Promise<{ default: T }>; es: () => Promise<{ default: Translation<T> }> }): Catalogue<T> {
  const loading: Partial<Record<Language, Promise<Strings>>> = {};
  const catalogue: Catalogue<T> = {
    loaded: {},
    load: (language) =>
      (loading[language] ??= files[language]().then(
        (m) => (catalogue.loaded[language] = m.default),
        (e: unknown) => {
          delete loading[language];
          throw e;
        },
      )),
  };
  void catalogue.load(languageOf(preferences.get())).catch(() => undefined); // useText says what is wrong
  return catalogue;
}

function say(entries: Strings, language: Language, key: string, values?: Record<string, Value>): string {
  const entry = entries[key];
  if (entry === undefined) return key;
  let form: string;
  if (typeof entry === "string") {
    form = entry;
  } else {
    const count = Number(values?.count ?? 0);
    const rule = count === 0 && entry.zero !== undefined ? "zero" : new Intl.PluralRules(language).select(count);
    form = entry[rule as keyof Plural] ?? entry.other;
  }
  if (!values) return form;
  return form.replace(/\{(\w+)\}/g, (hole, name: string) => {
    const v = values[name];
    return v === undefined ? hole : typeof v === "number" ? formatOf(language).number(v, 2) : v;
  });
}

export function textOf<T extends Strings>(entries: Strings, language: Language): Text<T> {
  const t = ((key: string, values?: Record<string, Value>) => say(entries, language, key, values)) as unknown as { language: Language };
  t.language = language;
  return t as unknown as Text<T>;
}

export function useText<T extends Strings>(catalogue: Catalogue<T>): Text<T> {
  const language = useLanguage();
  const entries = catalogue.loaded[language];
  if (!entries) throw catalogue.load(language);
  return useMemo(() => textOf<T>(entries, language), [entries, language]);
}

export function useLanguage(): Language {
  const [p] = usePreferences();
  return languageOf(p);
}

/** Text with <tags> as elements: rich("Run <code>vx11 up</code>", { code: (s) => <code>{s}</code> }). */
export function rich(text: string, tags: Record<string, (inner: string) => ReactNode>): ReactNode {
  const parts = text.split(/(<(\w+)>.*?<\/\2>)/g);
  const out: ReactNode[] = [];
  for (let i = 0; i < parts.length; i += 3) {
    if (parts[i]) out.push(parts[i]);
    const whole = parts[i + 1];
    const tag = parts[i + 2];
    if (whole === undefined || tag === undefined) continue;
    const inner = whole.slice(tag.length + 2, -tag.length - 3);
    out.push(tags[tag]?.(inner) ?? inner);
  }
  return createElement(Fragment, null, ...out);
}
