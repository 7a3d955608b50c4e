/* The whole page: queries, dialogs, routes, and what is shown while the server is away or does not let us in. */
import { Suspense, useEffect } from "react";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { I18nProvider } from "react-aria-components";
import { Redirect, Route, Router, Switch } from "wouter";
import { useLanguage } from "../i18n";
import { ApiError } from "../lib/api";
import { connection, onReturn } from "../lib/connection";
import { screens } from "../screens";
import { ConfirmProvider } from "../ui/Dialog";
import { Toasts } from "../ui/Toast";
import { CommandsProvider } from "./commands";
import { Layout } from "./Layout";
import { Missing, ScreenFrame } from "./ScreenFrame";
import { BASE } from "./paths";

const client = new QueryClient({
  queryCache: new QueryCache(),
  defaultOptions: {
    queries: {
      networkMode: "always", // "online" of the browser says nothing about a server on this machine
      staleTime: 2000,
      retry: (n, e) => e instanceof ApiError && e.passing && e.status !== 0 && n < 2,
      refetchOnWindowFocus: true,
      refetchInterval: false,
    },
    mutations: { networkMode: "always", retry: false },
  },
});
onReturn(() => void client.invalidateQueries());

async function prefetch() {
  for (const screen of screens) {
    if (connection.state !== "ok") return;
    await screen.load().catch(() => undefined);
  }
}

export function App() {
  useEffect(() => {
    void connection.look();
    // Later the other screens come too, so that they open at once, and even while the server is away.
    const timer = setTimeout(() => (window.requestIdleCallback ?? setTimeout)(() => void prefetch()), 8000);
    return () => clearTimeout(timer);
  }, []);
  const language = useLanguage();
  const first = screens[0];
  return (
    <QueryClientProvider client={client}>
      <I18nProvider locale={language === "es" ? "es-ES" : "en-US"}>
        <Router base={BASE}>
          <Suspense fallback={null}>
            <ConfirmProvider>
              <CommandsProvider>
                <Layout>
                  <Switch>
                    {first && <Route path="/"><Redirect to={`/${first.name}`} replace /></Route>}
                    {screens.map((s) => (
                      <Route key={s.name} path={`/${s.name}/*?`}><ScreenFrame key={s.name} screen={s} /></Route>
                    ))}
                    <Route><Missing /></Route>
                  </Switch>
                </Layout>
              </CommandsProvider>
            </ConfirmProvider>
            <Toasts />
          </Suspense>
        </Router>
      </I18nProvider>
    </QueryClientProvider>
  );
}
