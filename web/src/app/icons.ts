import { Keyboard, Languages, Monitor, Moon, PanelLeft, Sun } from "lucide-react";
export const pageIcons = { keys: Keyboard, nav: PanelLeft, light: Sun, dark: Moon, system: Monitor, language: Languages };
