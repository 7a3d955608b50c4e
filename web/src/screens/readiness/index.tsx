/* Readiness: what the doctor found, now and before; the ledger of decisions; the crashes. */
import { useLocation, useSearch } from "wouter";
import { Stethoscope } from "lucide-react";
import { useCommands } from "../../app/commands";
import { useText } from "../../i18n";
import { Page, Tabs } from "../../ui";
import { useChore } from "../chores/Chore";
import { Checks } from "./Checks";
import { Crashes } from "./Crashes";
import { History } from "./History";
import { Ledger } from "./Ledger";
import { text } from "./text";

const VIEWS = ["checks", "history", "ledger", "crashes"] as const;
type View = (typeof VIEWS)[number];
const REFRESH = ["supervisor.doctor_reports"] as const;

export default function Readiness() {
  const t = useText(text);
  const [, go] = useLocation();
  const p = new URLSearchParams(useSearch());
  const view = VIEWS.find((v) => v === p.get("view")) ?? "checks";
  const report = p.get("report");
  const at = (v: View) => go(v === "checks" ? "/readiness" : `/readiness?view=${v}`);
  const doctor = useChore("doctor", REFRESH);
  useCommands(() => [{ id: "readiness.run", label: t("cmd_run"), icon: Stethoscope, run: () => { at("checks"); doctor.begin(); } }], [t]);
  return (
    <Page title={t("title")}>
      <Tabs label={t("title")} value={view} onChange={at} tabs={[
        { id: "checks", label: t("tab.checks"), panel: () => <Checks doctor={doctor} report={report} onLatest={() => at("checks")} /> },
        { id: "history", label: t("tab.history"), panel: () => <History onOpen={(id) => go(`/readiness?report=${encodeURIComponent(id)}`)} /> },
        { id: "ledger", label: t("tab.ledger"), panel: () => <Ledger /> },
        { id: "crashes", label: t("tab.crashes"), panel: () => <Crashes /> },
      ]} />
    </Page>
  );
}
