import { strings } from "../../i18n";
export const text = strings({ en: () => import("../../i18n/en/browser"), es: () => import("../../i18n/es/browser") });
