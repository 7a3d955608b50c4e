/* Chat: the sessions beside, the conversation in the middle. /chat begins a new one, /chat/ID goes on, /chat/ID/MESSAGE shows that message. */
import { useCallback, useEffect, useState } from "react";
import { useLocation, useRoute } from "wouter";
import { MessageSquarePlus, Search } from "lucide-react";
import { useCommands } from "../../app/commands";
import { useText } from "../../i18n";
import { Dialog } from "../../ui";
import { Conversation } from "./Conversation";
import { SessionList } from "./SessionList";
import { text } from "./text";
import s from "./chat.module.css";

const WIDE = "(min-width: 64rem)";
function useWide(): boolean {
  const [wide, set] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const m = matchMedia(WIDE);
    const f = () => set(m.matches);
    m.addEventListener("change", f);
    return () => m.removeEventListener("change", f);
  }, []);
  return wide;
}

export default function Chat() {
  const t = useText(text);
  const [, go] = useLocation();
  const [, params] = useRoute("/chat/:id?/:message?");
  const id = params?.id ?? null;
  const wide = useWide();
  const [open, setOpen] = useState(false);
  const [fresh, setFresh] = useState(0);
  useEffect(() => setOpen(false), [id]);
  const begin = useCallback(() => {
    setOpen(false);
    setFresh((n) => n + 1);
    go("/chat");
  }, [go]);
  const find = useCallback(() => {
    if (!wide) setOpen(true);
    setTimeout(() => document.querySelector<HTMLInputElement>("[data-session-search] input")?.focus(), wide ? 0 : 80);
  }, [wide]);
  useCommands(() => [
    { id: "chat.new", label: t("new"), icon: MessageSquarePlus, keys: "n", words: "session conversation sesión conversación", run: begin },
    { id: "chat.find", label: t("search"), icon: Search, keys: "/", run: find },
  ], [t, begin, find]);
  const list = <SessionList current={id} onNew={begin} onGone={(gone) => { if (gone === id) go("/chat", { replace: true }); }} onPick={() => setOpen(false)} />;
  return (
    <div className={s.chat}>
      {wide ? <aside className={s.list} aria-label={t("sessions")}>{list}</aside> : (
        <Dialog open={open} onClose={() => setOpen(false)} title={t("sessions")} side="left" bare>
          <div className={s.drawer}>{list}</div>
        </Dialog>
      )}
      <Conversation key={id ?? `new-${fresh}`} id={id} message={params?.message ?? null} onList={wide ? null : () => setOpen(true)} onNew={begin} />
    </div>
  );
}
