import { strings } from "../../i18n";
export const text = strings({ en: () => import("../../i18n/en/settings"), es: () => import("../../i18n/es/settings") });
