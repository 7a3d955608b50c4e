/* A file on its way to the server. XMLHttpRequest, for fetch does not tell how far it has come. */
import type { OperatorFile } from "../../api";
import { ApiError, urlOf } from "../../lib/api";
import { connection } from "../../lib/connection";

export interface Upload {
  key: string;
  name: string;
  bytes: number;
  kind: OperatorFile["kind"];
  /** Share of it that was sent. */
  sent: number;
  file: OperatorFile | null;
  error: string | null;
  abort: AbortController;
}

export function upload(file: Blob, name: string, sessionId: string | null, signal: AbortSignal, onSent: (share: number) => void): Promise<OperatorFile> {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open("POST", urlOf("operator.files_add", { name, ...(sessionId && { session_id: sessionId }) }));
    x.setRequestHeader("content-type", file.type || "application/octet-stream");
    x.responseType = "json";
    let drawn = 0;
    x.upload.onprogress = (e) => {
      const now = performance.now();
      if (!e.lengthComputable || now - drawn < 80) return;
      drawn = now;
      onSent(e.loaded / e.total);
    };
    x.onload = () => {
      connection.heard(x.status);
      if (x.status === 201) return resolve(x.response as OperatorFile);
      const body = (x.response as { error?: { message: string; code: string | null; request_id: string | null } } | null)?.error;
      reject(new ApiError(body?.message ?? `HTTP ${x.status}`, x.status, body?.code ?? "error", null, body?.request_id ?? null));
    };
    x.onerror = () => {
      connection.lost();
      reject(new ApiError("the server does not answer", 0, "unreachable"));
    };
    x.onabort = () => reject(new DOMException("aborted", "AbortError"));
    signal.addEventListener("abort", () => x.abort());
    x.send(file);
  });
}
