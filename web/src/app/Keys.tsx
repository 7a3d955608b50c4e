/* The list of shortcuts. */
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { Dialog } from "../ui";
import type { Command } from "./commands";
import { KeysText } from "./KeysText";
import s from "./app.module.css";

export default function Keys({ commands, onClose }: { commands: readonly Command[]; onClose: () => void }) {
  const t = useText(common);
  const everywhere = commands.filter((c) => /^(page|go)\./.test(c.id));
  const here = commands.filter((c) => !everywhere.includes(c));
  const group = (title: string, list: readonly Command[]) => list.length > 0 && (
    <section>
      <h3 className={s.keysTitle}>{title}</h3>
      <dl className={s.keys}>
        {list.map((c) => <div key={c.id}><dt>{c.id.startsWith("go.") ? t("keys.go", { name: c.label }) : c.label}</dt><dd>{c.keys && <KeysText keys={c.keys} />}</dd></div>)}
      </dl>
    </section>
  );
  return (
    <Dialog open onClose={onClose} title={t("keys.title")}>
      {group(t("keys.here"), here)}
      {group(t("keys.everywhere"), everywhere)}
    </Dialog>
  );
}
