import { createRoot } from "react-dom/client";
import "./ui/tokens.css";
import "./ui/base.css";
import { App } from "./app/App";
import { applyPreferences, preferences } from "./lib/preferences";

applyPreferences();
preferences.subscribe(applyPreferences);
window.addEventListener("languagechange", applyPreferences);
const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
