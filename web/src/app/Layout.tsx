/* Navigation beside the screen (a drawer on a phone), the banners above it, and the notice in place of it when we are not let in. */
import { useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { Command as CommandIcon, KeyRound, Menu as MenuIcon, PanelLeftClose, PanelLeftOpen, PlugZap } from "lucide-react";
import { common } from "../i18n/common";
import { rich, useText } from "../i18n";
import { connection, onReturn, useConnection } from "../lib/connection";
import { usePreferences } from "../lib/preferences";
import { screens } from "../screens";
import type { ScreenSpec } from "../screens";
import { Button, Dialog, IconButton, Tooltip, cx, toast } from "../ui";
import { useCommandsContext } from "./commands";
import { KeysText } from "./KeysText";
import s from "./app.module.css";

const code = { code: (text: string) => <code>{text}</code> };

function NavLink({ screen, narrow, onGo }: { screen: ScreenSpec; narrow: boolean; onGo: (() => void) | undefined }) {
  const t = useText(common);
  const [path] = useLocation();
  const here = path === `/${screen.name}` || path.startsWith(`/${screen.name}/`);
  const name = t(`screen.${screen.name}`);
  const Icon = screen.icon;
  const link = (
    <Link href={`/${screen.name}`} className={s.navLink ?? ""} aria-current={here ? "page" : undefined} onClick={onGo} onPointerEnter={() => void screen.load().catch(() => undefined)} aria-label={narrow ? name : undefined}>
      <Icon aria-hidden />
      {!narrow && <span className="truncate">{name}</span>}
    </Link>
  );
  return <li>{narrow ? <Tooltip text={name} label={false}>{link}</Tooltip> : link}</li>;
}

function Nav({ narrow, onGo }: { narrow: boolean; onGo?: () => void }) {
  const t = useText(common);
  const { openPalette } = useCommandsContext();
  const list = (foot: boolean) => screens.filter((x) => (x.foot ?? false) === foot).map((x) => <NavLink key={x.name} screen={x} narrow={narrow} onGo={onGo} />);
  return (
    <nav aria-label={t("nav.main")} className={s.navInner}>
      <ul>{list(false)}</ul>
      <div className="spacer" />
      <ul>
        <li>
          <Tooltip text={t("palette.open")} label={false}>
            <button type="button" className={s.navLink} onClick={() => { onGo?.(); openPalette(); }} aria-label={narrow ? t("palette.open") : undefined}>
              <CommandIcon aria-hidden />
              {!narrow && <><span className="truncate spacer">{t("palette.title")}</span><KeysText keys="mod+k" /></>}
            </button>
          </Tooltip>
        </li>
        {list(true)}
      </ul>
    </nav>
  );
}

function Banner() {
  const t = useText(common);
  const state = useConnection();
  useEffect(() => onReturn(() => toast(t("state.back"), "ok")), [t]);
  return (
    <div role="alert" className={s.bannerPlace}>
      {state === "unreachable" && (
        <div className={s.banner}>
          <PlugZap aria-hidden />
          <span>{rich(t("state.unreachable"), code)}</span>
          <Button small onClick={() => void connection.look()}>{t("state.look_now")}</Button>
        </div>
      )}
    </div>
  );
}

function Locked() {
  const t = useText(common);
  useEffect(() => {
    document.title = "VX11";
  }, []);
  return (
    <div className={s.locked}>
      <KeyRound aria-hidden />
      <h1>{t("state.locked")}</h1>
      <p>{rich(t("state.locked_text"), code)}</p>
    </div>
  );
}

export function Layout({ children }: { children: ReactNode }) {
  const t = useText(common);
  const [p, set] = usePreferences();
  const [drawer, setDrawer] = useState(false);
  const [path] = useLocation();
  const state = useConnection();
  const main = useRef<HTMLElement>(null);
  const screen = path.split("/")[1] ?? "";
  const before = useRef(screen);
  useEffect(() => {
    setDrawer(false);
    if (before.current !== screen) main.current?.focus();
    before.current = screen;
  }, [screen]);
  const narrow = p.navigation === "narrow";
  const known = screens.find((x) => x.name === screen);
  return (
    <div className={cx(s.layout, narrow && s.layoutNarrow)}>
      <a className={s.skip} href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>{t("nav.skip")}</a>
      <header className={s.top}>
        <IconButton icon={MenuIcon} label={t("nav.open")} onClick={() => setDrawer(true)} aria-expanded={drawer} />
        <span className={s.brand}>VX11</span>
        <span className="truncate soft">{known && t(`screen.${known.name}`)}</span>
        <span className="spacer" />
        <PaletteButton />
      </header>
      <header className={s.side}>
        <div className={s.sideHead}>
          {!narrow && <span className={s.brand}><img src="/assets/icon.svg" alt="" width="20" height="20" /> VX11</span>}
          <span className="spacer" />
          <IconButton small icon={narrow ? PanelLeftOpen : PanelLeftClose} label={narrow ? t("nav.widen") : t("nav.narrow")} onClick={() => set({ navigation: narrow ? "open" : "narrow" })} />
        </div>
        <Nav narrow={narrow} />
      </header>
      <Dialog open={drawer} onClose={() => setDrawer(false)} title="VX11" side="left" bare>
        <div className={s.drawer}><Nav narrow={false} onGo={() => setDrawer(false)} /></div>
      </Dialog>
      <main ref={main} id="main" tabIndex={-1} className={s.main}>
        <Banner />
        {state === "locked" ? <Locked /> : children}
      </main>
    </div>
  );
}

function PaletteButton() {
  const t = useText(common);
  const { openPalette } = useCommandsContext();
  return <IconButton icon={CommandIcon} label={t("palette.open")} onClick={openPalette} />;
}
