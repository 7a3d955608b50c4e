/* Models: what is on this machine and in memory, where more come from, who else answers, and what it costs. */
import { useLocation, useRoute } from "wouter";
import { useText } from "../../i18n";
import { Page, Tabs } from "../../ui";
import { Budgets } from "./Budgets";
import { Get } from "./Get";
import { Installed } from "./Installed";
import { Providers } from "./Providers";
import { text } from "./text";

const tabs = ["installed", "get", "providers", "budgets"] as const;
type Tab = (typeof tabs)[number];

export default function Models() {
  const t = useText(text);
  const [, params] = useRoute("/models/:tab?");
  const [, go] = useLocation();
  const tab: Tab = tabs.find((x) => x === params?.tab) ?? "installed";
  return (
    <Page title={t("title")}>
      <Tabs
        label={t("title")} value={tab} onChange={(id) => go(id === "installed" ? "/models" : `/models/${id}`)}
        tabs={[
          { id: "installed", label: t("tab.installed"), panel: () => <Installed /> },
          { id: "get", label: t("tab.get"), panel: () => <Get /> },
          { id: "providers", label: t("tab.providers"), panel: () => <Providers /> },
          { id: "budgets", label: t("tab.budgets"), panel: () => <Budgets /> },
        ]}
      />
    </Page>
  );
}
