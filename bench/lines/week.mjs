// A week of one chat request a second and what goes with it, at an accelerated clock, with the upkeep that is due.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lib/process.mjs';
import { line } from '../lib/table.mjs';

export const name = 'week';
export const about = 'size of the database after a simulated week of traffic, with the upkeep that is due';
const LIMIT = 15 * 60000;

export async function measure(ctx) {
    const scale = ctx.quick ? 0.05 : 1, target = Math.round(500e6 * scale);
    const home = join(ctx.dir, 'week'), argv = [join(ctx.build, 'bench/vx11-week'), '--home', home, '--scale', String(scale), '--target', String(target)];
    const kept = JSON.parse(await run(argv, { limit: LIMIT }));
    rmSync(home, { recursive: true, force: true });
    const grown = JSON.parse(await run([...argv, '--no-upkeep'], { limit: LIMIT }));
    rmSync(home, { recursive: true, force: true });
    const met = kept.largest_bytes <= target * 1.05 && kept.end_bytes <= target && kept.lost === 0 && kept.maintenances_failed === 0;
    return [line({ id: 'week', what: `file after a week, ${scale === 1 ? '' : `${scale} of `}1 request/s`, unit: 'MB', ours: kept.end_bytes / 1e6,
        peer: grown.end_bytes / 1e6, peerName: 'without upkeep', budget: `<= ${target / 1e6} MB, none lost`, met,
        note: `${kept.rows_written} rows written; largest ${(kept.largest_bytes / 1e6).toFixed(0)} MB; ${kept.archived} rows archived, ${kept.lost} lost; ` +
            `bounds halved ${kept.tier} times; writers kept out for ${kept.longest_hold_ms} ms at most; ${(kept.took_ms / 1000).toFixed(0)} s`,
        rounds: { kept, grown } })];
}
