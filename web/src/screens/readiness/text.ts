import { strings } from "../../i18n";
export const text = strings({ en: () => import("../../i18n/en/readiness"), es: () => import("../../i18n/es/readiness") });
