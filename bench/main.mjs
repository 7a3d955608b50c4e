// ./dev bench: measures the lines that were asked for, prints them, and ends what it started.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, Others } from './lib/machine.mjs';
import { endAll, logFolder, roots, runSync } from './lib/process.mjs';
import { header, notMeasured, print } from './lib/table.mjs';
import * as startup from './lines/startup.mjs';
import * as memory from './lines/memory.mjs';
import * as gateway from './lines/gateway.mjs';
import * as latency from './lines/latency.mjs';
import * as streams from './lines/streams.mjs';
import * as writer from './lines/writer.mjs';
import * as decode from './lines/decode.mjs';
import * as prompt from './lines/prompt.mjs';
import * as shared from './lines/shared.mjs';
import * as mixed from './lines/mixed.mjs';
import * as load from './lines/load.mjs';
import * as json from './lines/json.mjs';
import * as lookup from './lines/lookup.mjs';
import * as back from './lines/return.mjs';
import * as swap from './lines/swap.mjs';
import * as database from './lines/database.mjs';
import * as week from './lines/week.mjs';

const LINES = [startup, memory, gateway, latency, streams, writer, database, week, decode, prompt, shared, mixed, json, lookup, load, back, swap];
const GROUPS = [...new Set(LINES.map((l) => l.group).filter(Boolean))];
const BUSY = 0.3; // cores that others use: above this the figures of a line are marked

const usage = `usage: ./dev bench [--json FILE] [--quick] [--size PRESET] [--keep] [LINE...]

${LINES.map((l) => `  ${l.name.padEnd(10)} ${l.about}`).join('\n')}
${GROUPS.map((g) => `  ${g.padEnd(10)} ${LINES.filter((l) => l.group === g).map((l) => l.name).join(', ')}`).join('\n')}

  --json FILE    write every figure of every round there, too
  --quick        fewer rounds, and of the engine's lines a smaller model
  --size PRESET  the engine's model: a preset of vx11-synth (default tinyllama-1.1b, with --quick 110m)
  --keep         keep the temporary folder with the logs
Exit status: 0 every budget met; 1 one missed, or a line that could not be measured; 2 wrong usage.`;

function wrong(text) {
    console.error(`bench: ${text}\n${usage}`);
    process.exit(2);
}

function parse(argv) {
    const o = { json: null, size: null, quick: false, keep: false, names: false, list: false, lines: [] };
    for (let i = 0; i < argv.length; i++) {
        const word = argv[i];
        if (word === '--json')
            o.json = argv[++i] ?? wrong('--json wants a file');
        else if (word === '--size')
            o.size = argv[++i] ?? wrong('--size wants a preset of vx11-synth');
        else if (['--quick', '--keep', '--names', '--list'].includes(word))
            o[word.slice(2)] = true;
        else if (word === '--help' || word === '-h')
            o.list = true;
        else if (GROUPS.includes(word))
            o.lines.push(...LINES.filter((l) => l.group === word));
        else
            o.lines.push(LINES.find((l) => l.name === word) ?? wrong(`there is no line ${word}`));
    }
    if (o.lines.length === 0)
        o.lines = LINES;
    return o;
}

function version(root) {
    const git = runSync(['git', '-C', root, 'rev-parse', '--short', 'HEAD']);
    const dirty = runSync(['git', '-C', root, 'status', '--porcelain', '--', 'src', 'api', 'sql', 'cmake', 'CMakeLists.txt']);
    return git.status === 0 ? git.stdout.trim() + (dirty.stdout.trim() ? ' with changes' : '') : 'unknown';
}

async function measure(l, ctx) {
    const others = new Others(roots), began = performance.now();
    let results;
    try {
        results = await l.measure(ctx);
    } catch (error) {
        results = [notMeasured(l.name, l.about, error.message)];
    }
    const busy = others.cores();
    for (const r of results) {
        r.others_cores = Number(busy.toFixed(2));
        r.seconds = Number(((performance.now() - began) / 1000).toFixed(1));
    }
    if (busy > BUSY)
        results.at(-1).note = `${results.at(-1).note ? `${results.at(-1).note}\n` : ''}! other processes kept ${busy.toFixed(1)} cores busy meanwhile: a noisy figure`;
    results.forEach(print);
    return results;
}

async function main() {
    const o = parse(process.argv.slice(2));
    if (o.list || o.names) {
        if (o.list && !o.names)
            console.log(usage);
        else if (!o.list)
            console.log(o.lines.map((l) => l.name).join(' '));
        return 0;
    }
    const root = dirname(dirname(fileURLToPath(import.meta.url)));
    const dir = mkdtempSync(join(tmpdir(), 'vx11-bench-'));
    const ctx = { root, dir, build: process.env.VX11_BUILD ?? join(root, 'build/release'), quick: o.quick, size: o.size, llamaServer: process.env.VX11_LLAMA_SERVER || null };
    logFolder(dir);
    const cleanUp = () => {
        endAll();
        if (o.keep)
            console.log(`logs: ${dir}`);
        else
            rmSync(dir, { recursive: true, force: true });
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
        process.on(signal, () => { console.error(`bench: ended by ${signal}`); cleanUp(); process.exit(130); });
    try {
        const machine = describe(), all = [];
        machine.version = version(root);
        console.log(`VX11 ${machine.version}; ${machine.cores} cores (${machine.cpu}), ${machine.memory_gib} GiB; Linux ${machine.kernel}; ` +
            `${machine.date}; load ${machine.load.join(' ')}`);
        console.log(`${header()}`);
        for (const l of o.lines)
            all.push(...await measure(l, ctx));
        if (o.json)
            writeFileSync(o.json, `${JSON.stringify({ machine, lines: all }, null, 2)}\n`);
        const missed = all.filter((l) => l.met === false);
        console.log(missed.length ? `not met: ${missed.map((l) => l.id).join(', ')}` : 'every budget is met');
        return missed.length ? 1 : 0;
    } finally {
        cleanUp();
    }
}

process.exitCode = await main();
