// Two models, room for one, and requests that ask for them in turn: from a request for the model that is not loaded to its first token. Ours
// through the whole gateway; beside it llama-server in router mode, which starts a server for each model.
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chat, compared, modelOf, sizeOf, threads, titleOf } from '../lib/engine.mjs';
import { freePorts, ready, sleep, start, stop } from '../lib/process.mjs';
import { figure, median, rounds } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'swap';
export const group = 'engine';
export const about = 'request for a model that is not loaded to its first token, two models and room for one, beside llama-server as a router';

const LIMIT = 300000;
const NAMES = ['one', 'two'];

// Milliseconds from sending to the first chunk that holds text; reads to the end.
async function firstToken(address, headers, model) {
    const body = JSON.stringify({ ...JSON.parse(chat([['user', 'hello']], 4)), model });
    const began = performance.now();
    const reply = await fetch(`http://${address}/v1/chat/completions`, {
        method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body, signal: AbortSignal.timeout(LIMIT),
    });
    if (reply.status !== 200)
        throw new Error(`${address} answered ${reply.status}: ${(await reply.text()).slice(0, 200)}`);
    let first = null, text = '';
    for await (const piece of reply.body) {
        text += Buffer.from(piece).toString();
        if (first === null && /"(content|reasoning_content)":"[^"]/.test(text))
            first = performance.now() - began;
    }
    if (first === null)
        throw new Error(`${address}: no token came: ${text.slice(0, 200)}`);
    return first;
}

async function ours(ctx, folder, count) {
    const system = await System.create(ctx, 'swap-home', null);
    system.config += `engine: { threads: ${count}, ctx: 2048, parallel: 4 }\n`;
    system.config = system.config.replace(/hermes: \{/, `hermes: { max_loaded: 1, model_dirs: ["${folder}"],`);
    system.fresh();
    await system.up();
    return { address: system.address, headers: system.headers, close: () => system.down() };
}

async function peer(ctx, folder, count) {
    const [port] = await freePorts(1);
    const child = start('llama-router', [ctx.llamaServer, '--models-dir', folder, '--models-max', '1', '--host', '127.0.0.1', '--port', String(port),
        '-t', String(count), '-tb', String(count), '-np', '4', '-c', String(2048 * 4)], { env: { LD_LIBRARY_PATH: dirname(ctx.llamaServer) } });
    const address = `127.0.0.1:${port}`;
    await ready(child, async () => { if (!(await fetch(`http://${address}/health`)).ok) throw new Error('not ready'); }, 30000);
    return { address, headers: {}, close: () => stop(child, 20000) };
}

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), folder = join(ctx.dir, 'swap-models');
    const file = await modelOf(ctx, size);
    mkdirSync(folder);
    for (const one of NAMES) // just written: both in the page cache
        copyFileSync(file, join(folder, `${one}.gguf`));
    const servers = {}, turn = { ours: 0, peer: 0 };
    try {
        servers.ours = await ours(ctx, folder, count);
        if (ctx.llamaServer)
            servers.peer = await peer(ctx, folder, count);
        const once = (who) => async () => {
            const s = servers[who], model = NAMES[turn[who]++ % 2];
            const cold = await firstToken(s.address, s.headers, model);
            const warm = await firstToken(s.address, s.headers, model);
            await sleep(100);
            return { cold, warm };
        };
        for (const who of Object.keys(servers))
            await once(who)(); // the first one has nobody to make room
        const r = await rounds(ctx.quick ? 4 : 10, Object.fromEntries(Object.keys(servers).map((who) => [who, once(who)])), LIMIT);
        const worst = (who) => figure(Math.max(...r[who].map((x) => x.cold)));
        const warm = (who) => figure(median(r[who].map((x) => x.warm)));
        return [compared({ id: 'swap', what: `swap to first token, ${titleOf(size)}`, unit: 'ms', r, value: (x) => x.cold, larger: false,
            note: `worst ${worst('ours')}${r.peer ? `, llama-server ${worst('peer')}` : ''}; when loaded ${warm('ours')}${r.peer ? `, llama-server ${warm('peer')}` : ''} ms` })];
    } finally {
        for (const s of Object.values(servers))
            await s.close();
    }
}
