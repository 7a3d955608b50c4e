// Eight clients that arrive together with the same system prompt: first cold, then once more.
import { ask, chat, compared, figure, median, modelOf, prose, sizeOf, threads, titleOf, turns, withServers } from '../lib/engine.mjs';

export const name = 'shared';
export const group = 'engine';
export const about = '8 cold clients with one system prompt of 500 tokens, median first token; asked again; beside llama-server';

const CLIENTS = 8;
const firsts = (answer) => median(answer.clients.map((c) => c.first_ms));

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx);
    return withServers(ctx, { id: 'shared', model: await modelOf(ctx, size), count, parallel: CLIENTS, context: 1024 }, async (servers) => {
        const r = await turns(ctx, servers, ctx.quick ? 2 : 3, async (server, round) => {
            const bodies = Array.from({ length: CLIENTS }, (_, i) =>
                chat([['system', prose(480, 200 + round)], ['user', `Question ${i + 1}: what does part ${i + 3} do, and why is it there?`]], 16));
            const cold = await ask(ctx, server, bodies, { limit: 600 });
            return { cold, warm: await ask(ctx, server, bodies, { limit: 600 }) };
        }, 150000);
        const told = (who, part, value) => figure(median(r[who].flatMap((x) => x[part].clients.map(value))));
        const tokens = `${told('ours', 'cold', (c) => c.prompt_tokens)} tokens`;
        const cached = (part) => `cached ${told('ours', part, (c) => c.cached_tokens)}${servers.peer ? `, llama-server ${told('peer', part, (c) => c.cached_tokens)}` : ''}`;
        return [
            compared({ id: 'shared', what: `8 cold clients, shared prompt, ${titleOf(size)}`, unit: 'ms', r, value: (x) => firsts(x.cold), times: 4, larger: false,
                note: `${tokens} each, ${cached('cold')} (medians)` }),
            compared({ id: 'warm', what: 'the same asked again', unit: 'ms', r, value: (x) => firsts(x.warm), larger: false, note: cached('warm') }),
        ];
    });
}
