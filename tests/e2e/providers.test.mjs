// The openai package's chats and embeddings, answered by servers outside: one that speaks OpenAI's API, one that speaks Anthropic's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { eventually, queryOne, startSystem } from "./system.mjs";
import { KEY as ANTHROPIC_KEY, startAnthropic } from "./upstream/anthropic.mjs";
import { KEY as OPENAI_KEY, startOpenAI } from "./upstream/openai.mjs";

let system, client, claude, gpt;
before(async () => {
  [claude, gpt] = await Promise.all([startAnthropic(), startOpenAI()]);
  system = await startSystem({
    env: { TEST_ANTHROPIC_KEY: ANTHROPIC_KEY, TEST_OPENAI_KEY: OPENAI_KEY, WRONG_KEY: "sk-wrong" },
    config: `switch:
  retries: 0
  breaker_threshold: 1000
  providers:
    - {name: local, kind: local}
    - {name: claude, kind: anthropic, base_url: "${claude.url}", key_env: TEST_ANTHROPIC_KEY, model_info: [{model: "*", max_output: 77}]}
    - {name: gpt, kind: openai, preset: openai, base_url: "${gpt.url}", key_env: TEST_OPENAI_KEY}
    - {name: locked, kind: anthropic, base_url: "${claude.url}", key_env: WRONG_KEY, models: [claude-test-locked]}
`,
  });
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.token, maxRetries: 0 });
});
after(async () => { await system?.stop(); await claude?.stop(); await gpt?.stop(); });

const REMOTE = ["claude-test-1", "gpt-test"];
const upstream = (model) => (model === "gpt-test" ? gpt : claude);
const ask = (model, content, more = {}) => ({ model, messages: [{ role: "user", content }], ...more });
const weather = { type: "function", function: { name: "get_weather", description: "The weather of a city", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } };

test("their models are listed", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  for (const id of ["vx11-guide", "claude-test-1", "claude/claude-test-1", "gpt-test", "embed-test"]) assert.ok(ids.includes(id), `${id} in ${ids}`);
  assert.deepEqual((await client.models.retrieve("claude/claude-test-1")).capabilities, ["chat"]);
});

for (const model of REMOTE) {
  test(`${model} answers a chat and is accounted for`, async () => {
    const { data, response } = await client.chat.completions.create(ask(model, "hello", { max_tokens: 50, temperature: 0.5 })).withResponse();
    assert.equal(data.choices[0].message.content, "You said: hello");
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.equal(data.usage.completion_tokens, 9);
    assert.equal(data.usage.prompt_tokens_details.cached_tokens, 5);
    const row = await eventually(() => queryOne(system.home, `SELECT d.provider, d.outcome, u.prompt_tokens, u.completion_tokens, u.cached_tokens FROM decision d JOIN usage u ON u.decision_id = d.id WHERE d.request_id = '${response.headers.get("x-request-id")}'`));
    assert.deepEqual(row, { provider: model === "gpt-test" ? "gpt" : "claude", outcome: "ok", prompt_tokens: model === "gpt-test" ? 20 : 25, completion_tokens: 9, cached_tokens: 5 });
  });

  test(`${model} streams a chat, with usage only where it was asked for`, async () => {
    for (const include_usage of [true, false]) {
      const stream = await client.chat.completions.create(ask(model, "hello there", { stream: true, stream_options: { include_usage } }));
      let text = "", usage = null, finish = null, chunks = 0;
      for await (const chunk of stream) {
        chunks++;
        text += chunk.choices[0]?.delta?.content ?? "";
        finish = chunk.choices[0]?.finish_reason ?? finish;
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, "You said: hello there");
      assert.equal(finish, "stop");
      assert.ok(chunks > 4);
      assert.equal(usage?.completion_tokens, include_usage ? 9 : undefined);
    }
  });

  test(`${model} calls tools, whole and streamed`, async () => {
    const first = ask(model, "Weather in Paris?", { tools: [weather], tool_choice: "required", parallel_tool_calls: false });
    const whole = await client.chat.completions.create(first);
    const streamed = await client.chat.completions.stream(first).finalChatCompletion();
    for (const reply of [whole, streamed]) {
      assert.equal(reply.choices[0].finish_reason, "tool_calls");
      const call = reply.choices[0].message.tool_calls[0];
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
      const answer = await client.chat.completions.create({ model, tools: [weather], messages: [...first.messages, { role: "assistant", content: null, tool_calls: reply.choices[0].message.tool_calls.map(({ id, type, function: f }) => ({ id, type, function: { name: f.name, arguments: f.arguments } })) }, { role: "tool", tool_call_id: call.id, content: "sunny" }] });
      assert.equal(answer.choices[0].message.content, "The tool said sunny.");
    }
  });

  test(`${model} keeps to a schema`, async () => {
    const reply = await client.chat.completions.parse(ask(model, "Where?", { response_format: zodResponseFormat(z.object({ city: z.string() }), "place") }));
    assert.deepEqual(reply.choices[0].message.parsed, { city: "Paris" });
  });

  test(`${model}: errors`, async () => {
    const u = upstream(model), fails = (fault, check) => { u.fault(fault); return assert.rejects(client.chat.completions.create(ask(model, "x")), check); };
    await fails({ status: 400, message: "prompt is too long" }, (e) => e instanceof OpenAI.BadRequestError && /prompt is too long/.test(e.message));
    await fails({ status: 401 }, (e) => e.status === 502 && e.code === "provider_refused_key");
    await fails({ status: 404 }, (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
    await fails({ status: 500 }, (e) => e.status === 502 && e.code === "upstream_error");
    if (model === "claude-test-1") await fails({ status: 529, type: "overloaded_error", message: "Overloaded" }, (e) => e.status === 503 && e.code === "upstream_unavailable");
  });

  test(`${model}: 429 carries Retry-After, and the package waits and asks again`, async () => {
    const u = upstream(model);
    u.fault({ status: 429, headers: { "retry-after": "1" } });
    await assert.rejects(client.chat.completions.create(ask(model, "x")), (e) => e instanceof OpenAI.RateLimitError && e.headers.get("retry-after") === "1");
    const patient = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.token, maxRetries: 3 });
    const began = Date.now(); // it rests still
    assert.equal((await patient.chat.completions.create(ask(model, "again"))).choices[0].message.content, "You said: again");
    assert.ok(Date.now() - began >= 300, "at once");
  });

  test(`${model}: an abort reaches the provider`, async () => {
    const u = upstream(model);
    u.clear();
    u.fault({ stall: 5000 });
    const stream = await client.chat.completions.create(ask(model, "a long answer, please, in many pieces", { stream: true }));
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
    await eventually(() => u.left > 0, 5000);
    u.clear();
    u.fault({ wait: 3000 });
    await assert.rejects(client.chat.completions.create(ask(model, "x"), { timeout: 300 }), OpenAI.APIConnectionTimeoutError);
    await eventually(() => u.left > 0, 5000);
  });

  test(`${model}: a stream that breaks ends with an error`, async () => {
    for (const fault of [{ cut: true }, { error: { type: "overloaded_error", message: "Overloaded" } }]) {
      upstream(model).fault(fault);
      await assert.rejects(async () => { for await (const _ of await client.chat.completions.create(ask(model, "hello there", { stream: true }))); }, OpenAI.APIError);
    }
  });
}

test("each server is asked as it wants to be", async () => {
  await client.chat.completions.create(ask("gpt-test", "hello", { max_tokens: 50 }));
  assert.equal(gpt.last().body.max_completion_tokens, 50);
  assert.equal(gpt.last().body.max_tokens, undefined);
  await client.chat.completions.create(ask("claude-test-1", "hello", { stop: "END" }));
  assert.deepEqual(claude.last().body, { model: "claude-test-1", max_tokens: 77, stop_sequences: ["END"], messages: [{ role: "user", content: [{ type: "text", text: "hello" }] }] });
  assert.equal(claude.last().headers.authorization, undefined);
});

test("what Anthropic's API cannot do is refused with a sentence, or done by another", async () => {
  await assert.rejects(client.chat.completions.create(ask("claude-test-1", "x", { n: 2 })), (e) => e instanceof OpenAI.BadRequestError && e.code === "unsupported_by_provider" && /n above 1/.test(e.message));
  await assert.rejects(client.chat.completions.create(ask("claude-test-1", "x", { response_format: { type: "json_object" } })), OpenAI.BadRequestError);
  await assert.rejects(client.embeddings.create({ model: "claude-test-1", input: "x" }), OpenAI.BadRequestError);
});

test("thoughts of a server of Anthropic's", async () => {
  const reply = await client.chat.completions.create(ask("claude-test-1", "hello", { reasoning_effort: "low" }));
  const { message } = reply.choices[0];
  assert.equal(message.reasoning_content, "Let me think.");
  assert.deepEqual(message.thinking_blocks, [{ type: "thinking", thinking: "Let me think.", signature: "signed" }]);
  const again = await client.chat.completions.create({ model: "claude-test-1", messages: [{ role: "user", content: "hello" }, message, { role: "user", content: "more" }] });
  assert.equal(again.choices[0].message.content, "You said: more");
});

test("a wrong key is the provider's trouble, not the caller's", async () => {
  await assert.rejects(client.chat.completions.create(ask("claude-test-locked", "x")), (e) => e.status === 502 && e.code === "provider_refused_key");
});

test("embeddings", async () => {
  const reply = await client.embeddings.create({ model: "embed-test", input: ["a", "b"] });
  assert.equal(reply.data.length, 2);
  assert.ok(Math.abs(reply.data[1].embedding[1] - 0.8) < 1e-6);
});
