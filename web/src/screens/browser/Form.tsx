/* A task: where to begin, and the steps there. Only the fields that a step needs are shown. */
import { useState } from "react";
import { Play, Plus, Trash2 } from "lucide-react";
import type { OperatorBrowserAction, OperatorBrowserRequest } from "../../api";
import { useText } from "../../i18n";
import { Button, Card, Checkbox, IconButton, Select, TextArea, TextField } from "../../ui";
import s from "./browser.module.css";
import { text } from "./text";

type Do = OperatorBrowserAction["do"];
const kinds: readonly Do[] = ["click", "fill", "type", "press", "select", "hover", "wait", "scroll", "navigate", "back", "screenshot", "text", "snapshot", "evaluate"];
const needs: Record<Do, readonly ("target" | "text" | "key" | "url" | "script" | "ms" | "submit" | "full")[]> = {
  navigate: ["url"], click: ["target"], type: ["target", "text", "submit"], fill: ["target", "text"], press: ["key"], select: ["target", "text"], hover: ["target"],
  wait: ["text", "ms"], scroll: ["target"], screenshot: ["full"], evaluate: ["script"], snapshot: [], text: [], back: [],
};

function Step({ n, step, onChange, onRemove }: { n: number; step: OperatorBrowserAction; onChange: (step: OperatorBrowserAction) => void; onRemove: () => void }) {
  const t = useText(text);
  const has = (field: (typeof needs)[Do][number]) => needs[step.do].includes(field);
  const set = (part: Partial<OperatorBrowserAction>) => onChange({ ...step, ...part });
  return (
    <li className={s.step}>
      <fieldset>
        <legend className="visually-hidden">{t("new.step", { n })}</legend>
        <Select label={t("new.do")} value={step.do} onChange={(v) => onChange({ do: v, ...(step.target && { target: step.target }) })} options={kinds.map((k) => ({ value: k, label: t(`do.${k}`) }))} />
        {has("target") && <TextField label={t("new.target")} placeholder={t("new.target_hint")} value={step.target ?? ""} onChange={(target) => set({ target })} spellCheck={false} />}
        {has("text") && <TextField label={t("new.text")} value={step.text ?? ""} onChange={(v) => set({ text: v })} />}
        {has("key") && <TextField label={t("new.key")} placeholder="Enter" value={step.text ?? ""} onChange={(v) => set({ text: v })} spellCheck={false} />}
        {has("url") && <TextField label={t("new.to")} value={step.url ?? ""} onChange={(url) => set({ url })} spellCheck={false} inputMode="url" />}
        {has("script") && <TextArea label={t("new.script")} placeholder="() => document.title" value={step.script ?? ""} onChange={(script) => set({ script })} rows={2} spellCheck={false} />}
        {has("ms") && <TextField label={t("new.ms")} value={step.ms == null ? "" : String(step.ms)} onChange={(v) => set({ ms: /^\d+$/.test(v) ? Number(v) : null })} inputMode="numeric" />}
        <div className={s.checks}>
          {has("submit") && <Checkbox checked={step.submit ?? false} onChange={(submit) => set({ submit })}>{t("new.submit")}</Checkbox>}
          {has("full") && <Checkbox checked={step.full_page ?? false} onChange={(full_page) => set({ full_page })}>{t("new.full")}</Checkbox>}
          <Checkbox checked={step.optional ?? false} onChange={(optional) => set({ optional })}>{t("new.optional")}</Checkbox>
        </div>
      </fieldset>
      <IconButton small icon={Trash2} label={t("new.remove", { n })} onClick={onRemove} />
    </li>
  );
}

export function Form({ initial, busy, onRun }: { initial: OperatorBrowserRequest | null; busy: boolean; onRun: (request: OperatorBrowserRequest) => void }) {
  const t = useText(text);
  const [url, setUrl] = useState(initial?.url ?? "");
  const [steps, setSteps] = useState<readonly OperatorBrowserAction[]>(initial?.actions ?? []);
  const [shot, setShot] = useState(initial?.screenshot ?? true);
  const [timeout, setTimeout_] = useState(initial?.timeout_ms ? String(initial.timeout_ms / 1000) : "");
  const run = () => {
    const address = /^[a-z][a-z0-9+.-]*:/i.test(url.trim()) ? url.trim() : `https://${url.trim()}`;
    onRun({ url: address, actions: [...steps], screenshot: shot, ...(Number(timeout) > 0 && { timeout_ms: Math.round(Number(timeout) * 1000) }) });
  };
  return (
    <Card title={t("new.title")}>
      <form className="stack" onSubmit={(e) => { e.preventDefault(); if (url.trim()) run(); }}>
        <div className={s.address}>
          <TextField label={t("new.url")} placeholder={t("new.url_hint")} value={url} onChange={setUrl} spellCheck={false} inputMode="url" autoCapitalize="none" />
          <Button type="submit" kind="primary" icon={Play} busy={busy} disabled={url.trim() === ""}>{t("new.run")}</Button>
        </div>
        {steps.length > 0 && (
          <ol className={s.steps} aria-label={t("new.steps")}>
            {steps.map((step, i) => (
              <Step key={i} n={i + 1} step={step} onChange={(next) => setSteps(steps.map((x, k) => (k === i ? next : x)))} onRemove={() => setSteps(steps.filter((_, k) => k !== i))} />
            ))}
          </ol>
        )}
        <div className="row-wrap">
          <Button small icon={Plus} onClick={() => setSteps([...steps, { do: "click" }])} disabled={steps.length >= 100}>{t("new.add")}</Button>
          <span className="spacer" />
          <Checkbox checked={shot} onChange={setShot}>{t("new.shot")}</Checkbox>
          <TextField className={s.timeout} label={t("new.timeout")} value={timeout} onChange={setTimeout_} inputMode="numeric" />
        </div>
      </form>
    </Card>
  );
}
