// Several clients at a time: how much they get together, and how long they wait while one brings a long prompt.
import { ask, chat, compared, figure, median, modelOf, prose, sizeOf, threads, titleOf, turns, withServers } from '../lib/engine.mjs';

export const name = 'mixed';
export const group = 'engine';
export const about = '8 mixed clients, total tokens/s; worst silence of 4 streams while a prompt of 2,000 tokens is read; beside llama-server';

// Prompts of 20 to 400 tokens, answers of 24 to 136, arriving within two seconds.
const mix = (round) => Array.from({ length: 8 }, (_, i) =>
    [chat([['user', prose([20, 60, 400, 30, 120, 250, 40, 90][i], 1000 + 10 * round + i)]], 24 + 16 * ((i * 5) % 8)), 250 * i]);

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), model = await modelOf(ctx, size);
    const total = await withServers(ctx, { id: 'mixed', model, count, parallel: 8, context: 1024 }, async (servers) => {
        const r = await turns(ctx, servers, ctx.quick ? 2 : 4, (server, round) => ask(ctx, server, mix(round)), 100000);
        const rate = (x) => x.tokens / x.seconds;
        const gaps = (who) => figure(median(r[who].map((x) => Math.max(...x.clients.map((c) => c.gap_ms)))));
        return compared({ id: 'mixed', what: `8 mixed clients, total, ${titleOf(size)}`, unit: 'tok/s', r, value: rate, times: 1,
            note: `worst gap ${gaps('ours')} ms${servers.peer ? `, llama-server ${gaps('peer')} ms` : ''}` });
    });
    const gap = await withServers(ctx, { id: 'gap', model, count, parallel: 5, context: 2560 }, async (servers) => {
        const r = await turns(ctx, servers, ctx.quick ? 2 : 3, async (server, round) => {
            const streams = Array.from({ length: 4 }, (_, i) => chat([['user', `Story ${i} of ${round}, please.`]], size === '110m' ? 400 : 200));
            const answer = await ask(ctx, server, [...streams, [chat([['user', prose(2000, 2000 + round)]], 4), 1000]]);
            return { ...answer, long: answer.clients[4] };
        }, 150000);
        if (r.ours.some((x) => x.long.waited_gap_ms === null))
            throw new Error('the streams had ended before the long prompt came');
        const first = (who) => figure(median(r[who].map((x) => x.long.first_ms)) / 1000);
        return compared({ id: 'gap', what: 'worst gap of 4 streams, 2,000-token prompt read', unit: 'ms', r, value: (x) => x.long.waited_gap_ms, times: 1, larger: false,
            note: `the long prompt's first token after ${first('ours')} s${servers.peer ? `, llama-server ${first('peer')} s` : ''}` });
    });
    return [total, gap];
}
