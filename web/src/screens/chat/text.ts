import { strings } from "../../i18n";
import type { Text } from "../../i18n";
import type en from "../../i18n/en/chat";

export const text = strings({ en: () => import("../../i18n/en/chat"), es: () => import("../../i18n/es/chat") });
export type T = Text<typeof en>;
