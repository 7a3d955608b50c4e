// What the machine does: how busy it is with other things decides how far a figure can be trusted.
import { readFileSync, readdirSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

const TICKS = 100; // USER_HZ: the same on every Linux that Node runs on

// Fields of /proc/PID/stat after the command's name: state is [0].
function stat(pid) {
    try {
        const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return text.slice(text.lastIndexOf(')') + 2).split(' ');
    } catch {
        return null;
    }
}

// CPU seconds of a process, and with `dead` also of its children that have ended.
export function cpuSeconds(pid, dead = false) {
    const f = stat(pid);
    if (!f)
        return 0;
    const ticks = Number(f[11]) + Number(f[12]) + (dead ? Number(f[13]) + Number(f[14]) : 0);
    return ticks / TICKS;
}

// The processes below these, themselves included.
export function tree(roots) {
    const parent = new Map();
    for (const name of readdirSync('/proc')) {
        const f = /^\d+$/.test(name) ? stat(name) : null;
        if (f)
            parent.set(Number(name), Number(f[1]));
    }
    const found = new Set(roots);
    for (let grown = true; grown;) {
        grown = false;
        for (const [pid, above] of parent)
            if (found.has(above) && !found.has(pid))
                grown = !!found.add(pid);
    }
    return [...found];
}

// Bytes: the proportional share of memory of a process.
export function pss(pid) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB/m.exec(text)[1]) * 1024;
}

// Seconds that the machine's cores were not idle, since it started.
function busySeconds() {
    const f = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/\s+/).slice(1).map(Number);
    return (f[0] + f[1] + f[2] + f[5] + f[6] + f[7]) / TICKS;
}

// How many cores were kept busy by anything but the processes of `roots()` between two calls.
export class Others {
    constructor(roots) {
        this.roots = roots;
        this.start = this.sample();
    }
    sample() {
        const own = tree(this.roots()).reduce((sum, pid) => sum + cpuSeconds(pid, true), 0);
        return { at: performance.now() / 1000, busy: busySeconds(), own };
    }
    cores() {
        const now = this.sample(), was = this.start;
        const others = now.busy - was.busy - Math.max(0, now.own - was.own);
        return Math.max(0, others / (now.at - was.at));
    }
}

export function describe() {
    const list = cpus();
    return {
        date: new Date().toISOString(),
        cpu: list[0]?.model.trim() ?? 'unknown',
        cores: list.length,
        memory_gib: Math.round(totalmem() / 2 ** 30),
        kernel: release(),
        node: process.version,
        load: loadavg().map((x) => Number(x.toFixed(2))),
    };
}
