import { strings } from "../../i18n";
export const text = strings({ en: () => import("../../i18n/en/help"), es: () => import("../../i18n/es/help") });
