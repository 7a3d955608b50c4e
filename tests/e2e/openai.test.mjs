// The openai package, as its users have it: base URL and key, nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { eventually, queryOne, startSystem } from "./system.mjs";

let system, client;
before(async () => {
  system = await startSystem();
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.token, maxRetries: 0 });
});
after(() => system?.stop());

const ask = (content, more = {}) => ({ model: "vx11-guide", temperature: 0, messages: [{ role: "user", content }], ...more });

test("lists the models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.deepEqual(ids, ["vx11-guide"]);
  assert.equal((await client.models.retrieve("vx11-guide")).owned_by, "local");
});

test("answers a chat and accounts for it", async () => {
  const { data, response } = await client.chat.completions.create(ask("Which port is switch on?")).withResponse();
  assert.equal(data.choices[0].message.content.trim(), "switch listens on port 8002.");
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
  assert.equal(response.headers.get("x-vx11-provider"), "local");
  const id = response.headers.get("x-request-id");
  const row = await eventually(() => queryOne(system.home, `SELECT d.*, u.completion_tokens AS used FROM decision d JOIN usage u ON u.decision_id = d.id WHERE d.request_id = '${id}'`));
  assert.equal(row.outcome, "ok");
  assert.equal(row.provider, "local");
  assert.equal(row.model, "vx11-guide");
  assert.equal(row.prompt_tokens, data.usage.prompt_tokens);
  assert.equal(row.used, data.usage.completion_tokens);
});

test("streams a chat, token by token, with usage", async () => {
  const stream = await client.chat.completions.create(ask("Which port is switch on?", { stream: true, stream_options: { include_usage: true } }));
  let text = "", pieces = 0, usage = null, finish = null;
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta?.content ?? "";
    pieces += piece !== "";
    text += piece;
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text.trim(), "switch listens on port 8002.");
  assert.ok(pieces > 3, `only ${pieces} pieces`);
  assert.equal(finish, "stop");
  assert.ok(usage.completion_tokens > 3);
});

test("sends no usage chunk that was not asked for", async () => {
  const stream = await client.chat.completions.create(ask("Which port is hermes on?", { stream: true }));
  for await (const chunk of stream) {
    assert.ok(chunk.choices.length > 0);
    assert.ok(!chunk.usage);
  }
});

test("remembers the conversation it is given", async () => {
  const reply = await client.chat.completions.create({
    model: "vx11-guide", temperature: 0,
    messages: [{ role: "user", content: "My name is Clara." }, { role: "assistant", content: "Nice to meet you, Clara." }, { role: "user", content: "What is my name?" }],
  });
  assert.match(reply.choices[0].message.content, /Clara/);
});

test("completes a bare prompt", async () => {
  const reply = await client.completions.create({ model: "vx11-guide", prompt: "<|im_start|>user\nWhich port is madre on?<|im_end|>\n<|im_start|>assistant\n", temperature: 0, max_tokens: 32 });
  assert.match(reply.choices[0].text, /8001/);
});

test("stops at a stop string and at max_tokens", async () => {
  const stopped = await client.chat.completions.create(ask("Count from 1 to 9.", { stop: ["5"] }));
  assert.ok(stopped.choices[0].message.content.includes("4"));
  assert.ok(!stopped.choices[0].message.content.includes("5"));
  assert.equal(stopped.choices[0].finish_reason, "stop");
  const cut = await client.chat.completions.create(ask("Count from 1 to 9.", { max_tokens: 3 }));
  assert.equal(cut.choices[0].finish_reason, "length");
  assert.equal(cut.usage.completion_tokens, 3);
});

test("gives log probabilities and several choices", async () => {
  const reply = await client.chat.completions.create(ask("Which port is switch on?", { n: 2, logprobs: true, top_logprobs: 3 }));
  assert.equal(reply.choices.length, 2);
  for (const choice of reply.choices) {
    const first = choice.logprobs.content[0];
    assert.ok(first.logprob <= 0);
    assert.equal(first.top_logprobs.length, 3);
    assert.ok(first.top_logprobs[0].logprob >= first.top_logprobs[1].logprob);
  }
});

test("an aborted stream is recorded as cancelled and the next request works", async () => {
  const stream = await client.chat.completions.create(ask("Count from 1 to 9.", { stream: true }));
  const id = await new Promise((resolve, reject) => {
    (async () => {
      for await (const chunk of stream) { resolve(chunk.id); stream.controller.abort(); break; }
    })().catch(reject);
  });
  assert.ok(id);
  await eventually(() => queryOne(system.home, "SELECT id FROM decision WHERE outcome IN ('cancelled', 'ok') AND stream = 1"));
  const next = await client.chat.completions.create(ask("Which port is switch on?"));
  assert.match(next.choices[0].message.content, /8002/);
});

test("errors are the package's own classes", async () => {
  await assert.rejects(client.chat.completions.create(ask("x", { model: "vx11-guid" })), (e) => {
    assert.ok(e instanceof OpenAI.NotFoundError, `${e}`);
    assert.match(e.message, /vx11-guide/);
    assert.equal(e.code, "model_not_found");
    return true;
  });
  await assert.rejects(new OpenAI({ baseURL: `${system.url}/v1`, apiKey: "wrong", maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
  await assert.rejects(client.chat.completions.create({ model: "vx11-guide", messages: "hello" }), (e) => e.status === 422 && e.param === "/messages");
  await assert.rejects(client.chat.completions.create(ask("word ".repeat(4000))), (e) => {
    assert.equal(e.status, 400);
    assert.equal(e.code, "context_length_exceeded");
    assert.match(e.message, /2048/);
    return true;
  });
});
