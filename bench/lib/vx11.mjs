// VX11 itself, in a home of its own on ports of its own.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, onFarewell, run, runSync } from './process.mjs';
import { MODEL } from './requests.mjs';

export class System {
    // provider: "HOST:PORT" of an OpenAI-compatible server, or null.
    static async create(ctx, name, provider) {
        const system = new System();
        system.home = join(ctx.dir, name);
        system.bin = join(ctx.build, 'vx11');
        system.env = { VX11_HOME: system.home };
        const [link, page, sw, hermes, operator] = await freePorts(5);
        system.ports = { link, page, switch: sw, hermes, operator };
        system.address = `127.0.0.1:${link}`;
        const providers = provider
            ? `[{ name: mock, kind: openai, base_url: "http://${provider}/v1", models: [${MODEL}] }]`
            : '[{ name: local, kind: local }]';
        system.config = `link: { port: ${link}, page_port: ${page} }\nhermes: { port: ${hermes} }\noperator: { port: ${operator} }\n` +
            `switch: { port: ${sw}, providers: ${providers} }\n`;
        system.fresh();
        return system;
    }

    fresh() {
        rmSync(this.home, { recursive: true, force: true });
        mkdirSync(this.home, { mode: 0o700 });
        writeFileSync(join(this.home, 'config.yaml'), this.config);
    }

    // Returns the milliseconds until `vx11 up --detach` came back: every module was healthy then.
    async up() {
        this.forget = onFarewell(() => runSync([this.bin, 'down', '--now'], { env: this.env }));
        const began = performance.now();
        await run([this.bin, 'up', '--detach'], { env: this.env });
        return performance.now() - began;
    }

    async down() {
        await run([this.bin, 'down', '--now'], { env: this.env });
        this.forget?.();
    }

    async status() {
        return JSON.parse(await run([this.bin, 'status', '--json'], { env: this.env }));
    }

    // Process ids by name, the supervisor's among them.
    async pids() {
        const status = await this.status();
        return { supervisor: status.pid, ...Object.fromEntries(status.modules.filter((m) => m.pid).map((m) => [m.name, m.pid])) };
    }

    get token() {
        return readFileSync(join(this.home, 'token'), 'utf8').trim();
    }

    get headers() {
        return { Authorization: `Bearer ${this.token}` };
    }
}
