// The accounts: how many requests a second the batched writer takes, and whether a SIGTERM under load loses any.
import { join } from 'node:path';
import { startMock } from '../lib/nginx.mjs';
import { run, sleep, stop } from '../lib/process.mjs';
import { chatBody, requestFile } from '../lib/requests.mjs';
import { line, median, spread } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'writer';
export const about = 'request accounting on the writer, requests/s; rows lost on SIGTERM and on kill -9, every row read back';
const CONNECTIONS = 16;

async function throughput(ctx) {
    const results = [];
    for (let i = 0; i < (ctx.quick ? 1 : 3); i++)
        results.push(JSON.parse(await run([join(ctx.build, 'bench/bench_writer'), '--seconds', '2', '--dir', ctx.dir, '--json'])));
    const ours = results.map((r) => r.requests_per_s), single = results.map((r) => r.single_rows_per_s / r.rows_per_request);
    return line({ id: 'writer', what: 'accounts of requests, written in batches', unit: '/s', ours: median(ours), peer: median(single),
        peerName: 'row by row', budget: '>= 10,000/s', met: median(ours) >= 10000,
        note: `${results[0].rows_per_request} rows a request, ${Math.round(results[0].rows_per_transaction)} rows a transaction; spread ${spread(ours).toFixed(0)}%`,
        rounds: { ours, single } });
}

// A process that writes is ended, and every row is read back: after SIGTERM none may be missing, though it wrote as fast as it
// could; after kill -9, at the budget's rate of 10,000 requests/s, only what was pushed in the promised last moment.
const WINDOW_MS = 250;
const RATE = 30000;

async function readBack(ctx) {
    const tool = join(ctx.build, 'bench/bench_writer_end'), argv = ['--seconds', ctx.quick ? '1' : '3', '--dir', ctx.dir];
    const term = JSON.parse(await run([tool, 'TERM', ...argv]));
    const kills = [];
    for (let i = 0; i < (ctx.quick ? 2 : 5); i++)
        kills.push(JSON.parse(await run([tool, 'KILL', '--rows-per-s', String(RATE), ...argv])));
    const whole = (r) => r.gaps === 0 && r.doubled === 0 && r.strange <= 1;
    const windows = kills.map((r) => r.window_ms);
    return [line({ id: 'writer-read', what: 'rows written and read back, SIGTERM at the end', unit: 'rows/s', ours: term.rows_per_s, ratio: null,
        budget: 'none missing', met: term.missing === 0 && term.read > 0 && whole(term),
        note: `${term.read} of ${term.pushed} rows read back, ${term.missing} missing, ${term.doubled} twice`, rounds: term }),
    line({ id: 'writer-kill', what: 'age of the oldest row lost to kill -9', unit: 'ms', ours: Math.max(...windows), ratio: null,
        budget: `<= ${WINDOW_MS} ms at ${RATE / 3}/s`, met: Math.max(...windows) <= WINDOW_MS && kills.every(whole),
        note: `${kills.length} kills at ${RATE} rows/s; rows lost: ${kills.map((r) => r.missing).join(', ')}; none from the middle: ${kills.every(whole)}`,
        rounds: kills })];
}

// Load through link; Switch is told to end in the middle of it. Whatever was answered with 200 must have its rows.
async function termination(ctx) {
    let mock, system;
    try {
        mock = await startMock(ctx);
        system = await System.create(ctx, 'writer', mock.address);
        await system.up();
        const request = requestFile(ctx.dir, 'writer', '/v1/chat/completions', system.headers, chatBody());
        const ids = join(ctx.dir, 'writer.ids'), tool = join(ctx.build, 'bench/bench_accounted');
        let child;
        const load = run([tool, 'load', system.address, request, String(CONNECTIONS), ids], { onStart: (c) => { child = c; } });
        await sleep(2000);
        process.kill((await system.pids()).switch, 'SIGTERM');
        await sleep(1000);
        child.kill('SIGTERM');
        const acknowledged = JSON.parse(await load).acknowledged;
        await system.down();
        system = null;
        const checked = JSON.parse(await run([tool, 'check', join(ctx.dir, 'writer/vx11.db'), ids]));
        return line({ id: 'writer-sigterm', what: 'accounts lost on SIGTERM under load', unit: '', ours: checked.missing, ratio: null,
            budget: 'none', met: checked.missing === 0 && acknowledged > 0 && checked.acknowledged === acknowledged,
            note: `${checked.acknowledged} answered requests looked up by their id`, rounds: checked });
    } finally {
        await system?.down();
        await stop(mock?.child);
    }
}

export async function measure(ctx) {
    return [await throughput(ctx), ...await readBack(ctx), await termination(ctx)];
}
