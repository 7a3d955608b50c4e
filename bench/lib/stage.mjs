// The stage that the gateway and latency lines share: one mock provider, and in front of it nginx, Portkey and VX11.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startMock, startProxy } from './nginx.mjs';
import { portkeyHeaders, startPortkey } from './portkey.mjs';
import { chatBody, MODEL } from './requests.mjs';
import { stop } from './process.mjs';
import { System } from './vx11.mjs';

const PATH = '/v1/chat/completions';

// Every contender must really answer, with the mock's text, before it is measured.
async function check(name, c) {
    const reply = await fetch(`http://${c.address}${PATH}`, {
        method: 'POST', body: c.body, headers: { 'Content-Type': 'application/json', ...c.headers },
    });
    const text = await reply.text();
    if (reply.status !== 200 || JSON.parse(text).model !== MODEL)
        throw new Error(`${name} does not pass the chat on: ${reply.status} ${text.slice(0, 200)}`);
}

export async function openStage(ctx) {
    const stage = { ended: false };
    const body = chatBody();
    stage.close = async () => {
        await Promise.all([stop(stage.portkey?.child), stop(stage.nginx?.child), stage.system?.down()]);
        await stop(stage.mock?.child);
    };
    try {
        stage.mock = await startMock(ctx);
        stage.nginx = await startProxy(ctx, 'nginx', stage.mock.address);
        stage.portkey = await startPortkey(ctx);
        stage.system = await System.create(ctx, 'gateway', stage.mock.address);
        await stage.system.up();
        stage.path = PATH;
        stage.bodyFile = join(ctx.dir, 'chat.json');
        writeFileSync(stage.bodyFile, body);
        stage.contenders = {
            direct: { address: stage.mock.address, headers: { Authorization: 'Bearer bench' }, body },
            nginx: { address: stage.nginx.address, headers: { Authorization: 'Bearer bench' }, body },
            vx11: { address: stage.system.address, headers: stage.system.headers, body },
            portkey: { address: stage.portkey.address, headers: portkeyHeaders(stage.mock), body },
        };
        for (const [name, c] of Object.entries(stage.contenders))
            await check(name, c);
    } catch (error) {
        await stage.close().catch(() => {});
        throw error;
    }
    return stage;
}
