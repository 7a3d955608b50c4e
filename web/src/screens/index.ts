/* The screens there are, in the order of the navigation. A screen is a folder here whose index.tsx exports the
 * component as default; its name is in i18n/{en,es}/common.ts as "screen.NAME". It is loaded when it is opened. */
import type { ComponentType } from "react";
import { Boxes, CircleHelp, Database, Globe, LayoutDashboard, MessagesSquare, ScrollText, Settings, ShieldCheck, Waypoints } from "lucide-react";
import type { LucideIcon } from "lucide-react";

export type ScreenName = "chat" | "overview" | "models" | "requests" | "browser" | "logs" | "database" | "readiness" | "settings" | "help";
export interface ScreenSpec {
  name: ScreenName;
  icon: LucideIcon;
  load: () => Promise<{ default: ComponentType }>;
  /** Second key of the shortcut "g KEY". */
  key: string;
  /** Takes the whole height and scrolls by itself (a chat), in place of a page that scrolls. */
  fill?: boolean;
  /** At the foot of the navigation. */
  foot?: boolean;
}

export const screens: readonly ScreenSpec[] = [
  { name: "chat", icon: MessagesSquare, key: "c", load: () => import("./chat"), fill: true },
  { name: "overview", icon: LayoutDashboard, key: "o", load: () => import("./overview") },
  { name: "models", icon: Boxes, key: "m", load: () => import("./models") },
  { name: "requests", icon: Waypoints, key: "r", load: () => import("./requests") },
  { name: "browser", icon: Globe, key: "b", load: () => import("./browser") },
  { name: "logs", icon: ScrollText, key: "l", fill: true, load: () => import("./logs") },
  { name: "database", icon: Database, key: "d", load: () => import("./database") },
  { name: "readiness", icon: ShieldCheck, key: "y", load: () => import("./readiness") },
  { name: "settings", icon: Settings, key: ",", load: () => import("./settings"), foot: true },
  { name: "help", icon: CircleHelp, key: "h", load: () => import("./help"), foot: true },
];
