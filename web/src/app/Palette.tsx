/* The command palette: type, arrows, Enter. */
import { useEffect, useId, useMemo, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { Search } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { Dialog, cx } from "../ui";
import ui from "../ui/ui.module.css";
import type { Command } from "./commands";
import { KeysText } from "./KeysText";
import s from "./app.module.css";

const plain = (text: string) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** How well words match: the start of the name best, the start of a word next. null: not at all. */
function score(c: Command, words: readonly string[]): number | null {
  const name = plain(c.label);
  const all = `${name} ${plain(c.words ?? "")} ${plain(c.group ?? "")}`;
  let sum = 0;
  for (const w of words) {
    if (name.startsWith(w)) sum += 3;
    else if (all.split(/\W+/).some((x) => x.startsWith(w))) sum += 2;
    else if (all.includes(w)) sum += 1;
    else return null;
  }
  return sum;
}

export default function Palette({ commands, onClose }: { commands: readonly Command[]; onClose: () => void }) {
  const t = useText(common);
  const id = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const found = useMemo(() => {
    const words = plain(text).split(/\s+/).filter(Boolean);
    const groups = new Map<string, { commands: Command[]; best: number }>();
    for (const c of commands) {
      const n = score(c, words);
      if (n === null) continue;
      const key = c.group ?? t("palette.actions");
      const g = groups.get(key) ?? { commands: [], best: 0 };
      g.commands.push(c);
      g.best = Math.max(g.best, n);
      groups.set(key, g);
    }
    const order = [t("palette.actions"), t("palette.screens"), t("palette.page")];
    return [...groups].sort((a, b) => b[1].best - a[1].best || order.indexOf(a[0]) - order.indexOf(b[0]))
      .map(([name, g]) => ({ name, commands: words.length > 0 ? g.commands.sort((a, b) => (score(b, words) ?? 0) - (score(a, words) ?? 0)) : g.commands }));
  }, [commands, text, t]);
  const flat = found.flatMap((g) => g.commands);
  const current = flat[Math.min(at, flat.length - 1)];
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [current]);
  const run = (c: Command | undefined) => {
    if (!c) return;
    onClose();
    setTimeout(() => c.run(), 0); // after the dialog gave the focus back
  };
  const key = (e: KeyboardEvent) => {
    const n = flat.length;
    const to = e.key === "ArrowDown" ? at + 1 : e.key === "ArrowUp" ? at - 1 : null;
    if (to !== null && n > 0) {
      e.preventDefault();
      setAt((to + n) % n);
    } else if (e.key === "Enter") {
      e.preventDefault();
      run(current);
    }
  };
  return (
    <Dialog open onClose={onClose} title={t("palette.title")} hideTitle bare>
      <div className={s.paletteInput}>
        <Search aria-hidden />
        <input
          autoFocus type="text" role="combobox" aria-expanded aria-controls={`${id}-list`} aria-activedescendant={current ? `${id}-${current.id}` : undefined} aria-label={t("palette.title")}
          aria-autocomplete="list" placeholder={t("palette.placeholder")} value={text} autoComplete="off" spellCheck={false} onChange={(e) => { setText(e.target.value); setAt(0); }} onKeyDown={key}
        />
      </div>
      <div ref={list} id={`${id}-list`} role="listbox" aria-label={t("palette.title")} className={s.paletteList}>
        {flat.length === 0 && <div className={s.paletteNone} role="option" aria-selected={false} aria-disabled>{t("palette.none")}</div>}
        {found.map((g) => (
          <div key={g.name} role="group" aria-label={g.name}>
            <div className={s.paletteGroup} aria-hidden>{g.name}</div>
            {g.commands.map((c) => {
              const Icon = c.icon;
              return (
                <div key={c.id} id={`${id}-${c.id}`} role="option" aria-selected={c === current} className={cx(ui.item, s.paletteItem)} onClick={() => run(c)} onPointerMove={() => setAt(flat.indexOf(c))}>
                  {Icon ? <Icon aria-hidden /> : <span style={{ width: "1rem" }} />}
                  <span className="truncate spacer">{c.label}</span>
                  {c.keys && <KeysText keys={c.keys} />}
                </div>
              );
            })}
          </div>
        ))}
      </div>
    </Dialog>
  );
}
