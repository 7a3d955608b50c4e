// How fast a prompt is read that nobody has seen before.
import { ask, chat, compared, figure, median, modelOf, prose, sizeOf, threads, titleOf, turns, withServers } from '../lib/engine.mjs';

export const name = 'prompt';
export const group = 'engine';
export const about = 'prompt speed, tokens/s, beside llama-server';

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), tokens = 700;
    return withServers(ctx, { id: 'prompt', model: await modelOf(ctx, size), count, parallel: 1, context: 2048 }, async (servers) => {
        const r = await turns(ctx, servers, ctx.quick ? 3 : 6, async (server, round) => {
            const one = (await ask(ctx, server, [chat([['user', prose(tokens, 100 + round)]], 1)])).clients[0];
            return { ...one, rate: (one.prompt_tokens - Math.max(0, one.cached_tokens)) / one.first_ms * 1000 };
        });
        return [compared({
            id: 'prompt', what: `prompt speed, ${titleOf(size)}`, unit: 'tok/s', r, value: (x) => x.rate, times: 0.97,
            note: `${count} threads, ${figure(median(r.ours.map((x) => x.prompt_tokens)))} tokens and the first of the answer`,
        })];
    });
}
