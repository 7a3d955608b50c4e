// One stream's decode speed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask, chat, compared, figure, median, modelOf, sizeOf, threads, titleOf, turns, withServers } from '../lib/engine.mjs';

export const name = 'decode';
export const group = 'engine';
export const about = "one stream's decode speed, tokens/s, greedy and sampled, beside llama-server of the same release";

const QUESTION = 'Which port is switch on, and what does it do?';

async function measured(ctx, servers, { id, what, tokens, times, extra, count }) {
    const body = chat([['user', QUESTION]], tokens, extra);
    const text = (who) => join(ctx.dir, `decode-${id}-${who}-`);
    const r = await turns(ctx, servers, 6, async (server) => {
        const one = (await ask(ctx, server, [body], { text: text(server.who) })).clients[0];
        if (one.tokens !== tokens)
            throw new Error(`${server.who} made ${one.tokens} tokens of ${tokens}`);
        return one;
    }, 60000);
    const same = servers.peer && readFileSync(`${text('ours')}0`).equals(readFileSync(`${text('peer')}0`));
    const first = (who) => figure(median(r[who].map((x) => x.first_ms)));
    return compared({
        id, what, unit: 'tok/s', r, value: (x) => x.tokens_per_s, times,
        note: `${count} thread${count > 1 ? 's' : ''}, ${tokens} tokens; first token ${first('ours')} ms` +
            (servers.peer ? `, llama-server ${first('peer')} ms${extra ? '' : `; ${same ? 'the same text' : 'the texts differ'}`}` : ''),
    });
}

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), tokens = 128;
    const large = await withServers(ctx, { id: 'decode', model: await modelOf(ctx, size), count, parallel: 1, context: 2048 }, async (servers) => [
        await measured(ctx, servers, { id: 'decode', what: `one stream's decode, ${titleOf(size)}`, tokens, times: 0.97, count }),
        // Both servers' defaults are the same: temperature 0.8, top_k 40, top_p 0.95, min_p 0.05.
        await measured(ctx, servers, { id: 'decode-sampled', what: 'the same, sampled (default settings)', tokens, times: null, count, extra: { temperature: 0.8, seed: 7 } }),
    ]);
    // The guide is so small that a token is mostly what the server does around the arithmetic; one thread waits for no other.
    const small = await withServers(ctx, { id: 'decode-guide', model: await modelOf(ctx, 'guide'), count: 1, parallel: 1, context: 2048 }, async (servers) => [
        await measured(ctx, servers, { id: 'decode-guide', what: `the same, ${titleOf('guide')}, one thread`, tokens: 256, times: null, count: 1 }),
        await measured(ctx, servers, { id: 'decode-guide-sampled', what: 'the same, sampled', tokens: 256, times: null, count: 1, extra: { temperature: 0.8, seed: 7 } }),
    ]);
    return [...large, ...small];
}
