import { strings } from ".";
export const common = strings({ en: () => import("./en/common"), es: () => import("./es/common") });
