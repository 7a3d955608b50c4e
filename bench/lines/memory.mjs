// Memory of every module and the supervisor, idle, without engines: the proportional shares, so that what they share counts once.
import { pss, tree } from '../lib/machine.mjs';
import { startPortkey } from '../lib/portkey.mjs';
import { sleep, stop } from '../lib/process.mjs';
import { line } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'memory';
export const about = 'memory of all modules, idle, without engines (sum of PSS)';

export async function measure(ctx) {
    const system = await System.create(ctx, 'memory', null);
    let portkey;
    try {
        await system.up();
        portkey = await startPortkey(ctx);
        await sleep(5000);
        const pids = await system.pids();
        const known = new Set(Object.values(pids));
        const strays = tree([pids.supervisor]).filter((pid) => !known.has(pid));
        const each = Object.fromEntries(Object.entries(pids).map(([who, pid]) => [who, pss(pid) / 1e6]));
        const total = Object.values(each).reduce((a, b) => a + b, 0);
        const peer = pss(portkey.child.pid) / 1e6;
        const note = Object.entries(each).map(([who, mb]) => `${who} ${mb.toFixed(1)}`).join(', ') +
            (strays.length ? `; ${strays.length} other processes of it are not counted` : '');
        return [line({ id: 'memory', what: 'memory of all modules, idle, no engine', unit: 'MB', ours: total, peer, peerName: 'Portkey',
            budget: '<= 60 MB', met: total <= 60 && strays.length === 0, note, rounds: each })];
    } finally {
        await Promise.all([system.down(), stop(portkey?.child)]);
    }
}
