// The @anthropic-ai/sdk package, as its users have it: base URL and key, nothing else. Every behaviour by a local model, by a server of
// Anthropic's and by one of OpenAI's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { eventually, queryOne, startSystem } from "./system.mjs";
import { KEY as ANTHROPIC_KEY, startAnthropic } from "./upstream/anthropic.mjs";
import { KEY as OPENAI_KEY, startOpenAI } from "./upstream/openai.mjs";

let system, client, claude, gpt;
before(async () => {
  [claude, gpt] = await Promise.all([startAnthropic(), startOpenAI()]);
  system = await startSystem({
    env: { TEST_ANTHROPIC_KEY: ANTHROPIC_KEY, TEST_OPENAI_KEY: OPENAI_KEY },
    config: `switch:
  retries: 0
  breaker_threshold: 1000
  providers:
    - {name: local, kind: local}
    - {name: claude, kind: anthropic, base_url: "${claude.url}", key_env: TEST_ANTHROPIC_KEY}
    - {name: gpt, kind: openai, preset: openai, base_url: "${gpt.url}", key_env: TEST_OPENAI_KEY}
`,
  });
  client = new Anthropic({ baseURL: system.url, apiKey: system.token, authToken: null, maxRetries: 0 });
});
after(async () => { await system?.stop(); await claude?.stop(); await gpt?.stop(); });

const REMOTE = ["claude-test-1", "gpt-test"];
const ask = (model, content, more = {}) => ({ model, max_tokens: 64, messages: [{ role: "user", content }], ...more });
const guide = (content, more = {}) => ask("vx11-guide", content, { temperature: 0, ...more });
const read = (usage) => usage.input_tokens + (usage.cache_read_input_tokens ?? 0); // by then some is in the cache
const weather = { name: "get_weather", description: "The weather of a city", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };

test("a local model answers and it is accounted for", async () => {
  const { data, response } = await client.messages.create(guide("Which port is switch on?")).withResponse();
  assert.equal(data.type, "message");
  assert.equal(data.role, "assistant");
  assert.match(data.id, /^msg_/);
  assert.equal(data.content[0].text.trim(), "switch listens on port 8002.");
  assert.equal(data.stop_reason, "end_turn");
  assert.ok(read(data.usage) > 5 && data.usage.output_tokens > 3);
  assert.equal(response.headers.get("x-vx11-provider"), "local");
  const row = await eventually(() => queryOne(system.home, `SELECT route, outcome, completion_tokens FROM decision WHERE request_id = '${response.headers.get("x-request-id")}'`));
  assert.deepEqual(row, { route: "messages", outcome: "ok", completion_tokens: data.usage.output_tokens });
});

test("a local model streams", async () => {
  const events = [];
  const stream = client.messages.stream(guide("Which port is switch on?"));
  stream.on("streamEvent", (e) => events.push(e.type));
  const message = await stream.finalMessage();
  assert.equal(message.content[0].text.trim(), "switch listens on port 8002.");
  assert.equal(message.stop_reason, "end_turn");
  assert.ok(read(message.usage) > 5 && message.usage.output_tokens > 3);
  assert.equal(events[0], "message_start");
  assert.ok(events.filter((e) => e === "content_block_delta").length > 3, "in pieces");
  assert.deepEqual(events.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
});

test("a local model heeds system, max_tokens, a prefilled answer and stop sequences", async () => {
  const cut = await client.messages.create(guide("Count from 1 to 9.", { max_tokens: 3 }));
  assert.equal(cut.stop_reason, "max_tokens");
  assert.equal(cut.usage.output_tokens, 3);
  const stopped = await client.messages.create(guide("Count from 1 to 9.", { stop_sequences: ["5"] }));
  assert.ok(stopped.content[0].text.includes("4") && !stopped.content[0].text.includes("5"));
  assert.equal(stopped.stop_reason, "stop_sequence");
  assert.equal(stopped.stop_sequence, "5");
  const streamed = await client.messages.stream(guide("Count from 1 to 9.", { stop_sequences: ["7", "5"] })).finalMessage();
  assert.deepEqual([streamed.stop_reason, streamed.stop_sequence], ["stop_sequence", "5"]);
  const named = await client.messages.create({ model: "vx11-guide", max_tokens: 32, temperature: 0, messages: [{ role: "user", content: "My name is Clara." }, { role: "assistant", content: [{ type: "text", text: "Nice to meet you, Clara." }] }, { role: "user", content: [{ type: "text", text: "What is my name?" }] }] });
  assert.match(named.content[0].text, /Clara/);
});

test("a local model counts tokens with its own tokenizer", async () => {
  const { data, response } = await client.messages.countTokens({ model: "vx11-guide", messages: [{ role: "user", content: "Which port is switch on?" }] }).withResponse();
  const answer = await client.messages.create(guide("Which port is switch on?"));
  assert.equal(data.input_tokens, read(answer.usage));
  assert.equal(response.headers.get("x-vx11-estimated"), null);
});

test("a local model keeps to a schema", async () => {
  const reply = await client.messages.create(guide("Which port is switch on?", { max_tokens: 200, output_config: { format: { type: "json_schema", schema: { type: "object", properties: { port: { type: "integer" } }, required: ["port"], additionalProperties: false } } } }));
  assert.equal(typeof JSON.parse(reply.content[0].text).port, "number");
});

for (const model of REMOTE) {
  test(`${model} answers, with usage`, async () => {
    const reply = await client.messages.create(ask(model, "hello", { system: [{ type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } }] }));
    assert.equal(reply.content[0].text, "You said: hello");
    assert.equal(reply.usage.output_tokens, 9);
    assert.equal(reply.usage.cache_read_input_tokens, 5);
    assert.equal(reply.usage.input_tokens, model === "gpt-test" ? 15 : 20);
  });

  test(`${model} streams`, async () => {
    const message = await client.messages.stream(ask(model, "hello there")).finalMessage();
    assert.equal(message.content[0].text, "You said: hello there");
    assert.equal(message.stop_reason, "end_turn");
    assert.equal(message.usage.output_tokens, 9);
  });

  test(`${model} calls a tool and hears its result, whole and streamed`, async () => {
    for (const streamed of [false, true]) {
      const first = ask(model, "Weather in Paris?", { tools: [weather], tool_choice: { type: "any", disable_parallel_tool_use: true } });
      const call = streamed ? await client.messages.stream(first).finalMessage() : await client.messages.create(first);
      assert.equal(call.stop_reason, "tool_use");
      const use = call.content.find((b) => b.type === "tool_use");
      assert.equal(use.name, "get_weather");
      assert.deepEqual(use.input, { city: "Paris" });
      const second = { model, max_tokens: 64, tools: [weather], messages: [...first.messages, { role: "assistant", content: call.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: [{ type: "text", text: "sunny" }] }] }] };
      const answer = await client.messages.create(second);
      assert.equal(answer.content[0].text, "The tool said sunny.");
    }
  });

  test(`${model} keeps to a schema`, async () => {
    const reply = await client.messages.create(ask(model, "Where?", { output_config: { format: { type: "json_schema", schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false } } } }));
    assert.deepEqual(JSON.parse(reply.content[0].text), { city: "Paris" });
  });

  test(`${model} sees images`, async () => {
    const reply = await client.messages.create(ask(model, [{ type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } }, { type: "text", text: "what?" }]));
    assert.equal(reply.content[0].text, "You said: what?");
  });

  test(`${model}: an abort reaches the provider`, async () => {
    const upstream = model === "gpt-test" ? gpt : claude;
    upstream.clear();
    upstream.fault({ stall: 5000 });
    const stream = await client.messages.create(ask(model, "a long answer, please, in many pieces", { stream: true }));
    for await (const event of stream) if (event.type === "content_block_delta") break;
    await eventually(() => upstream.left > 0, 5000);
    await eventually(() => queryOne(system.home, "SELECT id FROM decision WHERE outcome = 'cancelled' AND route = 'messages'"));
  });

  test(`${model}: a stream that breaks ends with an error`, async () => {
    const upstream = model === "gpt-test" ? gpt : claude;
    for (const fault of [{ cut: true }, { error: { type: "overloaded_error", message: "Overloaded" } }]) {
      upstream.fault(fault);
      await assert.rejects(async () => { for await (const _ of await client.messages.create(ask(model, "hello there", { stream: true }))); }, (e) => e instanceof Anthropic.APIError && e.type === "api_error");
    }
  });
}

test("thoughts go both ways with their signatures", async () => {
  const first = ask("claude-test-1", "Weather in Paris?", { max_tokens: 4096, thinking: { type: "enabled", budget_tokens: 1024 }, tools: [weather] });
  for (const streamed of [false, true]) {
    const call = streamed ? await client.messages.stream(first).finalMessage() : await client.messages.create(first);
    assert.deepEqual(call.content[0], { type: "thinking", thinking: "Let me think.", signature: "signed" });
    const use = call.content.find((b) => b.type === "tool_use");
    const answer = await client.messages.create({ ...first, messages: [...first.messages, { role: "assistant", content: call.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "sunny" }] }] });
    assert.match(answer.content.at(-1).text, /sunny/);
  }
});

test("another model's thoughts, which nobody signed, are not shown to a server of Anthropic's", async () => {
  const said = [{ type: "thinking", thinking: "hm", signature: "" }, { type: "text", text: "Good day." }];
  await client.messages.create({ model: "claude-test-1", max_tokens: 64, messages: [{ role: "user", content: "hello" }, { role: "assistant", content: said }, { role: "user", content: "more" }] });
  assert.deepEqual(claude.last().body.messages[1].content, [said[1]]);
});

test("usage that a provider does not tell is estimated", async () => {
  for (const streamed of [false, true]) {
    gpt.fault({ mute: true });
    const q = ask("gpt-test", "a question of some length, so that there is something to count");
    const reply = streamed ? await client.messages.stream(q).finalMessage() : await client.messages.create(q);
    assert.ok(reply.usage.input_tokens > 5 && reply.usage.output_tokens > 5, JSON.stringify(reply.usage));
  }
  await eventually(() => queryOne(system.home, "SELECT n FROM (SELECT COUNT(*) AS n FROM usage WHERE estimated = 1) WHERE n >= 2"));
});

test("what is said in Anthropic's words reaches a server of Anthropic's as it was said", async () => {
  claude.clear();
  const q = ask("claude-test-1", [{ type: "text", text: "hi", cache_control: { type: "ephemeral" } }], { stop_sequences: ["END"], top_k: 3, metadata: { user_id: "u1" } });
  const reply = await client.messages.create(q, { headers: { "anthropic-beta": "new-thing-2026" } });
  assert.equal(reply.stop_reason, "end_turn");
  assert.deepEqual(claude.last().body, q);
  assert.equal(claude.last().headers["anthropic-beta"], "new-thing-2026");
  const stopped = await client.messages.create(ask("claude-test-1", "one END two", { stop_sequences: ["END"] }));
  assert.equal(stopped.stop_reason, "stop_sequence");
  assert.equal(stopped.stop_sequence, "END");
  assert.equal(claude.last().headers["x-vx11-principal"], undefined);
});

test("tokens are counted by the provider, or estimated and said to be", async () => {
  const q = { messages: [{ role: "user", content: "How long is this?" }], system: "s", tools: [weather] };
  assert.equal((await client.messages.countTokens({ model: "claude-test-1", ...q })).input_tokens, 42);
  const { data, response } = await client.messages.countTokens({ model: "gpt-test", ...q }).withResponse();
  assert.ok(data.input_tokens > 10);
  assert.equal(response.headers.get("x-vx11-estimated"), "true");
});

test("errors are the package's own classes", async () => {
  const is = (Class, type) => (e) => { assert.ok(e instanceof Class, `${e.constructor.name}: ${e.message}`); assert.equal(e.type, type); return true; };
  await assert.rejects(client.messages.create(ask("nobody-has-this", "x")), is(Anthropic.NotFoundError, "not_found_error"));
  await assert.rejects(new Anthropic({ baseURL: system.url, apiKey: "vx11_wrong", authToken: null, maxRetries: 0 }).messages.create(guide("x")), is(Anthropic.AuthenticationError, "authentication_error"));
  await assert.rejects(client.messages.create(guide([{ type: "container_upload", file_id: "f" }])), (e) => is(Anthropic.BadRequestError, "invalid_request_error")(e) && e.error.error.param === "/messages/0/content/0/type" && e.error.error.code === "unsupported");
  await assert.rejects(client.messages.create(guide("x", { tools: [{ type: "web_search_20250305", name: "web_search" }] })), (e) => is(Anthropic.BadRequestError, "invalid_request_error")(e) && e.error.error.param === "/tools/0/type");
  await assert.rejects(client.messages.create({ model: "vx11-guide", messages: [] }), (e) => e.status === 422 && e.type === "invalid_request_error");
  claude.fault({ status: 400, type: "invalid_request_error", message: "prompt is too long" });
  await assert.rejects(client.messages.create(ask("claude-test-1", "x")), (e) => is(Anthropic.BadRequestError, "invalid_request_error")(e) && /prompt is too long/.test(e.message));
  claude.fault({ status: 500 });
  await assert.rejects(client.messages.create(ask("claude-test-1", "x")), (e) => e.status === 502 && e.type === "api_error");
  claude.fault({ status: 401 });
  await assert.rejects(client.messages.create(ask("claude-test-1", "x")), (e) => e.status === 502 && e.error.error.code === "provider_refused_key");
  claude.fault({ status: 529, type: "overloaded_error", message: "Overloaded" });
  await assert.rejects(client.messages.create(ask("claude-test-1", "x")), (e) => e.status === 503 && e.type === "overloaded_error");
});

test("the package tries again after 503, and heeds Retry-After", async () => {
  const patient = new Anthropic({ baseURL: system.url, apiKey: system.token, authToken: null, maxRetries: 2 });
  claude.clear();
  claude.fault({ status: 529, type: "overloaded_error", headers: { "retry-after": "1" } });
  const began = Date.now();
  const reply = await patient.messages.create(ask("claude-test-1", "again"));
  assert.equal(reply.content[0].text, "You said: again");
  assert.ok(Date.now() - began >= 900, "waited as long as it was told to");
});

test("a client that gives up in time is told so by its package", async () => {
  claude.clear();
  claude.fault({ wait: 3000 });
  await assert.rejects(client.messages.create(ask("claude-test-1", "x"), { timeout: 300 }), Anthropic.APIConnectionTimeoutError);
  await eventually(() => claude.left > 0, 5000);
});

test("x-api-key and a bearer token are the same", async () => {
  const bearer = new Anthropic({ baseURL: system.url, authToken: system.token, apiKey: null, maxRetries: 0 });
  assert.equal((await bearer.messages.create(guide("Which port is switch on?"))).content[0].text.trim(), "switch listens on port 8002.");
  const models = [];
  for await (const m of client.models.list()) models.push(m.id);
  assert.ok(models.includes("vx11-guide") && models.includes("claude-test-1"));
});

test("fields that are not heeded are named", async () => {
  const { response } = await client.messages.create(guide("Which port is switch on?", { service_tier: "auto" })).withResponse();
  assert.equal(response.headers.get("x-vx11-ignored"), "service_tier");
});

test("a prompt that is to stay on the machine is not even counted elsewhere", async () => {
  claude.clear();
  const q = { model: "claude-test-1", messages: [{ role: "user", content: "secret" }] }, stay = { headers: { "x-vx11-privacy": "local_only" } };
  await assert.rejects(client.messages.countTokens(q, stay), (e) => e.status === 403);
  await assert.rejects(client.messages.create({ ...q, max_tokens: 5 }, stay), (e) => e.status === 403);
  assert.equal(claude.requests.filter((r) => r.method === "POST").length, 0);
});

test("429 is the package's own class, with Retry-After", async () => {
  claude.clear();
  claude.fault({ status: 429, type: "rate_limit_error", headers: { "retry-after": "1" } });
  await assert.rejects(client.messages.create(ask("claude-test-1", "x")), (e) => e instanceof Anthropic.RateLimitError && e.type === "rate_limit_error" && e.headers.get("retry-after") === "1");
  // It is left alone for as long as it asked.
  await assert.rejects(client.messages.create(ask("claude-test-1", "x")), Anthropic.RateLimitError);
  assert.equal(claude.requests.filter((r) => r.method === "POST").length, 1);
});
