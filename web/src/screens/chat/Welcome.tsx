/* Before the first message: what one may ask. */
import { MessagesSquare } from "lucide-react";
import { useText } from "../../i18n";
import { text } from "./text";
import s from "./chat.module.css";

export function Welcome({ onPick }: { onPick: (prompt: string) => void }) {
  const t = useText(text);
  const prompts = [t("prompt.1"), t("prompt.2"), t("prompt.3"), t("prompt.4")];
  return (
    <div className={s.welcome}>
      <div className={s.welcomeInner}>
        <MessagesSquare aria-hidden className={s.welcomeIcon} />
        <h2>{t("welcome")}</h2>
        <p>{t("welcome.text")}</p>
        <ul className={s.prompts} aria-label={t("welcome.examples")}>
          {prompts.map((p) => <li key={p}><button type="button" onClick={() => onPick(p)}>{p}</button></li>)}
        </ul>
        <p className={s.guide}>{t("welcome.guide")}</p>
      </div>
    </div>
  );
}
