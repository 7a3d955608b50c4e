/* Who can answer: type to find one; a name that is not listed (an alias) can be asked for too. */
import { useEffect, useId, useMemo, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { Check, Cloud, Cpu, Sparkles, Tag } from "lucide-react";
import type { LucideIcon } from "lucide-react";
import { useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { Badge, ErrorState, SkeletonLines } from "../../ui";
import { text } from "./text";
import s from "./chat.module.css";

interface Entry {
  id: string;
  detail: string;
  icon: LucideIcon;
  badge: string | null;
  words: string;
}

export function ModelList({ value, onPick }: { value: string; onPick: (model: string) => void }) {
  const t = useText(text);
  const f = useFormat();
  const id = useId();
  const models = useApi("switch.models", { staleTime: 15_000 });
  const here = useApi("switch.models_available", { staleTime: 5000 });
  const providers = useApi("switch.providers", { staleTime: 15_000 });
  const [q, setQ] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const entries = useMemo(() => {
    const out: Entry[] = [{ id: "auto", detail: t("model.auto"), icon: Sparkles, badge: null, words: "auto" }];
    const seen = new Set(["auto"]);
    for (const m of models.data?.data ?? []) {
      if (seen.has(m.id) || (m.capabilities && !m.capabilities.includes("chat"))) continue;
      seen.add(m.id);
      const owner = m.owned_by ?? "";
      const provider = providers.data?.providers.find((p) => p.name === owner);
      const local = provider ? provider.kind === "local" : owner === "local";
      const kept = local ? here.data?.models.find((x) => x.name === m.id) : undefined;
      const detail = local
        ? [t("model.local"), kept?.size_mb != null ? f.bytes(kept.size_mb * 1e6) : "", ...(kept?.tags ?? [])].filter(Boolean).join(" · ")
        : [t("model.remote", { provider: owner }), provider?.status === "unavailable" ? t("model.unavailable") : ""].filter(Boolean).join(" · ");
      out.push({ id: m.id, detail, icon: local ? Cpu : Cloud, badge: kept?.warm ? t("model.loaded") : null, words: `${m.id} ${detail}` });
    }
    return out;
  }, [models.data, here.data, providers.data, t, f]);
  const shown = useMemo(() => {
    const words = q.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = entries.filter((e) => words.every((w) => e.words.toLowerCase().includes(w)));
    const name = q.trim();
    if (name && !entries.some((e) => e.id === name)) hits.push({ id: name, detail: t("model.custom"), icon: Tag, badge: null, words: name });
    return hits;
  }, [entries, q, t]);
  useEffect(() => setAt(q === "" ? Math.max(0, shown.findIndex((e) => e.id === value)) : 0), [q, shown.length, value]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => {
    list.current?.querySelector(`[data-at="${at}"]`)?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const key = (e: KeyboardEvent) => {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[e.key];
    if (to !== undefined) {
      e.preventDefault();
      setAt((to + shown.length) % Math.max(shown.length, 1));
    } else if (e.key === "Enter") {
      e.preventDefault();
      const hit = shown[at];
      if (hit) onPick(hit.id);
    }
  };
  return (
    <div className={s.models}>
      <input className={s.modelSearch} type="text" role="combobox" aria-expanded aria-controls={`${id}-l`} aria-autocomplete="list" aria-activedescendant={shown[at] ? `${id}-${at}` : undefined} aria-label={t("model.search")}
        placeholder={t("model.search")} value={q} autoFocus autoComplete="off" spellCheck={false} onChange={(e) => setQ(e.target.value)} onKeyDown={key} />
      {models.error && <ErrorState error={models.error} onRetry={() => void models.refetch()} />}
      {models.isPending && <SkeletonLines lines={3} />}
      <div ref={list} id={`${id}-l`} role="listbox" aria-label={t("model")} className={s.modelList} tabIndex={-1}>
        {shown.map((e, i) => (
          <div key={e.id} id={`${id}-${i}`} data-at={i} role="option" aria-selected={i === at} className={s.modelItem} onPointerMove={() => setAt(i)} onClick={() => onPick(e.id)}>
            <e.icon aria-hidden />
            <span className={s.modelText}><span className={s.modelName}>{e.id}</span><span className={s.modelDetail}>{e.detail}</span></span>
            {e.badge && <Badge tone="ok">{e.badge}</Badge>}
            {e.id === value && <Check role="img" aria-label={t("model.chosen")} />}
          </div>
        ))}
      </div>
    </div>
  );
}
