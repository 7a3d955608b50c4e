// Structured output with the openai package: what a schema says is what comes, by a checker of its own (ajv).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startSystem } from "./system.mjs";

let system, client;
before(async () => {
  system = await startSystem();
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: system.token, maxRetries: 0 });
});
after(() => system?.stop());

const ajv = new Ajv2020({ strict: false, allErrors: true, multipleOfPrecision: 9 });
addFormats.default(ajv);

const format = (schema, strict = true) => ({ type: "json_schema", json_schema: { name: "answer", strict, schema } });
const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const ask = (response_format, more = {}) => client.chat.completions.create({
  model: "vx11-guide", temperature: 1, max_tokens: 300, messages: [{ role: "user", content: "Tell me about switch, as JSON." }], response_format, ...more,
});

// Each keyword that is accepted, at temperature 1.
const kinds = {
  integer: { type: "integer", minimum: -5, maximum: 130 },
  number: { type: "number", exclusiveMinimum: 0, maximum: 9.75 },
  multiple: { type: "integer", multipleOf: 7, minimum: 0 },
  cents: { type: "number", multipleOf: 0.25, minimum: 0, maximum: 100 },
  text: { type: "string", maxLength: 20 },
  pattern: { type: "string", pattern: "^[A-Z]{2}\\d{1,3}(-\\w+)?$" },
  choice: { type: "string", enum: ["été", "€ 5", "日本", "a\"b\\c"] },
  fixed: { const: { deep: ["value", 1, null] } },
  nullable: { type: ["boolean", "null"] },
  either: { anyOf: [{ type: "integer", minimum: 0, maximum: 9 }, object({ x: { type: "boolean" } })] },
  list: { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 3 },
  "date-time": { type: "string", format: "date-time" }, date: { type: "string", format: "date" }, time: { type: "string", format: "time" },
  duration: { type: "string", format: "duration" }, email: { type: "string", format: "email" }, hostname: { type: "string", format: "hostname" },
  ipv4: { type: "string", format: "ipv4" }, ipv6: { type: "string", format: "ipv6" }, uuid: { type: "string", format: "uuid" },
  "schlüssel \"q\"": { type: "null" },
};

for (const [name, schema] of Object.entries(kinds)) {
  test(`keeps ${name}`, async () => {
    const whole = object({ [name]: schema });
    const check = ajv.compile(whole);
    for (const seed of [1, 2]) {
      const reply = await ask(format(whole), { seed, n: 2 });
      for (const choice of reply.choices) {
        if (choice.finish_reason !== "stop") { assert.equal(choice.finish_reason, "length"); continue; }
        const value = JSON.parse(choice.message.content);
        assert.ok(check(value), `${choice.message.content}: ${ajv.errorsText(check.errors)}`);
      }
    }
  });
}

test("parses into a zod type", async () => {
  const Service = z.object({ name: z.string().max(20), port: z.number().int().min(1).max(65535), kind: z.enum(["door", "engine", "store"]), tags: z.array(z.string().max(8)).max(3) });
  const reply = await client.chat.completions.parse({
    model: "vx11-guide", temperature: 0, messages: [{ role: "user", content: "Which port is switch on?" }], response_format: zodResponseFormat(Service, "service"),
  });
  const value = reply.choices[0].message.parsed;
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.deepEqual(Service.parse(value), value);
});

test("follows a schema that refers to itself, in a stream", async () => {
  const tree = object({ value: { enum: [1, 2, 3] }, children: { type: "array", maxItems: 2, items: { $ref: "#" } } });
  const check = ajv.compile(tree);
  const stream = await ask(format(tree), { stream: true, seed: 5, max_tokens: 800 });
  let text = "", finish = null, pieces = 0;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    pieces++;
  }
  assert.ok(pieces > 3);
  if (finish === "stop") assert.ok(check(JSON.parse(text)), text);
});

test("gives any JSON object", async () => {
  let ended = 0;
  for (const seed of [1, 2, 3, 4]) {
    const reply = await ask({ type: "json_object" }, { seed });
    if (reply.choices[0].finish_reason !== "stop") continue;
    const value = JSON.parse(reply.choices[0].message.content);
    assert.ok(typeof value === "object" && !Array.isArray(value) && value !== null);
    ended++;
  }
  assert.ok(ended > 0);
});

test("ends at max_tokens with what there is, and at a stop string", async () => {
  const schema = object({ text: { type: "string", minLength: 200 } });
  const cut = await ask(format(schema), { max_tokens: 6 });
  assert.equal(cut.choices[0].finish_reason, "length");
  assert.match(cut.choices[0].message.content, /^\{/);
  const stopped = await ask(format(object({ n: { const: "abcdef" } })), { stop: ["cd"] });
  assert.equal(stopped.choices[0].finish_reason, "stop");
  assert.match(stopped.choices[0].message.content, /^\{\s*"n":\s*"ab$/);
});

test("refuses by name what it cannot keep", async () => {
  const refused = async (schema, where, strict = true) => assert.rejects(ask(format(schema, strict)), (e) => {
    assert.ok(e instanceof OpenAI.BadRequestError, `${e}`);
    assert.equal(e.code, "invalid_schema");
    assert.equal(e.param, `/response_format/json_schema/schema${where}`);
    return true;
  });
  await refused(object({ a: { type: "object", patternProperties: {} } }), "/properties/a/patternProperties");
  await refused({ type: "object", properties: { a: { type: "null" } }, required: ["a"] }, "/additionalProperties");
  await refused({ ...object({ a: { type: "null" } }), required: [] }, "/required");
  await refused(object({ a: { type: "string", format: "uri" } }), "/properties/a/format");
  await refused({ type: "array", items: { type: "null" }, uniqueItems: true }, "/uniqueItems", false);
  await assert.rejects(ask({ type: "xml" }), (e) => e.status === 400 && e.param === "/response_format/type");
  await assert.rejects(ask({}), (e) => e.status === 400 && e.param === "/response_format/type");
});

test("follows a grammar of llama.cpp's, and says where a broken one is wrong", async () => {
  const chat = await ask(undefined, { grammar: "root ::= \"yes\" | \"no\"" });
  assert.match(chat.choices[0].message.content, /^(yes|no)$/);
  const bare = await client.completions.create({ model: "vx11-guide", prompt: "Port:", max_tokens: 20, grammar: "root ::= [0-9]{4}" });
  assert.match(bare.choices[0].text, /^[0-9]{4}$/);
  assert.equal(bare.choices[0].finish_reason, "stop");
  await assert.rejects(ask(undefined, { grammar: "root ::= \"a\"\nx ::= (" }), (e) => e.status === 400 && e.code === "invalid_grammar" && /line 2, column 7/.test(e.message));
  await assert.rejects(ask(undefined, { grammar: "root ::= root \"a\"" }), (e) => e.status === 400 && /left-recursive/.test(e.message));
  await assert.rejects(ask({ type: "json_object" }, { grammar: "root ::= \"a\"" }), (e) => e.status === 400 && e.param === "grammar");
});
