// A server that speaks Anthropic's messages as the real one does: it refuses what that refuses, and answers by what it was asked:
// a call of a tool when there are tools, JSON when a schema is asked for, else the last words of the user, said back.
import { listen, need, only, Refused, sleep } from "./server.mjs";

export const KEY = "sk-ant-test";
const FIELDS = ["model", "max_tokens", "messages", "system", "stop_sequences", "stream", "temperature", "top_p", "top_k", "tools", "tool_choice", "thinking", "metadata", "output_config", "service_tier", "cache_control", "container", "inference_geo", "speed"];
const COUNT_FIELDS = ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"];

function textBlock(b, at) {
  only(b, ["type", "text", "cache_control", "citations"], at);
  need(typeof b.text === "string", `${at}.text: Field required`);
  need(b.text.length > 0, `${at}: text content blocks must be non-empty`);
}
function source(s, at, types) {
  need(types.includes(s?.type), `${at}.type: Input tag '${s?.type}' does not match`);
  if (s.type === "base64") { only(s, ["type", "media_type", "data"], at); need(/^[A-Za-z0-9+/]+=*$/.test(s.data), `${at}.data: invalid base64`); }
  if (s.type === "url") { only(s, ["type", "url"], at); need(/^https?:/.test(s.url), `${at}.url: Only HTTP URLs are supported`); }
}
function block(b, role, at, pending) {
  switch (b?.type) {
    case "text": return textBlock(b, at);
    case "image": need(role === "user", `${at}: image blocks are not permitted here`); only(b, ["type", "source", "cache_control"], at); return source(b.source, `${at}.source`, ["base64", "url", "file"]);
    case "document": need(role === "user", `${at}: not permitted`); only(b, ["type", "source", "title", "context", "citations", "cache_control"], at); return source(b.source, `${at}.source`, ["base64", "url", "text", "content"]);
    case "thinking": need(role === "assistant", `${at}: not permitted`); only(b, ["type", "thinking", "signature"], at); return need(b.signature === "signed", `${at}: Invalid \`signature\` in \`thinking\` block`);
    case "redacted_thinking": need(role === "assistant", `${at}: not permitted`); return only(b, ["type", "data"], at);
    case "tool_use":
      need(role === "assistant", `${at}: \`tool_use\` blocks can only be in \`assistant\` messages`);
      only(b, ["type", "id", "name", "input", "cache_control"], at);
      need(/^[a-zA-Z0-9_-]+$/.test(b.id), `${at}.id: String should match pattern '^[a-zA-Z0-9_-]+$'`);
      need(b.input !== null && typeof b.input === "object" && !Array.isArray(b.input), `${at}.input: Input should be a valid dictionary`);
      pending.add(b.id);
      return;
    case "tool_result":
      need(role === "user", `${at}: \`tool_result\` blocks can only be in \`user\` messages`);
      only(b, ["type", "tool_use_id", "content", "is_error", "cache_control"], at);
      need(pending.delete(b.tool_use_id), `${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${b.tool_use_id}`);
      if (Array.isArray(b.content)) b.content.forEach((c, i) => block(c, "user", `${at}.content.${i}`, pending));
      else need(b.content === undefined || typeof b.content === "string", `${at}.content: Input should be a valid string`);
      return;
    default: throw new Refused(400, "invalid_request_error", `${at}: Input tag '${b?.type}' found using 'type' does not match any of the expected tags`);
  }
}
function check(q, fields) {
  only(q, fields, "body");
  need(typeof q.model === "string", "model: Field required");
  if (!q.model.startsWith("claude-test")) throw new Refused(404, "not_found_error", `model: ${q.model}`);
  need(Array.isArray(q.messages) && q.messages.length > 0, "messages: at least one message is required");
  let pending = new Set();
  q.messages.forEach((m, i) => {
    only(m, ["role", "content"], `messages.${i}`);
    need(["user", "assistant"].includes(m.role), `messages.${i}.role: Input should be 'user' or 'assistant'`);
    if (typeof m.content === "string") { need(m.content.length > 0 || i === q.messages.length - 1, `messages.${i}: all messages must have non-empty content`); }
    else {
      need(Array.isArray(m.content) && m.content.length > 0, `messages.${i}.content: at least one block`);
      m.content.forEach((b, k) => block(b, m.role, `messages.${i}.content.${k}`, pending));
    }
    if (m.role === "user") { need(pending.size === 0, `messages.${i}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${[...pending]}`); }
  });
  need(q.messages[0].role === "user", "messages: first message must use the \"user\" role");
  const last = q.messages.at(-1);
  if (last.role === "assistant") { const t = typeof last.content === "string" ? last.content : last.content.at(-1).text; need(t === undefined || !/\s$/.test(t), "messages: final assistant content cannot end with trailing whitespace"); }
  if (Array.isArray(q.system)) q.system.forEach((b, i) => textBlock(b, `system.${i}`));
  else need(q.system === undefined || typeof q.system === "string", "system: Input should be a valid string");
  q.tools?.forEach((t, i) => {
    only(t, ["name", "description", "input_schema", "type", "cache_control", "strict"], `tools.${i}`);
    need(/^[a-zA-Z0-9_-]{1,128}$/.test(t.name), `tools.${i}.name: String should match pattern`);
    need(t.input_schema?.type === "object", `tools.${i}.input_schema.type: Field required`);
  });
  if (q.tool_choice) {
    only(q.tool_choice, ["type", "name", "disable_parallel_tool_use"], "tool_choice");
    need(["auto", "any", "tool", "none"].includes(q.tool_choice.type), "tool_choice: unknown type");
    need(q.tools?.length > 0, "tool_choice may only be specified while providing tools");
  }
  if (q.output_config) { only(q.output_config, ["effort", "format"], "output_config"); if (q.output_config.format) need(q.output_config.format.type === "json_schema" && typeof q.output_config.format.schema === "object", "output_config.format: bad"); }
}
function checkAnswer(q) {
  need(Number.isInteger(q.max_tokens) && q.max_tokens > 0, "max_tokens: Field required");
  need(q.temperature === undefined || (q.temperature >= 0 && q.temperature <= 1), "temperature: range: 0..1");
  need(q.stop_sequences === undefined || q.stop_sequences.every((s) => typeof s === "string" && s.trim() !== ""), "stop_sequences: each stop sequence must contain non-whitespace");
  if (q.metadata) only(q.metadata, ["user_id"], "metadata");
}

const words = (content) => (typeof content === "string" ? content : content.filter((b) => b.type === "text").map((b) => b.text).join(" "));
function answer(q) {
  const last = q.messages.at(-1), results = Array.isArray(last.content) ? last.content.filter((b) => b.type === "tool_result") : [];
  const content = [];
  if (q.thinking && q.thinking.type !== "disabled") content.push({ type: "thinking", thinking: "Let me think.", signature: "signed" });
  let stop = "end_turn", sequence = null;
  if (results.length > 0) content.push({ type: "text", text: `The tool said ${results.map((r) => (typeof r.content === "string" ? r.content : words(r.content ?? []))).join(", ")}.` });
  else if (q.tools && q.tool_choice?.type !== "none") { content.push({ type: "text", text: "I look it up." }, { type: "tool_use", id: "toolu_1", name: q.tools[0].name, input: { city: "Paris" } }); stop = "tool_use"; }
  else if (q.output_config?.format) content.push({ type: "text", text: "{\"city\":\"Paris\"}" });
  else {
    let text = `You said: ${words(last.content)}`;
    const met = (q.stop_sequences ?? []).find((s) => text.includes(s));
    if (met) { text = text.slice(0, text.indexOf(met)); stop = "stop_sequence"; sequence = met; }
    if (q.max_tokens < 3) { text = text.slice(0, 4); stop = "max_tokens"; }
    content.push({ type: "text", text });
  }
  return { id: "msg_test", type: "message", role: "assistant", model: q.model, content, stop_reason: stop, stop_sequence: sequence, usage: { input_tokens: 20, cache_creation_input_tokens: 0, cache_read_input_tokens: 5, output_tokens: 9 } };
}

async function stream(res, m, fault) {
  const send = (e) => res.write(`event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`);
  res.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  send({ type: "message_start", message: { ...m, content: [], stop_reason: null, stop_sequence: null, usage: { ...m.usage, output_tokens: 1 } } });
  send({ type: "ping" });
  for (const [index, b] of m.content.entries()) {
    const empty = { text: { type: "text", text: "" }, thinking: { type: "thinking", thinking: "", signature: "" }, tool_use: { ...b, input: {} } }[b.type];
    send({ type: "content_block_start", index, content_block: empty });
    const whole = b.type === "tool_use" ? JSON.stringify(b.input) : (b.text ?? b.thinking);
    for (const piece of whole.match(/.{1,5}/gs) ?? []) {
      send({ type: "content_block_delta", index, delta: b.type === "text" ? { type: "text_delta", text: piece } : b.type === "thinking" ? { type: "thinking_delta", thinking: piece } : { type: "input_json_delta", partial_json: piece } });
      if (fault.cut) { await sleep(50); return res.destroy(); } // what was sent must get through first
      if (fault.error) { send({ type: "error", error: fault.error }); return res.end(); }
      if (fault.stall) await Promise.race([sleep(fault.stall), new Promise((resolve) => res.once("close", resolve))]);
      if (res.destroyed) return undefined;
    }
    if (b.type === "thinking") send({ type: "content_block_delta", index, delta: { type: "signature_delta", signature: b.signature } });
    send({ type: "content_block_stop", index });
  }
  send({ type: "message_delta", delta: { stop_reason: m.stop_reason, stop_sequence: m.stop_sequence }, usage: { output_tokens: m.usage.output_tokens } });
  send({ type: "message_stop" });
  return res.end();
}

export const startAnthropic = () => listen({
  shape: (e) => ({ type: "error", error: { type: e.type, message: e.message }, request_id: "req_test" }),
  answer: async (r, res, fault) => {
    if (r.headers["x-api-key"] !== KEY) throw new Refused(401, "authentication_error", "invalid x-api-key");
    need(r.headers["anthropic-version"] === "2023-06-01", "anthropic-version: header is required");
    if (r.method === "GET" && r.path.startsWith("/v1/models")) return { data: [{ type: "model", id: "claude-test-1", display_name: "Test", created_at: "2026-01-01T00:00:00Z" }], has_more: false, first_id: "claude-test-1", last_id: "claude-test-1" };
    if (r.path === "/v1/messages/count_tokens") { check(r.body, COUNT_FIELDS); return { input_tokens: 42 }; }
    if (r.path !== "/v1/messages" || r.method !== "POST") throw new Refused(404, "not_found_error", "Not found");
    check(r.body, FIELDS);
    checkAnswer(r.body);
    const m = answer(r.body);
    if (!r.body.stream) return m;
    await stream(res, m, fault);
    return undefined;
  },
});
