/* What can be done with a session: change, delete, save as a file, branch. */
import { useCallback } from "react";
import { useQueryClient } from "@tanstack/react-query";
import { useLocation } from "wouter";
import { useText } from "../../i18n";
import { call, callRaw } from "../../lib/api";
import { toast, useConfirm, useErrorText } from "../../ui";
import { sessionPut } from "./data";
import type { Session } from "./data";
import { draftKeep } from "./drafts";
import { text } from "./text";

export function useSessionChange(): (id: string, change: { title?: string; model?: string; pinned?: boolean }) => void {
  const client = useQueryClient();
  const errorText = useErrorText();
  return useCallback((id, change) => {
    call("operator.sessions_change", { params: { id }, body: change }).then((x) => sessionPut(client, x), (e: unknown) => toast(errorText(e), "bad"));
  // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [client]);
}

export function useRemove(onGone: (id: string) => void): (session: Session) => Promise<void> {
  const t = useText(text);
  const client = useQueryClient();
  const confirm = useConfirm();
  const errorText = useErrorText();
  return async (session) => {
    const yes = await confirm({ title: t("delete.title"), text: t("delete.text", { title: session.title, count: session.message_count }), action: t("delete.action"), bad: true });
    if (!yes) return;
    try {
      await call("operator.sessions_delete", { params: { id: session.id } });
      draftKeep(session.id, "");
      onGone(session.id);
      client.removeQueries({ queryKey: ["chat.messages", session.id] });
      toast(t("delete.done"), "ok");
    } catch (e) {
      toast(errorText(e), "bad");
    }
    void client.invalidateQueries({ queryKey: ["chat.sessions"] });
    void client.invalidateQueries({ queryKey: ["chat.hits"] });
  };
}

export function useExport(): (session: Session, format: "markdown" | "json") => Promise<void> {
  const errorText = useErrorText();
  return async (session, format) => {
    try {
      const reply = await callRaw("operator.sessions_export", { params: { id: session.id, format } });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await reply.blob());
      const name = session.title.normalize("NFC").replace(/[^\p{L}\p{N} ._-]+/gu, " ").trim().slice(0, 80) || session.id;
      link.download = `${name}.${format === "json" ? "json" : "md"}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (e) {
      toast(errorText(e), "bad");
    }
  };
}

export function useBranch(): (sessionId: string, messageId: string) => Promise<void> {
  const t = useText(text);
  const client = useQueryClient();
  const errorText = useErrorText();
  const [, go] = useLocation();
  return async (sessionId, messageId) => {
    try {
      const session = await call("operator.sessions_branch", { params: { id: sessionId }, body: { message_id: messageId } });
      void client.invalidateQueries({ queryKey: ["chat.sessions"] });
      toast(t("branch.done"), "ok");
      go(`/chat/${session.id}`);
    } catch (e) {
      toast(errorText(e), "bad");
    }
  };
}
