// One stream's decode speed beside llama.cpp's own server of the same release: same model, threads, prompt, number of tokens.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { ready, run, start, stop, sleep } from '../lib/process.mjs';
import { requestFile } from '../lib/requests.mjs';
import { figure, line, median, rounds, spread } from '../lib/table.mjs';

export const name = 'decode';
export const about = "one stream's decode speed, tokens/s, beside llama-server of the same release";

// Physical cores, as the engine counts them: threads of one core share its arithmetic.
function threads() {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    const cores = new Set(text.split('\n\n').map((block) => {
        const field = (key) => new RegExp(`^${key}\\s*: (\\d+)`, 'm').exec(block)?.[1];
        return field('processor') === undefined ? '' : `${field('physical id')}:${field('core id') ?? field('processor')}`;
    }).filter(Boolean));
    return cores.size || cpus().length;
}

async function synthetic(ctx) {
    const cache = join(ctx.build, 'bench/cache');
    const file = join(cache, 'random-316m.gguf');
    mkdirSync(cache, { recursive: true });
    if (!existsSync(file))
        await run([join(ctx.build, 'bench/vx11-synth'), '--preset', '316m', '--out', file]);
    return file;
}

async function answers(address, model) {
    const body = JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], max_tokens: 2, stream: true, ignore_eos: true, stream_options: { include_usage: true } });
    return run([...address.probe, requestFile(address.dir, `probe-${model}`, '/v1/chat/completions', {}, body)]);
}

async function engineStart(ctx, id, model, count) {
    const socket = join(ctx.dir, `engine-${id}.sock`);
    const child = start(`engine-${id}`, [join(ctx.build, 'vx11-engine'), '--model', model, '--socket', socket, '--threads', String(count),
        '--parallel', '1', '--ctx', '2048']);
    return { child, address: socket };
}

async function peerStart(ctx, id, model, count) {
    const socket = join(ctx.dir, `llama-${id}.sock`);
    const child = start(`llama-${id}`, [ctx.llamaServer, '-m', model, '--host', socket, '-t', String(count), '-tb', String(count),
        '-np', '1', '-c', '2048'], { env: { LD_LIBRARY_PATH: dirname(ctx.llamaServer) } });
    return { child, address: socket };
}

async function compare(ctx, { id, what, model, tokens, budget, count }) {
    const tool = join(ctx.build, 'bench/bench_decode');
    let ours, peer;
    try {
        ours = await engineStart(ctx, id, model, count);
        if (ctx.llamaServer)
            peer = await peerStart(ctx, id, model, count);
        for (const server of [ours, peer].filter(Boolean))
            await ready(server.child, () => answers({ probe: [tool, server.address], dir: ctx.dir }, id), 120000);
        const body = JSON.stringify({
            messages: [{ role: 'user', content: 'Which port is switch on, and what does it do?' }],
            stream: true, stream_options: { include_usage: true }, temperature: 0, max_tokens: tokens, ignore_eos: true,
        });
        const request = requestFile(ctx.dir, `decode-${id}`, '/v1/chat/completions', {}, body);
        const text = (who) => join(ctx.dir, `decode-${id}-${who}.txt`);
        const once = (who, server) => async () => {
            await sleep(100); // the other one's threads have gone to sleep
            const r = JSON.parse(await run([tool, server.address, request, '--text', text(who)]));
            if (r.tokens !== tokens)
                throw new Error(`${who} made ${r.tokens} tokens of ${tokens}`);
            return r;
        };
        const parts = { ours: once('ours', ours) };
        if (peer)
            parts.peer = once('peer', peer);
        const r = await rounds(ctx.quick ? 2 : 6, parts, 40000);
        const speed = (who) => r[who].map((x) => x.tokens_per_s);
        const us = median(speed('ours')), them = peer ? median(speed('peer')) : null;
        const same = peer && readFileSync(text('ours')).equals(readFileSync(text('peer')));
        const note = `${count} thread${count > 1 ? 's' : ''}, ${tokens} tokens; first token ${figure(median(r.ours.map((x) => x.first_ms)))} ms` +
            (peer ? `, llama-server ${figure(median(r.peer.map((x) => x.first_ms)))} ms; ${same ? 'the same text' : 'the texts differ'}; ` +
                `spread ours ${spread(speed('ours')).toFixed(0)}%, llama-server ${spread(speed('peer')).toFixed(0)}%` : '; llama-server could not be built here');
        return line({ id, what, unit: 'tok/s', ours: us, peer: them, peerName: peer ? 'llama-server' : null, budget: budget ? '>= 0.97x' : null,
            met: budget ? peer !== undefined && us >= 0.97 * them : null, note, rounds: r });
    } finally {
        await Promise.all([stop(ours?.child), stop(peer?.child)]);
    }
}

export async function measure(ctx) {
    const count = threads();
    // The guide is so small that a token is mostly what the server does around the arithmetic; one thread waits for no other.
    return [
        await compare(ctx, { id: 'decode', what: "one stream's decode, 316M, Q4_0", model: await synthetic(ctx), tokens: 128, budget: true, count }),
        await compare(ctx, { id: 'decode-guide', what: 'the same, guide model (3.5M), one thread', model: join(ctx.root, 'models/guide/guide.gguf'), tokens: 256,
            budget: false, count: 1 }),
    ];
}
