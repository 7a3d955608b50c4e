/* What is around each screen: loading it, its failures, the title of the window, and the focus after a change. */
import { Component, lazy, Suspense, useEffect, useMemo } from "react";
import type { ComponentType, ErrorInfo, LazyExoticComponent, ReactNode } from "react";
import { useLocation } from "wouter";
import { Compass, RefreshCw } from "lucide-react";
import { common } from "../i18n/common";
import { useText } from "../i18n";
import type { ScreenSpec } from "../screens";
import { Button, CodeBlock, EmptyState, Page, SkeletonLines } from "../ui";
import s from "./app.module.css";

const lazies = new Map<string, LazyExoticComponent<ComponentType>>();
function lazyOf(screen: ScreenSpec): LazyExoticComponent<ComponentType> {
  let l = lazies.get(screen.name);
  if (!l) lazies.set(screen.name, (l = lazy(screen.load)));
  return l;
}

function Failed({ error, again }: { error: Error; again: () => void }) {
  const t = useText(common);
  // A chunk of a build that is gone: the binary was updated under the page.
  if (/dynamically imported module|Importing a module script|preload CSS/i.test(error.message)) {
    return (
      <EmptyState icon={RefreshCw} title={t("screen.outdated")} action={<Button kind="primary" onClick={() => window.location.reload()}>{t("action.reload")}</Button>}>
        {t("screen.outdated_text")}
      </EmptyState>
    );
  }
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

