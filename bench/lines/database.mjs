// Backup and maintenance of a large file, beside what the sqlite3 program does with the same file.
import { cpSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lib/process.mjs';
import { line, median, rounds, spread } from '../lib/table.mjs';
import { System } from '../lib/vx11.mjs';

export const name = 'database';
export const about = 'backup and maintenance of a file of 1.2 million incidents and 300,000 jobs, beside sqlite3';
const FULL = ['1200000', '300000'], QUICK = ['200000', '50000'];
const MINUTES = 60000;

// Wall-clock time in ms.
async function timed(argv, options = {}) {
    const began = performance.now();
    const out = await run(argv, { limit: 15 * MINUTES, ...options });
    return { ms: performance.now() - began, out };
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

// A checked copy: ours reads the copy back, checks pages, keys and rows, and hashes it. The peers: the copy alone, and the
// copy with the same checks by hand.
async function backups(ctx, system, file) {
    const copy = join(ctx.dir, 'copy.db');
    const bare = async () => {
        rmSync(copy, { force: true });
        return (await timed(['sqlite3', file, `.backup ${copy}`])).ms;
    };
    const times = await rounds(ctx.quick ? 1 : 3, {
        ours: async () => {
            const { ms, out } = await timed([system.bin, 'db', 'backup', '--json'], { env: system.env });
            const made = JSON.parse(out);
            if (!made.verified)
                throw new Error('the backup was not verified');
            rmSync(join(system.home, 'backups', made.name));
            rmSync(join(system.home, 'backups', `${made.name}.json`));
            return ms;
        },
        bare,
        checked: async () => {
            let ms = await bare();
            ms += (await timed(['sqlite3', copy, 'PRAGMA integrity_check; PRAGMA foreign_key_check'])).ms;
            return ms + (await timed(['sha256sum', copy])).ms;
        },
    }, 10 * MINUTES);
    rmSync(copy, { force: true });
    const bytes = statSync(file).size, speed = (ms) => bytes / 1e6 / (ms / 1000);
    const ours = median(times.ours), checked = median(times.checked), plain = median(times.bare);
    return line({ id: 'backup', what: `backup of ${megabytes(bytes)}, checked`, unit: 'MB/s', ours: speed(ours), peer: speed(checked),
        peerName: '.backup, checks, sha256sum',
        note: `${(ours / 1000).toFixed(1)} s; the copy alone by .backup ${(plain / 1000).toFixed(1)} s, with the same checks ` +
            `${(checked / 1000).toFixed(1)} s; spread ${spread(times.ours).toFixed(0)}%`, rounds: times });
}

// Ours archives and deletes what is beyond the bounds and gives the space back, in steps that let writers in; VACUUM alone
// rewrites the whole file and keeps writers out all the while.
async function maintenance(ctx, system, file) {
    const twin = join(ctx.dir, 'twin.db'), before = statSync(file).size;
    cpSync(file, twin);
    const vacuum = (await timed(['sqlite3', twin, 'VACUUM'])).ms;
    rmSync(twin);
    const { ms, out } = await timed([system.bin, 'db', 'maintain', '--json'], { env: system.env });
    const report = JSON.parse(out), after = statSync(file).size;
    return line({ id: 'maintain', what: `maintenance of ${megabytes(before)}`, unit: 's', ours: ms / 1000, peer: vacuum / 1000,
        peerName: 'VACUUM alone', budget: 'the file shrinks', met: report.ok && after < before,
        note: `${megabytes(before)} to ${megabytes(after)}; ${report.deleted_rows} rows left, of which ${report.archived_rows} are archived (${megabytes(report.archive_bytes)}); writers were ` +
            `kept out for ${report.longest_hold_ms.toFixed(1)} ms at most, by VACUUM for all of its time`,
        rounds: { report } });
}

export async function measure(ctx) {
    const system = await System.create(ctx, 'database', null);
    await system.up();
    await system.down();
    const file = join(system.home, 'vx11.db');
    await run([join(ctx.build, 'bench/vx11-fill'), file, ...(ctx.quick ? QUICK : FULL)], { limit: 10 * MINUTES });
    const lines = [await backups(ctx, system, file), await maintenance(ctx, system, file)];
    rmSync(system.home, { recursive: true, force: true });
    return lines;
}
