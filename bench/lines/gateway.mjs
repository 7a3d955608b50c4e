// Requests a second through link and switch to a mock provider, accounting on, beside nginx's plain proxy and Portkey.
import { join } from 'node:path';
import { openStage } from '../lib/stage.mjs';
import { cpuSeconds } from '../lib/machine.mjs';
import { run, sleep } from '../lib/process.mjs';
import { figure, line, median, rounds, spread } from '../lib/table.mjs';

export const name = 'gateway';
export const about = 'chat through link and switch to a mock provider, 32 connections, requests/s';
const CONNECTIONS = 32;

async function load(ctx, stage, contender, seconds, pids = []) {
    const c = stage.contenders[contender];
    const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    const start = cpu();
    const out = await run(['wrk', '-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '10s', '-s', join(ctx.root, 'bench/chat.lua'),
        `http://${c.address}${stage.path}`, '--', stage.bodyFile, ...Object.entries(c.headers).flat()]);
    const result = JSON.parse(out.trim().split('\n').pop());
    if (result.status || result.broken)
        throw new Error(`${contender}: ${result.status} answers were refusals, ${result.broken} connections broke`);
    return { perSecond: result.requests / (result.us / 1e6), cpu: cpu() - start, ...result };
}

// The accounts of what was asked through VX11: each answered request must have its row.
async function rows(ctx, stage) {
    await sleep(300);
    const db = join(stage.system.home, 'vx11.db');
    return JSON.parse(await run([join(ctx.build, 'bench/bench_accounted'), 'count', db]));
}

export async function measure(ctx) {
    const stage = await openStage(ctx);
    try {
        const pids = await stage.system.pids();
        for (const contender of ['direct', 'nginx', 'vx11', 'portkey'])
            await load(ctx, stage, contender, 1);
        const before = await rows(ctx, stage);
        const result = await rounds(ctx.quick ? 1 : 3, {
            nginx: () => load(ctx, stage, 'nginx', 4, [stage.nginx.child.pid]),
            vx11: () => load(ctx, stage, 'vx11', 4, [pids.link, pids.switch]),
            portkey: () => load(ctx, stage, 'portkey', 4, [stage.portkey.child.pid]),
            direct: () => load(ctx, stage, 'direct', 2),
        });
        const after = await rows(ctx, stage);
        const each = Object.fromEntries(Object.entries(result).map(([k, list]) => [k, list.map((r) => r.perSecond)]));
        const m = Object.fromEntries(Object.entries(each).map(([k, list]) => [k, median(list)]));
        const accounted = Math.min(after.decisions - before.decisions, after.usages - before.usages);
        const total = (who, field) => result[who].reduce((sum, r) => sum + r[field], 0);
        const answered = total('vx11', 'requests');
        const each_us = (who) => (total(who, 'cpu') / total(who, 'requests') * 1e6).toFixed(0);
        const note = `direct ${figure(m.direct)}/s; CPU a request: link and switch ${each_us('vx11')} us, nginx ${each_us('nginx')}, Portkey ${each_us('portkey')}; ` +
            `VX11 got ${(total('vx11', 'cpu') / (total('vx11', 'us') / 1e6)).toFixed(2)} cores; p99 ${figure(median(result.vx11.map((r) => r.p99_us)) / 1000, 'ms')}\n` +
            `${answered} answered, ${accounted} accounted for; spread ${Object.keys(each).map((k) => `${k} ${spread(each[k]).toFixed(0)}%`).join(', ')}`;
        const complete = accounted >= answered;
        return [
            line({ id: 'gateway-nginx', what: 'chat, 32 connections, accounting on', unit: '/s', ours: m.vx11, peer: m.nginx, peerName: 'nginx proxy',
                budget: '>= 0.3x nginx', met: m.vx11 >= 0.3 * m.nginx && complete, note, rounds: each }),
            line({ id: 'gateway-portkey', what: 'the same, beside a gateway', unit: '/s', ours: m.vx11, peer: m.portkey, peerName: 'Portkey',
                budget: '>= 12x Portkey', met: m.vx11 >= 12 * m.portkey && complete, rounds: { vx11: each.vx11, portkey: each.portkey } }),
        ];
    } finally {
        await stage.close();
    }
}
