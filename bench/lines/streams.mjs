// A thousand open streams of 20 events a second: what they cost link and switch, and whether each gets its events in time.
import { join } from 'node:path';
import { startProxy } from '../lib/nginx.mjs';
import { cpuSeconds } from '../lib/machine.mjs';
import { run, sleep, start, stop } from '../lib/process.mjs';
import { chatBody, requestFile } from '../lib/requests.mjs';
import { figure, line, median, rounds, spread } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'streams';
export const about = '1,000 open streams, 20 events/s each: cores used, worst gap, events lost';
const STREAMS = 1000, INTERVAL_MS = 50, WINDOW_S = 6, STARVED_MS = 1000;
const EVENTS = (WINDOW_S + 6) * 1000 / INTERVAL_MS; // longer than opening and the window together

async function startSource(ctx) {
    const child = start('source', [join(ctx.build, 'bench/bench_sse_source'), '--events', String(EVENTS), '--interval-ms', String(INTERVAL_MS)],
        { stdout: true });
    const port = await Promise.race([
        new Promise((resolve) => child.stdout.once('data', (text) => resolve(Number(text)))),
        child.ended.then(() => { throw new Error('bench_sse_source ended'); }),
    ]);
    return { child, address: `127.0.0.1:${port}` };
}

// One load; CPU time of `pids` is taken over a window in which all streams are open.
async function load(ctx, address, request, pids) {
    let window = null;
    const cores = async () => {
        await sleep(500);
        const cpu = () => pids.map((pid) => cpuSeconds(pid));
        const before = cpu(), at = performance.now();
        await sleep(WINDOW_S * 1000);
        const seconds = (performance.now() - at) / 1000;
        return cpu().map((x, i) => (x - before[i]) / seconds);
    };
    const out = await run([join(ctx.build, 'bench/bench_sse_load'), '--address', address, '--request', request, '--streams', String(STREAMS),
        '--events', String(EVENTS), '--limit-s', String(WINDOW_S + 40)], {
        onOutput: (text) => { if (!window && text.startsWith('open')) window = cores(); },
    });
    if (!window)
        throw new Error(`not all of the ${STREAMS} streams opened at ${address}`);
    return { ...JSON.parse(out.trim().split('\n').pop()), cores: await window };
}

const sum = (list) => list.reduce((a, b) => a + b, 0);

export async function measure(ctx) {
    let source, nginx, system;
    try {
        source = await startSource(ctx);
        nginx = await startProxy(ctx, 'nginx-streams', source.address);
        system = await System.create(ctx, 'streams', source.address);
        await system.up();
        const pids = await system.pids();
        const body = chatBody({ stream: true, stream_options: { include_usage: true } });
        const file = (who, headers) => requestFile(ctx.dir, `streams-${who}`, '/v1/chat/completions', headers, body);
        const plain = file('plain', {}), own = file('vx11', system.headers);
        const r = await rounds(ctx.quick ? 1 : 2, {
            nginx: () => load(ctx, nginx.address, plain, [nginx.child.pid]),
            vx11: () => load(ctx, system.address, own, [pids.link, pids.switch]),
        });
        const direct = await load(ctx, source.address, plain, [source.child.pid]);
        const cores = (who) => r[who].map((x) => sum(x.cores));
        const worst = (who) => Math.max(...r[who].map((x) => x.worst_gap_ms));
        const lost = (who) => sum(r[who].map((x) => x.lost + x.reordered + x.broken));
        const delay = (x) => `${figure(x.delay_p50_ms)}/${figure(x.delay_p99_ms)}/${figure(x.delay_max_ms)}`;
        const note = `link ${median(r.vx11.map((x) => x.cores[0])).toFixed(2)} + switch ${median(r.vx11.map((x) => x.cores[1])).toFixed(2)} cores; ` +
            `spread nginx ${spread(cores('nginx')).toFixed(0)}%, VX11 ${spread(cores('vx11')).toFixed(0)}%; lost VX11 ${lost('vx11')}, nginx ${lost('nginx')}; ` +
            `delay p50/p99/max ms: VX11 ${delay(r.vx11[0])}, nginx ${delay(r.nginx[0])}, direct ${delay(direct)}`;
        return [
            line({ id: 'streams-cpu', what: '1,000 streams, 20 events/s each', unit: 'cores', ours: median(cores('vx11')), peer: median(cores('nginx')),
                peerName: 'nginx proxy', budget: '< 0.5 cores, 0 lost', met: median(cores('vx11')) < 0.5 && lost('vx11') === 0, note, rounds: { ...r, direct } }),
            line({ id: 'streams-gap', what: 'their longest silence (50 ms is the pace)', unit: 'ms', ours: worst('vx11'), peer: worst('nginx'),
                peerName: 'nginx proxy', budget: `none starved (${STARVED_MS} ms)`, met: worst('vx11') < STARVED_MS && lost('vx11') === 0,
                note: `direct ${figure(direct.worst_gap_ms, 'ms')}` }),
        ];
    } finally {
        await Promise.all([system?.down(), stop(nginx?.child)]);
        await stop(source?.child);
    }
}
