// Tools, forms and histories through Link, Switch and an engine, with the openai package. The guide model knows no tools: what it
// calls is what the grammar makes it, and that it is sound JSON is what is looked at.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startSystem } from "./system.mjs";

let system, client;
before(async () => {
  system = await startSystem();
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.token, maxRetries: 0 });
});
after(() => system?.stop());

const tool = (name) => ({
  type: "function",
  function: {
    name, description: "Looks something up.", strict: true,
    parameters: { type: "object", properties: { size: { type: "string", enum: ["small", "large"] }, deep: { type: "boolean" } }, required: ["size", "deep"], additionalProperties: false },
  },
});
const tools = [tool("look"), tool("list")];
const question = { role: "user", content: "Which port is switch on?" };
const ask = (more = {}) => ({ model: "vx11-guide", temperature: 0, max_tokens: 200, messages: [question], tools, ...more });

function checkArguments(text) {
  const args = JSON.parse(text);
  assert.ok(["small", "large"].includes(args.size));
  assert.equal(typeof args.deep, "boolean");
  assert.deepEqual(Object.keys(args).sort(), ["deep", "size"]);
}

test("calls a tool when it must", async () => {
  const reply = await client.chat.completions.create(ask({ tool_choice: "required", parallel_tool_calls: false }));
  const { message, finish_reason } = reply.choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.equal(message.content, null);
  assert.equal(message.tool_calls.length, 1);
  assert.equal(message.tool_calls[0].type, "function");
  assert.match(message.tool_calls[0].id, /^call_/);
  checkArguments(message.tool_calls[0].function.arguments);
});

test("calls the tool that is named", async () => {
  const reply = await client.chat.completions.create(ask({ tool_choice: { type: "function", function: { name: "list" } }, parallel_tool_calls: false }));
  assert.equal(reply.choices[0].message.tool_calls[0].function.name, "list");
});

test("streams calls that the package puts together", async () => {
  const stream = client.chat.completions.stream(ask({ tool_choice: "required", parallel_tool_calls: false, stream_options: { include_usage: true } }));
  let deltas = 0, whole = null;
  stream.on("tool_calls.function.arguments.delta", () => { deltas++; });
  stream.on("tool_calls.function.arguments.done", (call) => { whole = call; });
  const final = await stream.finalChatCompletion();
  assert.ok(deltas > 0);
  assert.equal(final.choices[0].finish_reason, "tool_calls");
  assert.equal(final.choices[0].message.content, null);
  checkArguments(final.choices[0].message.tool_calls[0].function.arguments);
  assert.equal(whole.arguments, final.choices[0].message.tool_calls[0].function.arguments);
  assert.ok(final.usage.completion_tokens > 0);
});

test("may call several at once, and gives several answers", async () => {
  // The model may go on to the end of its room: then the last call is cut, and said to be.
  const reply = await client.chat.completions.create(ask({ tool_choice: "required", n: 2, max_tokens: 300 }));
  assert.equal(reply.choices.length, 2);
  for (const { message, finish_reason } of reply.choices) {
    const ids = message.tool_calls.map((c) => c.id);
    assert.equal(new Set(ids).size, ids.length);
    const whole = finish_reason === "length" ? message.tool_calls.slice(0, -1) : message.tool_calls;
    for (const call of whole) checkArguments(call.function.arguments);
  }
});

test("answers in words when no tool may be called", async () => {
  const reply = await client.chat.completions.create(ask({ tool_choice: "none" }));
  assert.equal(reply.choices[0].message.tool_calls, undefined);
  assert.ok(reply.choices[0].message.content.length > 0);
});

test("goes on from calls and their results, cut ones too", async () => {
  const first = await client.chat.completions.create(ask({ tool_choice: "required", parallel_tool_calls: false }));
  const call = first.choices[0].message;
  const messages = [question, call, { role: "tool", tool_call_id: call.tool_calls[0].id, content: "switch listens on port 8002." }];
  const second = await client.chat.completions.create(ask({ messages, tool_choice: "none" }));
  assert.ok(second.choices[0].message.content.length > 0);
  const cut = structuredClone(messages);
  cut[1].tool_calls[0].function.arguments = '{"size": "sma';
  assert.ok((await client.chat.completions.create(ask({ messages: cut, tool_choice: "none" }))).choices.length === 1);
});

test("names the message that cannot be read", async () => {
  const messages = [question, { role: "tool", tool_call_id: "call_nobody", content: "x" }];
  await assert.rejects(client.chat.completions.create(ask({ messages })), (e) => e.status === 400 && e.param === "/messages/1/tool_call_id");
  await assert.rejects(client.chat.completions.create(ask({ tools: [{ type: "custom", custom: { name: "x" } }] })), (e) => e.status === 400 && e.code === "unsupported" && e.param === "/tools/0/type");
});

test("answers in the form of a schema", async () => {
  const schema = { type: "object", properties: { module: { type: "string", enum: ["link", "switch"] }, port: { type: "integer" } }, required: ["module", "port"], additionalProperties: false };
  const reply = await client.chat.completions.create({ ...ask(), tools: undefined, max_tokens: 60, response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema } } });
  const answer = JSON.parse(reply.choices[0].message.content);
  assert.ok(Number.isInteger(answer.port));
});

test("leaves out the oldest turns when that is asked for, and says so", async () => {
  const messages = [{ role: "system", content: "You answer questions about VX11." }];
  for (let i = 0; i < 80; i++) messages.push({ role: "user", content: `Question ${i}: what is the switch, what does it do, and which port is it on?` }, { role: "assistant", content: `Answer ${i}: the switch chooses a provider for each request and listens on port 8002.` });
  messages.push(question);
  const body = { model: "vx11-guide", temperature: 0, max_tokens: 40, messages };
  await assert.rejects(client.chat.completions.create(body), (e) => e.status === 400 && e.code === "context_length_exceeded");
  const { data, response } = await client.chat.completions.create({ ...body, context_overflow: "shift" }).withResponse();
  const { dropped_messages, dropped_tokens } = data.usage.context_shift;
  assert.ok(dropped_messages > 0 && dropped_tokens > 0);
  assert.equal(response.headers.get("x-vx11-context-shift"), `messages=${dropped_messages}; tokens=${dropped_tokens}`);
});
