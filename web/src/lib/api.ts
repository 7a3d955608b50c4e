/* The typed way to the server: every call is one of the contract's routes, by its id, at its own relative path.
 *
 *   call("hermes.models_get", { params: { name } })     a promise of the reply
 *   useApi("switch.decisions", { params: { limit: 50 } }) the same as a query of TanStack's
 *   useAct("hermes.models_remove")                       as a mutation
 *
 * What fails is an ApiError. 401 locks the page, silence marks the server unreachable (connection.ts). */
import { useMutation, useQuery } from "@tanstack/react-query";
import type { UseMutationOptions, UseQueryOptions } from "@tanstack/react-query";
import { routes } from "../api";
import type { RouteTypes } from "../api";
import { connection } from "./connection";

export type RouteId = keyof typeof routes;
export type Params<R extends RouteId> = RouteTypes[R]["params"];
export type Body<R extends RouteId> = RouteTypes[R]["request"];
export type Reply<R extends RouteId> = RouteTypes[R]["response"];

/* A field whose type is undefined, or whose members are all optional, may be left out. */
type Field<K extends string, T> = [T] extends [undefined] ? { [P in K]?: undefined } : object extends T ? { [P in K]?: T } : { [P in K]: T };
export type Input<R extends RouteId> = Field<"params", Params<R>> & Field<"body", Body<R>>;
export interface CallOptions {
  signal?: AbortSignal | undefined;
  headers?: Record<string, string>;
}
type Args<R extends RouteId> = object extends Input<R> ? [options?: Input<R> & CallOptions] : [options: Input<R> & CallOptions];

/** What the server (or the way to it) refused, and why. status 0: it did not answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly param: string | null = null,
    readonly requestId: string | null = null,
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
  /** It may well go better the next time. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502;
  }
}

export function isAbort(e: unknown): boolean {
  return e instanceof DOMException && e.name === "AbortError";
}

/** The address of a route with its parameters filled in; what is no placeholder becomes the query. */
export function urlOf<R extends RouteId>(id: R, params?: Params<R>): string {
  const query = new URLSearchParams();
  const left = new Map<string, string | number | boolean | readonly string[] | null | undefined>(Object.entries(params ?? {}));
  const path = routes[id].path.replace(/\{([^}*]+)(\*?)\}/g, (_, name: string, rest: string) => {
    const value = left.get(name);
    left.delete(name);
    if (typeof value !== "string" && typeof value !== "number") throw new TypeError(`${id}: ${name} is missing`);
    return rest ? String(value).split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
  for (const [name, value] of left) {
    if (value === undefined || value === null || value === "") continue;
    query.set(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function errorOf(reply: Response): Promise<ApiError> {
  const after = Number(reply.headers.get("retry-after"));
  const retry = Number.isFinite(after) && after > 0 ? after * 1000 : null;
  const id = reply.headers.get("x-request-id");
  try {
    const { error } = (await reply.json()) as { error: { message: string; code: string | null; param?: string | null; request_id?: string | null } };
    return new ApiError(error.message, reply.status, error.code ?? "error", error.param ?? null, error.request_id ?? id, retry);
  } catch {
    return new ApiError(`HTTP ${reply.status}`, reply.status, "http_error", null, id, retry);
  }
}

/** The raw reply of a route: for streams and files. Throws ApiError like call(). */
export async function callRaw<R extends RouteId>(id: R, options: { params?: Params<R>; body?: unknown } & CallOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json", ...options.headers };
  let body: BodyInit | undefined;
  if (options.body instanceof Blob) {
    body = options.body;
  } else if (options.body !== undefined) {
    body = JSON.stringify(options.body);
    headers["content-type"] = "application/json";
  }
  let reply: Response;
  try {
    reply = await fetch(urlOf(id, options.params as Params<R>), {
      method: routes[id].method, headers, body: body ?? null, signal: options.signal ?? null, credentials: "same-origin", cache: "no-store",
    });
  } catch (e) {
    if (isAbort(e)) throw e;
    connection.lost();
    throw new ApiError("the server does not answer", 0, "unreachable");
  }
  connection.heard(reply.status);
  if (!reply.ok) throw await errorOf(reply);
  return reply;
}

export async function call<R extends RouteId>(id: R, ...[options]: Args<R>): Promise<Reply<R>> {
  const reply = await callRaw(id, (options ?? {}) as { params?: Params<R>; body?: unknown } & CallOptions);
  if (reply.status === 204) return undefined;
  try {
    return (await reply.json()) as Reply<R>;
  } catch (e) {
    if (isAbort(e)) throw e;
    throw new ApiError("the server's answer was cut off", 0, "cut_off");
  }
}

/** The key under which useApi keeps a reply; keyOf(id) alone matches the route with any parameters. */
export function keyOf<R extends RouteId>(id: R, params?: Params<R>): readonly unknown[] {
  return params === undefined ? [id] : [id, params];
}

type QueryArgs<R extends RouteId, T> = Field<"params", Params<R>> & Omit<UseQueryOptions<Reply<R>, ApiError, T>, "queryKey" | "queryFn">;

/** A GET route (or a POST that only reads, with body) as a query. */
export function useApi<R extends RouteId, T = Reply<R>>(
  id: R,
  ...[options]: object extends Field<"params", Params<R>> ? [options?: QueryArgs<R, T>] : [options: QueryArgs<R, T>]
) {
  const { params, ...rest } = (options ?? {}) as { params?: Params<R> } & Omit<UseQueryOptions<Reply<R>, ApiError, T>, "queryKey" | "queryFn">;
  return useQuery<Reply<R>, ApiError, T>({
    ...rest,
    queryKey: keyOf(id, params),
    queryFn: async ({ signal }) => (await (await callRaw(id, { params: params as Params<R>, signal })).json()) as Reply<R>,
  });
}

/** A route that changes something, as a mutation: mutate({ params, body }). */
export function useAct<R extends RouteId>(id: R, options?: Omit<UseMutationOptions<Reply<R>, ApiError, Input<R>>, "mutationFn">) {
  return useMutation<Reply<R>, ApiError, Input<R>>({
    ...options,
    mutationFn: (input) => (call as (id: R, input: Input<R>) => Promise<Reply<R>>)(id, input),
  });
}
