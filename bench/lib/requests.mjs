// The requests and answers that every contender gets: the same bytes, written once.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const MODEL = 'bench-model';
const BODY_BYTES = 1900;

// A chat of 1.9 kB: a system prompt, a few turns.
export function chatBody(extra = {}) {
    const messages = [
        { role: 'system', content: 'You answer questions about the services of this machine in one short sentence.' },
        { role: 'user', content: 'Which port is the front door on?' },
        { role: 'assistant', content: 'The front door listens on port 8000 of the loopback address.' },
        { role: 'user', content: '' },
    ];
    const body = { model: MODEL, messages, temperature: 0.7, max_tokens: 256, ...extra };
    const sentence = 'And what is behind it, which module picks the provider, and how is a request accounted for? ';
    const missing = BODY_BYTES - JSON.stringify(body).length;
    messages[3].content = sentence.repeat(Math.ceil(missing / sentence.length)).slice(0, missing);
    return JSON.stringify(body);
}

// A chat completion of about 1 kB.
export function chatAnswer() {
    const sentence = 'Behind the front door Switch picks the provider by the name of the model, and writes one decision row and one usage row. ';
    return JSON.stringify({
        id: 'chatcmpl-bench0123456789', object: 'chat.completion', created: 1700000000, model: MODEL,
        choices: [{ index: 0, message: { role: 'assistant', content: sentence.repeat(6).trim(), refusal: null }, logprobs: null, finish_reason: 'stop' }],
        usage: { prompt_tokens: 420, completion_tokens: 150, total_tokens: 570 }, service_tier: 'default', system_fingerprint: 'fp_bench',
    });
}

// A whole HTTP request as a file.
export function requestFile(folder, name, path, headers, body) {
    const lines = [`POST ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`];
    for (const [key, value] of Object.entries(headers))
        lines.push(`${key}: ${value}`);
    const file = join(folder, `${name}.request`);
    writeFileSync(file, `${lines.join('\r\n')}\r\n\r\n${body}`);
    return file;
}
