// A server that speaks OpenAI's API as the real one does: strict about what it is sent. It answers by what it was asked: a call of a tool
// when there are tools, JSON when a format is asked for, else the last words of the user, said back.
import { listen, need, only, Refused, sleep } from "./server.mjs";

export const KEY = "sk-test";
const FIELDS = ["model", "messages", "stream", "stream_options", "temperature", "top_p", "max_completion_tokens", "max_tokens", "stop", "seed", "n", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "user", "metadata", "store"];

function part(p, role, at) {
  switch (p?.type) {
    case "text": only(p, ["type", "text"], at); return need(typeof p.text === "string", `Missing required parameter: '${at}.text'.`);
    case "image_url": only(p, ["type", "image_url"], at); need(role === "user", `Invalid value: 'image_url' at ${at}.`); only(p.image_url, ["url", "detail"], `${at}.image_url`); return need(/^(https?:|data:)/.test(p.image_url.url), "Invalid image URL");
    case "file": only(p, ["type", "file"], at); return need(role === "user" && p.file?.file_data?.startsWith("data:"), `Invalid file at ${at}`);
    case "refusal": return only(p, ["type", "refusal"], at);
    default: throw new Refused(400, "invalid_request_error", `Invalid value: '${p?.type}'. Supported values are: 'text', 'image_url'. (${at})`);
  }
}
function check(q) {
  only(q, FIELDS, "body");
  if (!["gpt-test", "embed-test"].includes(q.model)) throw new Refused(404, "invalid_request_error", `The model \`${q.model}\` does not exist or you do not have access to it.`);
  need(q.max_tokens === undefined, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.");
  need(Array.isArray(q.messages) && q.messages.length > 0, "Invalid 'messages': empty array.");
  let open = new Set();
  q.messages.forEach((m, i) => {
    const at = `messages[${i}]`, fields = { system: ["content", "name"], developer: ["content", "name"], user: ["content", "name"], assistant: ["content", "name", "tool_calls", "refusal", "function_call"], tool: ["content", "tool_call_id"] }[m.role];
    need(fields, `Invalid value: '${m.role}'. Supported values are: 'system', 'assistant', 'user', 'tool', and 'developer'.`);
    only(m, ["role", ...fields], at);
    if (m.role === "tool") need(open.delete(m.tool_call_id), `Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'. (${at})`);
    else need(open.size === 0, `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. (${at})`);
    if (Array.isArray(m.content)) { need(m.content.length > 0, `Invalid '${at}.content': empty array.`); m.content.forEach((p, k) => part(p, m.role, `${at}.content[${k}]`)); }
    else need(typeof m.content === "string" || (m.role === "assistant" && m.content == null && (m.tool_calls || m.function_call)), `Invalid value for '${at}.content': expected a string, got null.`);
    m.tool_calls?.forEach((c, k) => { only(c, ["id", "type", "function"], `${at}.tool_calls[${k}]`); need(c.type === "function" && typeof c.function?.arguments === "string", `Invalid type for '${at}.tool_calls[${k}].function.arguments'`); open.add(c.id); });
  });
  need(open.size === 0, "An assistant message with 'tool_calls' must be followed by tool messages");
  need(!q.stream_options || q.stream, "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  need(q.tools === undefined || q.tools.length > 0, "Invalid 'tools': empty array.");
  q.tools?.forEach((t, i) => { need(t.type === "function", `Invalid value: '${t.type}' (tools[${i}])`); only(t.function, ["name", "description", "parameters", "strict"], `tools[${i}].function`); });
  need(q.tool_choice === undefined || q.tools, "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.");
  need(q.parallel_tool_calls === undefined || q.tools, "Invalid value for 'parallel_tool_calls': only allowed when 'tools' are specified.");
  if (q.response_format) { need(["text", "json_object", "json_schema"].includes(q.response_format.type), "Invalid response_format"); if (q.response_format.type === "json_schema") { only(q.response_format.json_schema, ["name", "description", "schema", "strict"], "response_format.json_schema"); need(/^[a-zA-Z0-9_-]{1,64}$/.test(q.response_format.json_schema.name), "Invalid 'response_format.json_schema.name'"); } }
  need(q.stop === undefined || typeof q.stop === "string" || (q.stop.length >= 1 && q.stop.length <= 4), "Invalid 'stop': array too long.");
}

const words = (content) => (typeof content === "string" ? content : (content ?? []).filter((p) => p.type === "text").map((p) => p.text).join(" "));
function answer(q) {
  const last = q.messages.at(-1);
  const message = { role: "assistant", content: null, refusal: null };
  let finish = "stop";
  if (last.role === "tool") message.content = `The tool said ${words(last.content)}.`;
  else if (q.tools && q.tool_choice !== "none") { message.tool_calls = [{ id: "call_1", type: "function", function: { name: q.tools[0].function.name, arguments: "{\"city\":\"Paris\"}" } }]; finish = "tool_calls"; }
  else if (q.response_format && q.response_format.type !== "text") message.content = "{\"city\":\"Paris\"}";
  else message.content = `You said: ${words(last.content)}`;
  if (q.max_completion_tokens < 3) { message.content = message.content.slice(0, 4); finish = "length"; }
  return { id: "chatcmpl-test", object: "chat.completion", created: 1700000000, model: "gpt-test-2026", choices: [{ index: 0, message, logprobs: null, finish_reason: finish }], usage: { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29, prompt_tokens_details: { cached_tokens: 5 }, completion_tokens_details: { reasoning_tokens: 2 } }, system_fingerprint: "fp" };
}

async function stream(res, q, r, fault) {
  const base = { id: r.id, object: "chat.completion.chunk", created: r.created, model: r.model, system_fingerprint: "fp" };
  const send = (choices, usage) => res.write(`data: ${JSON.stringify({ ...base, choices, ...(q.stream_options?.include_usage ? { usage: usage ?? null } : {}) })}\n\n`);
  const { message, finish_reason } = r.choices[0];
  res.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  send([{ index: 0, delta: { role: "assistant", content: message.content === null ? null : "" }, finish_reason: null }]);
  for (const piece of message.content?.match(/.{1,5}/gs) ?? []) {
    send([{ index: 0, delta: { content: piece }, finish_reason: null }]);
    if (fault.cut) { await sleep(50); return res.destroy(); } // what was sent must get through first
    if (fault.error) { res.write(`data: ${JSON.stringify({ error: fault.error })}\n\n`); return res.end(); }
    if (fault.stall) await Promise.race([sleep(fault.stall), new Promise((resolve) => res.once("close", resolve))]);
    if (res.destroyed) return undefined;
  }
  for (const [index, c] of (message.tool_calls ?? []).entries()) {
    send([{ index: 0, delta: { tool_calls: [{ index, id: c.id, type: "function", function: { name: c.function.name, arguments: "" } }] }, finish_reason: null }]);
    for (const piece of c.function.arguments.match(/.{1,5}/gs)) send([{ index: 0, delta: { tool_calls: [{ index, function: { arguments: piece } }] }, finish_reason: null }]);
  }
  send([{ index: 0, delta: {}, finish_reason }]);
  if (q.stream_options?.include_usage && r.usage) send([], r.usage);
  res.write("data: [DONE]\n\n");
  return res.end();
}

export const startOpenAI = () => listen({
  shape: (e) => ({ error: { message: e.message, type: e.type, param: null, code: e.status === 404 ? "model_not_found" : e.status === 429 ? "rate_limit_exceeded" : null } }),
  answer: async (r, res, fault) => {
    if (r.headers.authorization !== `Bearer ${KEY}`) throw new Refused(401, "invalid_request_error", "Incorrect API key provided.");
    if (r.method === "GET" && r.path === "/v1/models") return { object: "list", data: [{ id: "gpt-test", object: "model", created: 1, owned_by: "test" }, { id: "embed-test", object: "model", created: 1, owned_by: "test" }] };
    if (r.method !== "POST") throw new Refused(404, "invalid_request_error", "Not found");
    if (r.path === "/v1/embeddings") {
      only(r.body, ["model", "input", "encoding_format", "dimensions", "user"], "body");
      const vector = [0.6, 0.8], inputs = [r.body.input].flat();
      const embedding = r.body.encoding_format === "base64" ? Buffer.from(new Float32Array(vector).buffer).toString("base64") : vector;
      return { object: "list", model: r.body.model, data: inputs.map((_, index) => ({ object: "embedding", index, embedding })), usage: { prompt_tokens: 4, total_tokens: 4 } };
    }
    if (r.path !== "/v1/chat/completions") throw new Refused(404, "invalid_request_error", "Not found");
    check(r.body);
    const out = answer(r.body);
    if (fault.mute) delete out.usage; // as many servers do
    if (!r.body.stream) return out;
    await stream(res, r.body, out, fault);
    return undefined;
  },
});
