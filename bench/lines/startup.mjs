// From `vx11 up --detach` to its return, which is when every module is healthy.
import { startPortkey } from '../lib/portkey.mjs';
import { stop } from '../lib/process.mjs';
import { line, median, rounds, spread } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'startup';
export const about = '`vx11 up` to every module healthy, with a warm home and with a fresh one';

export async function measure(ctx) {
    const system = await System.create(ctx, 'startup', null);
    let up = false;
    const once = async () => {
        up = true;
        const ms = await system.up();
        await system.down();
        up = false;
        return ms;
    };
    try {
        await once(); // the home is warm from here on
        const r = await rounds(ctx.quick ? 2 : 5, {
            warm: once,
            portkey: async () => {
                const portkey = await startPortkey(ctx);
                await stop(portkey.child);
                return portkey.startMs;
            },
        });
        const fresh = [];
        for (let i = 0; i < (ctx.quick ? 1 : 3); i++) {
            system.fresh();
            fresh.push(await once());
        }
        const warm = median(r.warm), first = median(fresh), peer = median(r.portkey);
        return [
            line({ id: 'startup-warm', what: '`vx11 up` to every module healthy', unit: 'ms', ours: warm, peer, peerName: 'Portkey', budget: '<= 1 s',
                met: warm <= 1000, note: `spread ${spread(r.warm).toFixed(0)}%; Portkey: until its first answer`, rounds: r }),
            line({ id: 'startup-fresh', what: 'the same in a new home', unit: 'ms', ours: first, peer, peerName: 'Portkey', budget: '<= 1 s', met: first <= 1000,
                rounds: { fresh } }),
        ];
    } finally {
        if (up)
            await system.down().catch(() => {});
    }
}
