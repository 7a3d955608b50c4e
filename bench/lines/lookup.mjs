// Guessing ahead where an answer repeats itself: a model whose answers are mostly a cycle of 40 tokens, as answers are that quote or fill in forms.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, chat, compared, figure, median, modelOf, serverStart, sizeOf, threads, titleOf, turns } from '../lib/engine.mjs';
import { stop } from '../lib/process.mjs';

export const name = 'lookup';
export const group = 'engine';
export const about = 'speculation on an answer that repeats itself, tokens/s: as it comes, off, and beside llama-server';

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), tokens = 256, model = await modelOf(ctx, size, ['--repeat', '40']);
    const o = { model, count, parallel: 1, context: 2048 }, servers = {};
    try {
        servers.ours = await serverStart(ctx, 'ours', { ...o, id: 'lookup' });
        servers.off = { ...await serverStart(ctx, 'ours', { ...o, id: 'lookup-off', ours: ['--speculation', 'off'] }), who: 'off' };
        if (ctx.llamaServer)
            servers.peer = await serverStart(ctx, 'peer', { ...o, id: 'lookup' });
        const body = chat([['user', 'Write the table again, line by line.']], tokens);
        const text = (who) => join(ctx.dir, `lookup-${who}-`);
        const r = await turns(ctx, servers, ctx.quick ? 3 : 5, async (server) => (await ask(ctx, server, [body], { text: text(server.who) })).clients[0], 90000);
        const off = median(r.off.map((x) => x.tokens_per_s));
        const same = readFileSync(`${text('ours')}0`).equals(readFileSync(`${text('off')}0`));
        const result = compared({ id: 'lookup', what: `an answer that repeats itself, ${titleOf(size)}`, unit: 'tok/s', r, value: (x) => x.tokens_per_s });
        const gain = result.ours / off;
        result.note = `without speculation ${figure(off)} tok/s: ${figure(gain)}x; ${same ? 'the same text' : 'the texts differ'}; ${result.note}`;
        return [result];
    } finally {
        await Promise.all(Object.values(servers).map((server) => stop(server.child, 20000)));
    }
}
