// The engine and llama.cpp's own server, side by side: same model, threads and requests, a Unix socket each.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { ready, run, sleep, start, stop } from './process.mjs';
import { requestFile } from './requests.mjs';
import { figure, line, median, rounds, spread } from './table.mjs';

// Physical cores, as the engine counts them: threads of one core share its arithmetic.
export function threads() {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    const cores = new Set(text.split('\n\n').map((block) => {
        const field = (key) => new RegExp(`^${key}\\s*: (\\d+)`, 'm').exec(block)?.[1];
        return field('processor') === undefined ? '' : `${field('physical id')}:${field('core id') ?? field('processor')}`;
    }).filter(Boolean));
    return cores.size || cpus().length;
}

// ---- models ----

const NAMES = { '110m': '110M, Q4_K_M', '316m': '316M, Q4_0', 'tinyllama-1.1b': '1.1B, Q4_K_M', guide: 'guide, 3.5M', tiny: 'tiny' };

export const sizeOf = (ctx) => ctx.size ?? (ctx.quick ? '110m' : 'tinyllama-1.1b');
export const titleOf = (preset) => NAMES[preset] ?? preset;

// A model of random weights, made when it is not there yet; `extra` are options of vx11-synth.
export async function modelOf(ctx, preset, extra = []) {
    if (preset === 'guide')
        return join(ctx.root, 'models/guide/guide.gguf');
    const cache = join(ctx.build, 'bench/cache'), tool = join(ctx.build, 'bench/vx11-synth');
    const file = join(cache, `${[preset, ...extra].join('').replaceAll('--', '-')}.gguf`);
    mkdirSync(cache, { recursive: true });
    if (!existsSync(file))
        await run([tool, '--preset', preset, ...extra, '--out', file]);
    await run(['cat', file], { discard: true }); // into the page cache
    return file;
}

// ---- text ----

const WORDS = ('the a this that every one of in on with for from to is was will can may request answer model engine server file page user person system ' +
    'service question number value list table name word line part place time day work way reason change result problem state test code data ' +
    'reads writes takes gives starts ends keeps finds shows waits small large new old first last good common simple open long short').split(' ');

// English-like text, the same for the same seed; four and a half bytes a token. Different seeds differ from the first word on.
export function prose(tokens, seed) {
    let state = (seed * 2654435761 + 12345) >>> 0, out = `Note ${seed}.`;
    const random = (n) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor(state / 2 ** 32 * n); };
    while (out.length < tokens * 5.05) {
        const words = Array.from({ length: 6 + random(9) }, () => WORDS[random(WORDS.length)]);
        words[0] = words[0][0].toUpperCase() + words[0].slice(1);
        out += ` ${words.join(' ')}.`;
    }
    return out;
}

export function chat(messages, maxTokens, extra = {}) {
    const list = messages.map(([role, content]) => ({ role, content }));
    return JSON.stringify({ messages: list, stream: true, stream_options: { include_usage: true }, temperature: 0, max_tokens: maxTokens, ignore_eos: true, ...extra });
}

// ---- servers ----

// o: id, model, count (threads), parallel, context (tokens of each request), ours/theirs (more options)
function oursStart(ctx, o) {
    const address = join(ctx.dir, `engine-${o.id}.sock`);
    const child = start(`engine-${o.id}`, [join(ctx.build, 'vx11-engine'), '--model', o.model, '--socket', address, '--threads', String(o.count),
        '--parallel', String(o.parallel), '--ctx', String(o.context), '--kv-type', 'f16', ...(o.ours ?? [])]);
    return { who: 'ours', child, address };
}

function peerStart(ctx, o) {
    const address = join(ctx.dir, `llama-${o.id}.sock`);
    rmSync(address, { force: true }); // it does not take over one that was left
    const child = start(`llama-${o.id}`, [ctx.llamaServer, '-m', o.model, '--host', address, '-t', String(o.count), '-tb', String(o.count),
        '-np', String(o.parallel), '-c', String(o.context * o.parallel), ...(o.theirs ?? [])], { env: { LD_LIBRARY_PATH: dirname(ctx.llamaServer) } });
    return { who: 'peer', child, address };
}

// Starts one of both and waits for its first answer. Seconds since its start are in .loaded.
export async function serverStart(ctx, who, o) {
    const began = performance.now();
    const server = who === 'ours' ? oursStart(ctx, o) : peerStart(ctx, o);
    const probe = o.probe ?? chat([['user', 'hello']], 1);
    const request = requestFile(ctx.dir, `probe-${o.id}`, '/v1/chat/completions', {}, probe);
    await ready(server.child, async () => { server.first = JSON.parse(await run([join(ctx.build, 'bench/bench_clients'), server.address, '--limit-s', '900', request],
        { limit: 900000 })); }, 900000);
    server.loaded = (performance.now() - began) / 1000;
    return server;
}

// Both servers for as long as fn runs. Without a built peer only ours.
export async function withServers(ctx, o, fn) {
    const servers = {};
    try {
        servers.ours = await serverStart(ctx, 'ours', o);
        if (ctx.llamaServer)
            servers.peer = await serverStart(ctx, 'peer', o);
        return await fn(servers);
    } finally {
        await Promise.all(Object.values(servers).map((server) => stop(server.child, 20000)));
    }
}

// Sends chats at a time: bodies, or [body, after ms]. `text` is the prefix of files for what was said.
export async function ask(ctx, server, bodies, { text, limit = 300 } = {}) {
    await sleep(150); // the other one's threads have gone to sleep
    const files = bodies.map((b, i) => {
        const [body, after] = Array.isArray(b) ? b : [b, 0];
        return `${requestFile(ctx.dir, `ask-${server.who}-${i}`, '/v1/chat/completions', {}, body)}@${after}`;
    });
    const out = await run([join(ctx.build, 'bench/bench_clients'), server.address, '--limit-s', String(limit), ...(text ? ['--text', text] : []), ...files],
        { limit: (limit + 10) * 1000 });
    return JSON.parse(out);
}

// Takes turns; what(server, round) is one measurement. Gives { ours: [...], peer: [...] }.
export async function turns(ctx, servers, count, what, limit = 120000) {
    const made = { ours: 0, peer: 0 }, parts = {};
    for (const [who, server] of Object.entries(servers))
        parts[who] = () => what(server, made[who]++);
    return rounds(count, parts, limit);
}

export const rss = (child) => {
    const text = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]) * 1024;
    return { rss: field('VmRSS'), anon: field('RssAnon') };
};

// A line from the rounds of both: `value` of a round, better when larger or smaller; `times` what the budget asks for.
export function compared({ id, what, unit, r, value, times = null, larger = true, note = null }) {
    const us = median(r.ours.map(value)), them = r.peer ? median(r.peer.map(value)) : null;
    const gain = them === null ? null : larger ? us / them : them / us;
    const spreads = `spread ours ${spread(r.ours.map(value)).toFixed(0)}%${r.peer ? `, llama-server ${spread(r.peer.map(value)).toFixed(0)}%` : ''}`;
    return line({
        id, what, unit, ours: us, peer: them, peerName: r.peer ? 'llama-server' : null, ratio: gain,
        budget: times === null ? null : `>= ${times}x${larger ? '' : ' better'}`, met: times === null ? null : gain !== null && gain >= times,
        note: `${note ? `${note}; ` : ''}${r.peer ? '' : 'llama-server could not be built here; '}${spreads}`, rounds: r,
    });
}

export { figure, median };
