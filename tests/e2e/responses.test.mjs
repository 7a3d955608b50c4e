// The openai package's responses against VX11: by a local model, by a server of OpenAI's (asked by its chat) and by one of Anthropic's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
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
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.token, maxRetries: 0 });
});
after(async () => { await system?.stop(); await claude?.stop(); await gpt?.stop(); });

const REMOTE = ["claude-test-1", "gpt-test"];
const weather = { type: "function", name: "get_weather", description: "The weather of a city", strict: true, parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false } };

test("a local model answers and it is accounted for", async () => {
  const { data, response } = await client.responses.create({ model: "vx11-guide", input: "Which port is switch on?", temperature: 0, metadata: { a: "b" } }).withResponse();
  assert.equal(data.output_text.trim(), "switch listens on port 8002.");
  assert.equal(data.object, "response");
  assert.equal(data.status, "completed");
  assert.equal(data.store, false);
  assert.deepEqual(data.metadata, { a: "b" });
  assert.equal(data.usage.total_tokens, data.usage.input_tokens + data.usage.output_tokens);
  const row = await eventually(() => queryOne(system.home, `SELECT route, outcome, completion_tokens FROM decision WHERE request_id = '${response.headers.get("x-request-id")}'`));
  assert.deepEqual(row, { route: "responses", outcome: "ok", completion_tokens: data.usage.output_tokens });
});

test("a local model streams, each event in its place", async () => {
  const types = [], numbers = [];
  const stream = client.responses.stream({ model: "vx11-guide", input: [{ role: "user", content: "Which port is switch on?" }], temperature: 0 });
  stream.on("event", (e) => { types.push(e.type); numbers.push(e.sequence_number); });
  const final = await stream.finalResponse();
  assert.equal(final.output_text.trim(), "switch listens on port 8002.");
  assert.deepEqual(numbers, numbers.map((_, i) => i));
  assert.deepEqual(types.slice(0, 4), ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]);
  assert.deepEqual(types.slice(-4), ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]);
  assert.ok(types.filter((t) => t === "response.output_text.delta").length > 3, "in pieces");
  assert.ok(final.usage.output_tokens > 3);
});

test("an answer that is cut off is incomplete", async () => {
  const whole = await client.responses.create({ model: "vx11-guide", input: "Count from 1 to 9.", temperature: 0, max_output_tokens: 3 });
  assert.equal(whole.status, "incomplete");
  assert.equal(whole.incomplete_details.reason, "max_output_tokens");
  const final = await client.responses.stream({ model: "vx11-guide", input: "Count from 1 to 9.", temperature: 0, max_output_tokens: 3 }).finalResponse();
  assert.equal(final.status, "incomplete");
});

test("a local model remembers the conversation it is given", async () => {
  const reply = await client.responses.create({ model: "vx11-guide", temperature: 0, input: [{ role: "user", content: "My name is Clara." }, { type: "message", role: "assistant", content: [{ type: "output_text", text: "Nice to meet you, Clara.", annotations: [] }] }, { role: "user", content: [{ type: "input_text", text: "What is my name?" }] }] });
  assert.match(reply.output_text, /Clara/);
});

test("a local model keeps to a schema", async () => {
  const Port = z.object({ port: z.number().int() });
  const reply = await client.responses.parse({ model: "vx11-guide", input: "Which port is switch on?", temperature: 0, text: { format: zodTextFormat(Port, "port") } });
  assert.equal(typeof reply.output_parsed.port, "number");
});

for (const model of REMOTE) {
  test(`${model} answers, whole and streamed`, async () => {
    const whole = await client.responses.create({ model, instructions: "Be kind.", input: "hello" });
    assert.equal(whole.output_text, "You said: hello");
    assert.equal(whole.usage.input_tokens, model === "gpt-test" ? 20 : 25);
    assert.equal(whole.usage.input_tokens_details.cached_tokens, 5);
    const final = await client.responses.stream({ model, input: "hello there" }).finalResponse();
    assert.equal(final.output_text, "You said: hello there");
    assert.equal(final.usage.output_tokens, 9);
  });

  test(`${model} calls a function and hears its result, whole and streamed`, async () => {
    for (const streamed of [false, true]) {
      const first = { model, input: [{ role: "user", content: "Weather in Paris?" }], tools: [weather], tool_choice: "required", parallel_tool_calls: false };
      const reply = streamed ? await client.responses.stream(first).finalResponse() : await client.responses.create(first);
      const call = reply.output.find((i) => i.type === "function_call");
      assert.equal(call.name, "get_weather");
      assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
      const answer = await client.responses.create({ model, tools: [weather], input: [...first.input, ...reply.output, { type: "function_call_output", call_id: call.call_id, output: "sunny" }] });
      assert.equal(answer.output_text, "The tool said sunny.");
    }
  });

  test(`${model} keeps to a schema`, async () => {
    const reply = await client.responses.parse({ model, input: "Where?", text: { format: zodTextFormat(z.object({ city: z.string() }), "place") } });
    assert.deepEqual(reply.output_parsed, { city: "Paris" });
  });

  test(`${model}: an abort reaches the provider`, async () => {
    const upstream = model === "gpt-test" ? gpt : claude;
    upstream.clear();
    upstream.fault({ stall: 5000 });
    const stream = await client.responses.create({ model, input: "a long answer, please, in many pieces", stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
    await eventually(() => upstream.left > 0, 5000);
  });

  test(`${model}: a stream that breaks ends with response.failed`, async () => {
    const upstream = model === "gpt-test" ? gpt : claude;
    upstream.fault({ cut: true });
    let last;
    for await (const event of await client.responses.create({ model, input: "hello there", stream: true })) last = event;
    assert.equal(last.type, "response.failed");
    assert.equal(last.response.status, "failed");
    assert.equal(last.response.error.code, "server_error");
  });
}

test("a server of Anthropic's thinks when it is told to", async () => {
  const reply = await client.responses.create({ model: "claude-test-1", input: "hello", reasoning: { effort: "high" } });
  assert.equal(reply.output[0].type, "reasoning");
  assert.equal(reply.output[0].content[0].text, "Let me think.");
  assert.equal(claude.last().body.output_config.effort, "high");
  const again = await client.responses.create({ model: "claude-test-1", input: [{ role: "user", content: "hello" }, ...reply.output, { role: "user", content: "more" }] });
  assert.equal(again.output_text, "You said: more");
});

test("what would have to be kept is refused, with its name", async () => {
  const refused = (param) => (e) => { assert.ok(e instanceof OpenAI.BadRequestError, `${e}`); assert.equal(e.code, "unsupported"); assert.equal(e.param, param); return true; };
  const ask = (more) => client.responses.create({ model: "vx11-guide", input: "x", ...more });
  await assert.rejects(ask({ store: true }), refused("/store"));
  await assert.rejects(ask({ previous_response_id: "resp_1" }), refused("/previous_response_id"));
  await assert.rejects(ask({ background: true }), refused("/background"));
  await assert.rejects(ask({ conversation: "conv_1" }), refused("/conversation"));
  await assert.rejects(ask({ tools: [{ type: "web_search" }] }), refused("/tools/0/type"));
  await assert.rejects(client.responses.retrieve("resp_1"), OpenAI.NotFoundError);
});

test("errors are the package's own classes", async () => {
  await assert.rejects(client.responses.create({ model: "nobody-has-this", input: "x" }), OpenAI.NotFoundError);
  await assert.rejects(new OpenAI({ baseURL: `${system.url}/v1`, apiKey: "wrong", maxRetries: 0 }).responses.create({ input: "x" }), OpenAI.AuthenticationError);
  gpt.fault({ status: 429, type: "rate_limit", headers: { "retry-after": "1" } });
  await assert.rejects(client.responses.create({ model: "gpt-test", input: "x" }), OpenAI.RateLimitError);
});
