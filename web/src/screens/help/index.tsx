/* Help: the guide model, first commands, addresses for programs, where to look, shortcuts. */
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { Keyboard, MessageCircleQuestion, Send } from "lucide-react";
import { useCommandsContext } from "../../app/commands";
import { KeysText } from "../../app/KeysText";
import { common } from "../../i18n/common";
import { rich, useText } from "../../i18n";
import { useApi } from "../../lib/api";
import { useFormat } from "../../lib/format";
import { screens } from "..";
import { Button, Card, CodeBlock, CopyButton, KeyValues, Note, Page, Skeleton, TextField, Unknown, useErrorText } from "../../ui";
import { draftKeep, lastModel } from "../chat/drafts";
import { text } from "./text";
import s from "./help.module.css";

const GUIDE = "vx11-guide";
const code = { code: (x: string) => <code>{x}</code> };

function Ask() {
  const t = useText(text);
  const [, go] = useLocation();
  const [question, setQuestion] = useState("");
  const models = useApi("link.models", { staleTime: 60_000 });
  const errorText = useErrorText();
  const ask = (q: string) => {
    lastModel.set(GUIDE);
    draftKeep("new", q);
    go("/chat");
  };
  const missing = models.data && !models.data.data.some((m) => m.id === GUIDE);
  return (
    <Card title={t("ask.title")} className={s.wide ?? ""}>
      <div className="stack">
        <p>{t("ask.text")}</p>
        {(missing || models.error) && <Note tone="warn">{t("ask.missing", { reason: models.error ? errorText(models.error) : t("ask.not_listed") })}</Note>}
        <form className={s.ask} onSubmit={(e) => { e.preventDefault(); if (question.trim()) ask(question.trim()); }}>
          <TextField className={s.question ?? ""} label={t("ask.field")} hideLabel placeholder={t("ask.field")} value={question} onChange={setQuestion} maxLength={2000} />
          <Button type="submit" kind="primary" icon={Send} disabled={!question.trim()}>{t("ask.action")}</Button>
        </form>
        <div className="row-wrap">
          {(["ask.example_1", "ask.example_2", "ask.example_3"] as const).map((k) => <Button key={k} small icon={MessageCircleQuestion} onClick={() => ask(t(k))}>{t(k)}</Button>)}
        </div>
      </div>
    </Card>
  );
}

function First() {
  const t = useText(text);
  const list = [["vx11 status", "first.status"], ["vx11 chat", "first.chat"], ["vx11 token show", "first.token"], ["vx11 models catalogue", "first.models"], ["vx11 logs", "first.logs"], ["vx11 login", "first.login"]] as const;
  return (
    <Card title={t("first.title")}>
      <ul className={s.list}>
        {list.map(([command, key]) => (
          <li key={command} className="row">
            <span className="spacer"><code className={s.command}>{command}</code><span className="soft">{t(key)}</span></span>
            <CopyButton text={command} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Programs() {
  const t = useText(text);
  const f = useFormat();
  const session = useApi("link.session", { staleTime: 60_000 });
  const base = `${window.location.origin}/v1`;
  const example = `curl ${base}/chat/completions \\\n  -H "Authorization: Bearer $(vx11 token show)" -H "Content-Type: application/json" \\\n  -d '{"messages": [{"role": "user", "content": "Which port is switch on?"}]}'`;
  return (
    <Card title={t("api.title")}>
      <div className="stack">
        <div className="row"><span className="soft">{t("api.base")}</span><code className="truncate">{base}</code><CopyButton text={base} /></div>
        <p className="soft">{rich(t("api.base_hint"), code)}</p>
        <CodeBlock text={example} wrap label={t("api.example")} />
        <p><a href="/openapi.json" target="_blank" rel="noreferrer">{t("api.spec")}</a></p>
        {session.data && <p className="soft">{t("api.session", { name: session.data.name, scopes: f.list(session.data.scopes) })}</p>}
      </div>
    </Card>
  );
}

function Where() {
  const t = useText(text);
  const c = useText(common);
  return (
    <Card title={t("where.title")}>
      <ul className={s.list}>
        {screens.filter((x) => x.name !== "help").map((x) => {
          const Icon = x.icon;
          return (
            <li key={x.name} className={s.place}>
              <Icon aria-hidden />
              <span><Link href={`/${x.name}`}>{c(`screen.${x.name}`)}</Link><span className="soft">{t(`where.${x.name as Exclude<typeof x.name, "help">}`)}</span></span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

function Keys() {
  const t = useText(text);
  const c = useText(common);
  const { openKeys } = useCommandsContext();
  const list = [["mod+k", c("keys.palette")], ["?", c("keys.help")], ["mod+b", c("keys.nav")], ...screens.map((x) => [`g ${x.key}`, c("keys.go", { name: c(`screen.${x.name}`) })])] as [string, string][];
  return (
    <Card title={t("keys.title")} actions={<Button small icon={Keyboard} onClick={openKeys}>{t("keys.all")}</Button>}>
      <ul className={s.list}>
        {list.map(([keys, label]) => <li key={keys} className="row"><span className="spacer">{label}</span><KeysText keys={keys} /></li>)}
      </ul>
    </Card>
  );
}

function About() {
  const t = useText(text);
  const status = useApi("link.status", { staleTime: 60_000 });
  const errorText = useErrorText();
  return (
    <Card title={t("about.title")}>
      <div className="stack">
        <KeyValues items={[[t("about.version"), status.data ? status.data.version : status.error ? <Unknown reason={errorText(status.error)} /> : <Skeleton width="6em" />]]} />
        <p>{rich(t("about.docs"), code)}</p>
        <p><a href="/assets/licenses.txt" target="_blank" rel="noreferrer">{t("about.licenses")}</a></p>
      </div>
    </Card>
  );
}

export default function Help() {
  const c = useText(common);
  return (
    <Page title={c("screen.help")}>
      <div className={s.grid}>
        <Ask />
        <First />
        <Where />
        <Programs />
        <Keys />
        <About />
      </div>
    </Page>
  );
}
