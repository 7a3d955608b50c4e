/* What is around each screen: loading it, its failures, the title of the window, and the focus after a change. */
import { Component, lazy, Suspense, useEffect, useMemo } from "react";
import type { ComponentType, ErrorInfo, LazyExoticComponent, ReactNode } from "react";
import { useLocation } from "wouter";
import { Compass, PlugZap, RefreshCw } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import { connection, onReturn, useConnection } from "../lib/connection";
import type { ScreenSpec } from "../screens";
import { Button, CodeBlock, EmptyState, Page, SkeletonLines } from "../ui";
import s from "./app.module.css";

const lazies = new Map<string, LazyExoticComponent<ComponentType>>();
function lazyOf(screen: ScreenSpec): LazyExoticComponent<ComponentType> {
  let l = lazies.get(screen.name);
  if (!l) lazies.set(screen.name, (l = lazy(screen.load)));
  return l;
}

/* A part of the page that did not come: the server is away (then it is loaded anew once it is back), or it was
 * updated under the page and has other parts now. */
function NotLoaded() {
  const t = useText(common);
  const state = useConnection();
  useEffect(() => {
    void connection.look();
    return onReturn(() => window.location.reload());
  }, []);
  if (state === "unreachable") return <Page title={t("screen.away")}><EmptyState icon={PlugZap} title={t("error.unreachable")}>{t("screen.away_text")}</EmptyState></Page>;
  return (
    <Page title={t("screen.outdated")}>
      <EmptyState icon={RefreshCw} title={t("screen.outdated_text")} action={<Button kind="primary" onClick={() => window.location.reload()}>{t("action.reload")}</Button>} />
    </Page>
  );
}

function Failed({ error, again }: { error: Error; again: () => void }) {
  const t = useText(common);
  if (/dynamically imported module|Importing a module script|preload CSS/i.test(error.message)) return <NotLoaded />;
  return (
    <Page title={t("screen.failed")} narrow lead={t("screen.failed_text")}>
      <CodeBlock text={`${error.name}: ${error.message}`} wrap />
      <div className="row"><Button icon={RefreshCw} kind="primary" onClick={again}>{t("action.retry")}</Button></div>
    </Page>
  );
}

class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };
  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
  override componentDidCatch(error: unknown, info: ErrorInfo) {
    console.error(error, info.componentStack);
  }
  override render() {
    if (this.state.error) return <Failed error={this.state.error} again={() => this.setState({ error: null })} />;
    return this.props.children;
  }
}

export function ScreenFrame({ screen }: { screen: ScreenSpec }) {
  const t = useText(common);
  const Screen = useMemo(() => lazyOf(screen), [screen]);
  const name = t(`screen.${screen.name}`);
  useEffect(() => {
    document.title = `${name} · VX11`;
  }, [name]);
  return (
    <div className={screen.fill ? s.fill : s.scroll}>
      <Boundary>
        <Suspense fallback={<Page title={name}><SkeletonLines lines={6} /></Page>}><Screen /></Suspense>
      </Boundary>
    </div>
  );
}

export function Missing() {
  const t = useText(common);
  const [path] = useLocation();
  useEffect(() => {
    document.title = "VX11";
  }, []);
  return <div className={s.scroll}><Page title={t("screen.missing")}><EmptyState icon={Compass} title={t("screen.missing_text", { path })} /></Page></div>;
}

