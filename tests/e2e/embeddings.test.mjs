// The openai package's embeddings: it asks for base64 by default and turns it into numbers again.
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

const model = "vx11-guide";
const embed = (input, more = {}) => client.embeddings.create({ model, input, ...more });
const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
const cosine = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0) / (length(a) * length(b));
const refused = (promise, status, code, text) => assert.rejects(promise, (e) => {
  assert.equal(e.status, status);
  assert.equal(e.code, code);
  assert.match(e.message, text);
  return true;
});

test("embeds a text, in base64 behind the scenes and in numbers when asked", async () => {
  const { data, response } = await embed("Which port is switch on?").withResponse();
  const numbers = await embed("Which port is switch on?", { encoding_format: "float" });
  assert.equal(data.object, "list");
  assert.equal(data.model, model);
  assert.equal(data.data.length, 1);
  assert.equal(data.data[0].object, "embedding");
  assert.equal(data.data[0].embedding.length, 256);
  assert.ok(Math.abs(length(data.data[0].embedding) - 1) < 1e-5);
  data.data[0].embedding.forEach((x, i) => assert.equal(Math.fround(numbers.data[0].embedding[i]), x)); // nothing was lost on either way
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens);
  assert.ok(data.usage.prompt_tokens > 3);
  const id = response.headers.get("x-request-id");
  const row = await eventually(() => queryOne(system.home, `SELECT * FROM decision WHERE request_id = '${id}'`));
  assert.equal(row.route, "embeddings");
  assert.equal(row.outcome, "ok");
  assert.equal(row.prompt_tokens, data.usage.prompt_tokens);
  assert.equal(row.completion_tokens, null);
});

test("embeds many at once, in order, and the same text alike", async () => {
  const texts = ["Which port is switch on?", "time after time", "Which port is hermes on?", "time after time"];
  const { data } = await embed(texts);
  assert.deepEqual(data.map((d) => d.index), [0, 1, 2, 3]);
  assert.ok(cosine(data[1].embedding, data[3].embedding) > 0.9999);
  assert.ok(cosine(data[0].embedding, data[2].embedding) > cosine(data[0].embedding, data[1].embedding));
  const alone = await embed(texts[2]);
  assert.ok(cosine(alone.data[0].embedding, data[2].embedding) > 0.999);
});

test("embeds tokens", async () => {
  const { data, usage } = await embed([[5, 6, 7], [8, 9]]);
  assert.equal(data.length, 2);
  assert.equal(usage.prompt_tokens, 5);
  const one = await embed([5, 6, 7]);
  assert.equal(one.usage.prompt_tokens, 3);
  assert.ok(cosine(one.data[0].embedding, data[0].embedding) > 0.999);
});

test("cuts to the dimensions that were asked for", async () => {
  const whole = (await embed("a")).data[0].embedding, cut = (await embed("a", { dimensions: 16 })).data[0].embedding;
  assert.equal(cut.length, 16);
  assert.ok(Math.abs(length(cut) - 1) < 1e-5);
  assert.ok(cosine(cut, whole.slice(0, 16)) > 0.99999);
});

test("refuses by name", async () => {
  await refused(embed(""), 400, "invalid_value", /empty/);
  await refused(embed([]), 400, "invalid_value", /empty/);
  await refused(embed([1, 99999]), 400, "invalid_value", /0 to 2047/);
  await refused(embed("a", { dimensions: 300 }), 400, "invalid_value", /256 numbers, not 300/);
  await refused(embed("word and another ".repeat(2000)), 400, "context_length_exceeded", /the most is 2048/);
  await refused(embed(Array(2049).fill("a")), 400, "invalid_value", /2048 inputs, not 2049/);
  await refused(client.embeddings.create({ model: "no-such-model", input: "a" }), 404, "model_not_found", /no model/);
});

test("keeps a chat flowing meanwhile", async () => {
  const many = embed(Array(300).fill("The front door authenticates every request and routes it to the right module."));
  const chat = await client.chat.completions.create({ model, temperature: 0, messages: [{ role: "user", content: "Which port is switch on?" }] });
  assert.equal(chat.choices[0].message.content.trim(), "switch listens on port 8002.");
  assert.equal((await many).data.length, 300);
});

test("tells what the model can", async () => {
  const one = await client.models.retrieve(model);
  assert.deepEqual(one.capabilities, ["chat", "completion", "embeddings"]);
});
