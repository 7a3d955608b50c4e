// Figures: medians, ratios, and the lines that are printed.
export function median(values) {
    const sorted = [...values].sort((a, b) => a - b), n = sorted.length;
    return n === 0 ? NaN : n % 2 ? sorted[(n - 1) / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

// Half the distance between the least and the most, in percent of the median.
export const spread = (values) => values.length < 2 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / median(values) * 100;

// Interleaves: A B C C B A …, each measured `count` times, or fewer (at least 3 times) when `limit` ms have passed: on a
// machine that does other work a round can take many times as long.
export async function rounds(count, parts, limit = 60000) {
    const names = Object.keys(parts), end = performance.now() + limit;
    const results = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 0; round < count && (round < 3 || performance.now() < end); round++)
        for (const name of round % 2 ? [...names].reverse() : names)
            results[name].push(await parts[name]());
    return results;
}

export function figure(value, unit) {
    if (value === null || value === undefined || Number.isNaN(value))
        return '-';
    const digits = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
    const text = digits === 0 ? Math.round(value).toLocaleString('en-US') : value.toFixed(digits);
    return unit ? `${text} ${unit}` : text;
}

// One line of the bench. `ratio` is ours to the peer's; `met` is null where there is no budget.
export function line({ id, what, unit, ours, peer = null, peerName = null, ratio = undefined, budget = null, met = null, note = null, rounds: raw = null }) {
    const r = ratio !== undefined ? ratio : peer ? ours / peer : null;
    return { id, what, unit, ours, peer, peer_name: peerName, ratio: r, budget, met, note, rounds: raw };
}

const missed = (id, what, why) => ({ id, what, unit: null, ours: null, peer: null, peer_name: null, ratio: null, budget: null, met: false, note: why, rounds: null, failed: true });
export { missed as notMeasured };

const columns = [
    ['what', (l) => l.what],
    ['VX11', (l) => figure(l.ours, l.unit)],
    ['peer', (l) => l.peer_name ? `${figure(l.peer, l.unit)} ${l.peer_name}` : '-'],
    ['ratio', (l) => l.ratio === null ? '-' : `${figure(l.ratio)}x`],
    ['budget', (l) => l.budget ?? '-'],
    ['met', (l) => l.failed ? 'NOT MEASURED' : l.met === null ? '-' : l.met ? 'yes' : 'NO'],
];

const widths = [44, 16, 26, 8, 22, 3];

export const header = () => columns.map(([name], i) => name.padEnd(widths[i])).join('  ').trimEnd();

export function print(l) {
    console.log(columns.map(([, cell], i) => cell(l).padEnd(widths[i])).join('  ').trimEnd());
    if (l.note)
        console.log(`    ${l.note.replaceAll('\n', '\n    ')}`);
}
