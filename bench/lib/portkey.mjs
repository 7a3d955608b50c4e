// Portkey's gateway (npm): a gateway of the same kind, in the language most of them are written in.
import { join } from 'node:path';
import { freePorts, ready, start } from './process.mjs';

export async function startPortkey(ctx) {
    const [port] = await freePorts(1);
    const script = join(ctx.root, 'bench/node_modules/@portkey-ai/gateway/build/start-server.js');
    const began = performance.now();
    const child = start('portkey', [process.execPath, script, `--port=${port}`, '--headless'], { env: { NODE_ENV: 'production' } });
    await ready(child, () => fetch(`http://127.0.0.1:${port}/`));
    return { child, port, address: `127.0.0.1:${port}`, startMs: performance.now() - began };
}

export const portkeyHeaders = (mock) => ({
    Authorization: 'Bearer bench',
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `http://${mock.address}/v1`,
});
