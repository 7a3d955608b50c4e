// The accounts: how many requests a second the batched writer takes, and whether a SIGTERM under load loses any.
import { join } from 'node:path';
import { startMock } from '../lib/nginx.mjs';
import { run, sleep, stop } from '../lib/process.mjs';
import { chatBody, requestFile } from '../lib/requests.mjs';
import { line, median, spread } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'writer';
export const about = 'request accounting on the writer, requests/s; rows lost when Switch gets SIGTERM under load';
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
    return [await throughput(ctx), await termination(ctx)];
}
