import { strings } from "../../i18n";
export const text = strings({ en: () => import("../../i18n/en/chores"), es: () => import("../../i18n/es/chores") });
