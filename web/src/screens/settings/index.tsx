/* Settings: how the page looks, who is logged in, the configuration with its origins, the tokens. */
import { useRoute, useLocation } from "wouter";
import { LogOut } from "lucide-react";
import { useCommands } from "../../app/commands";
import { common } from "../../i18n/common";
import { rich, useText } from "../../i18n";
import { useAct, useApi } from "../../lib/api";
import { connection } from "../../lib/connection";
import { useFormat } from "../../lib/format";
import { languageOf, usePreferences } from "../../lib/preferences";
import type { Preferences } from "../../lib/preferences";
import { Button, Card, ErrorState, KeyValues, Page, Select, SkeletonLines, Tabs, toast, useConfirm, useErrorText } from "../../ui";
import { Config } from "./Config";
import { Tokens } from "./Tokens";
import { text } from "./text";
import s from "./settings.module.css";

const code = { code: (x: string) => <code>{x}</code> };
const languages = { en: "English", es: "Español" };

function Looks() {
  const t = useText(text);
  const [p, set] = usePreferences();
  const choose = <K extends keyof Preferences>(key: K, label: string, options: readonly { value: Preferences[K]; label: string }[]) => (
    <Select label={label} value={p[key]} options={options} onChange={(value) => set({ [key]: value })} />
  );
  return (
    <Card title={t("looks.title")}>
      <div className="stack">
        {choose("theme", t("looks.theme"), [{ value: "system", label: t("looks.theme_system") }, { value: "light", label: t("looks.theme_light") }, { value: "dark", label: t("looks.theme_dark") }])}
        {choose("language", t("looks.language"), [{ value: "auto", label: t("looks.language_auto", { name: languages[languageOf({ ...p, language: "auto" })] }) }, { value: "en", label: languages.en }, { value: "es", label: languages.es }])}
        {choose("density", t("looks.density"), [{ value: "comfortable", label: t("looks.density_comfortable") }, { value: "compact", label: t("looks.density_compact") }])}
        <p className="soft">{t("looks.kept")}</p>
      </div>
    </Card>
  );
}

function Session() {
  const t = useText(text);
  const f = useFormat();
  const session = useApi("link.session");
  const errorText = useErrorText();
  const confirm = useConfirm();
  const out = useAct("link.logout", { onSuccess: () => void connection.look(), onError: (e) => toast(errorText(e), "bad") });
  const leave = async () => {
    if (await confirm({ title: `${t("session.out")}?`, text: rich(t("session.out_text"), code), action: t("session.out") })) out.mutate({});
  };
  useCommands(() => [{ id: "settings.out", label: t("session.out"), icon: LogOut, run: () => void leave() }], [t]);
  return (
    <Card title={t("session.title")} actions={<Button small icon={LogOut} busy={out.isPending} onClick={() => void leave()}>{t("session.out")}</Button>}>
      {session.error ? <ErrorState error={session.error} onRetry={() => void session.refetch()} /> : session.data ? (
        <KeyValues items={[[t("session.who"), session.data.name], [t("session.scopes"), f.list(session.data.scopes)]]} />
      ) : <SkeletonLines lines={2} />}
    </Card>
  );
}

const tabs = ["page", "config", "tokens"] as const;
type Tab = (typeof tabs)[number];

export default function Settings() {
  const t = useText(text);
  const c = useText(common);
  const [, params] = useRoute("/settings/:tab");
  const [, go] = useLocation();
  const tab: Tab = tabs.find((x) => x === params?.tab) ?? "page";
  return (
    <Page title={c("screen.settings")}>
      <Tabs label={c("screen.settings")} value={tab} onChange={(x) => go(`/settings/${x}`, { replace: true })} tabs={[
        { id: "page", label: t("tab.page"), panel: () => <div className={s.page}><Looks /><Session /></div> },
        { id: "config", label: t("tab.config"), panel: () => <Config /> },
        { id: "tokens", label: t("tab.tokens"), panel: () => <Tokens /> },
      ]} />
    </Page>
  );
}
