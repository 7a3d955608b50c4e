// The bench's processes: each is remembered from its start on, and ended by its own id, whatever happens.
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const running = new Set();
const farewells = new Set(); // what else must be undone: functions, run synchronously
let folder = '.';

export const logFolder = (path) => { folder = path; };
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const roots = () => [process.pid];

// Starts a server; its output goes to a file of the temporary folder.
export function start(name, argv, options = {}) {
    const path = join(folder, `${name}.log`);
    const log = openSync(path, 'a');
    const child = spawn(argv[0], argv.slice(1), {
        stdio: ['ignore', options.stdout ? 'pipe' : log, log], env: { ...process.env, ...options.env }, cwd: folder,
    });
    closeSync(log);
    child.logPath = path;
    child.name = name;
    child.ended = new Promise((resolve) => {
        child.on('error', (error) => { child.failure = error; resolve(); });
        child.on('exit', () => resolve());
    });
    child.ended.then(() => running.delete(child));
    running.add(child);
    return child;
}

export async function stop(child, patience = 5000) {
    if (!child || child.exitCode !== null || child.signalCode !== null)
        return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), patience);
    await child.ended;
    clearTimeout(timer);
}

export function tail(child, lines = 5) {
    try {
        return readFileSync(child.logPath, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
        return '';
    }
}

// Runs a program to its end and returns what it printed.
export function run(argv, options = {}) {
    return new Promise((resolve, reject) => {
        const child = spawn(argv[0], argv.slice(1), {
            stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env }, cwd: folder,
        });
        const limit = options.limit ?? 120000;
        let out = '', err = '';
        running.add(child);
        const timer = setTimeout(() => { err += `ended after ${limit} ms`; child.kill('SIGKILL'); }, limit);
        child.stdout.on('data', (text) => { if (!options.discard) out += text; options.onOutput?.(out); });
        child.stderr.on('data', (text) => { err += text; });
        child.on('error', (error) => { clearTimeout(timer); running.delete(child); reject(error); });
        child.on('close', (code) => {
            clearTimeout(timer);
            running.delete(child);
            if (code === 0)
                resolve(out);
            else
                reject(new Error(`${argv[0].split('/').pop()}: ${err.trim() || `exit status ${code}`}`));
        });
        options.onStart?.(child);
    });
}

export function runSync(argv, options = {}) {
    return spawnSync(argv[0], argv.slice(1), { encoding: 'utf8', env: { ...process.env, ...options.env }, timeout: 60000 });
}

// Answers once `probe` does not throw, or throws why the process is not there.
export async function ready(child, probe, limit = 20000) {
    const end = performance.now() + limit;
    for (;;) {
        try {
            return await probe();
        } catch (error) {
            const gone = child.exitCode !== null || child.signalCode !== null || child.failure;
            if (gone || performance.now() > end)
                throw new Error(`${child.name} does not answer: ${child.failure?.message ?? (tail(child) || error.message)}`);
        }
        await sleep(5);
    }
}

// Ports that nobody listens on now. All are held open together, so that they differ.
export async function freePorts(count) {
    const servers = [];
    for (let i = 0; i < count; i++) {
        const server = createServer();
        await new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
        servers.push(server);
    }
    const ports = servers.map((server) => server.address().port);
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    return ports;
}

export const onFarewell = (fn) => { farewells.add(fn); return () => farewells.delete(fn); };

// For ends that leave no time: signals, exceptions.
export function endAll() {
    for (const fn of farewells)
        fn();
    farewells.clear();
    for (const child of running)
        child.kill('SIGKILL');
}
