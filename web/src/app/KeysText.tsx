import { common } from "../i18n/common";
import { useText } from "../i18n";
import { Kbd } from "../ui";
import { mac } from "./commands";

const names: Record<string, string> = { mod: mac ? "⌘" : "Ctrl", shift: "⇧", alt: mac ? "⌥" : "Alt", enter: "↵", escape: "Esc", arrowup: "↑", arrowdown: "↓", arrowleft: "←", arrowright: "→", space: "␣" };

/** "mod+k" or "g c" as keys. */
export function KeysText({ keys }: { keys: string }) {
  const t = useText(common);
  return (
    <span className="nowrap">
      {keys.split(" ").map((step, i) => (
        <span key={i}>
          {i > 0 && <span className="soft"> {t("keys.then")} </span>}
          {step.split("+").map((k, j) => <span key={j}>{j > 0 && " "}<Kbd>{names[k] ?? (k.length === 1 ? k.toUpperCase() : k)}</Kbd></span>)}
        </span>
      ))}
    </span>
  );
}
