// What a hop costs one caller: the median time of a chat on one connection, less that of the direct call.
import { join } from 'node:path';
import { openStage } from '../lib/stage.mjs';
import { run } from '../lib/process.mjs';
import { requestFile } from '../lib/requests.mjs';
import { line } from '../lib/table.mjs';

export const name = 'latency';
export const about = 'the same at one connection: median time over the direct call';

export async function measure(ctx) {
    const stage = await openStage(ctx);
    try {
        const argv = [join(ctx.build, 'bench/bench_latency'), '--rounds', ctx.quick ? '20' : '60', '--block', '40'];
        for (const [contender, c] of Object.entries(stage.contenders))
            argv.push(contender, c.address, requestFile(ctx.dir, `latency-${contender}`, stage.path, c.headers, c.body));
        const r = JSON.parse(await run(argv));
        const over = (contender) => r[contender].p50_us - r.direct.p50_us;
        const note = `p50 direct ${r.direct.p50_us.toFixed(0)} us, nginx ${r.nginx.p50_us.toFixed(0)}, VX11 ${r.vx11.p50_us.toFixed(0)}, ` +
            `Portkey ${r.portkey.p50_us.toFixed(0)}; p99 direct ${r.direct.p99_us.toFixed(0)}, nginx ${r.nginx.p99_us.toFixed(0)}, ` +
            `VX11 ${r.vx11.p99_us.toFixed(0)}, Portkey ${r.portkey.p99_us.toFixed(0)} (${r.direct.n} calls each, in turn)`;
        return [
            line({ id: 'latency-nginx', what: 'one connection, p50 over the direct call', unit: 'us', ours: over('vx11'), peer: over('nginx'),
                peerName: 'nginx proxy', budget: '<= 150 us', met: over('vx11') <= 150, note, rounds: r }),
            line({ id: 'latency-portkey', what: 'the same, beside a gateway', unit: 'us', ours: over('vx11'), peer: over('portkey'), peerName: 'Portkey' }),
        ];
    } finally {
        await stage.close();
    }
}
