// Answers that must be JSON of a schema: what the grammar costs a token.
import { ask, chat, compared, figure, median, modelOf, sizeOf, threads, titleOf, turns, withServers } from '../lib/engine.mjs';

export const name = 'json';
export const group = 'engine';
export const about = "one stream held to a JSON schema, tokens/s, beside llama-server and beside the same stream left free";

const schema = {
    type: 'object', additionalProperties: false, required: ['items'],
    properties: {
        items: {
            type: 'array', minItems: 20,
            items: {
                type: 'object', additionalProperties: false, required: ['name', 'kind', 'count', 'tags'],
                properties: {
                    name: { type: 'string', maxLength: 20 }, kind: { type: 'string', enum: ['small', 'large', 'other'] },
                    count: { type: 'integer' }, tags: { type: 'array', items: { type: 'string', maxLength: 10 }, minItems: 1, maxItems: 3 },
                },
            },
        },
    },
};

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), tokens = 128, question = [['user', 'List the parts, with their tags.']];
    const held = { response_format: { type: 'json_schema', json_schema: { name: 'parts', strict: true, schema } }, temperature: 0.8, seed: 11 };
    return withServers(ctx, { id: 'json', model: await modelOf(ctx, size), count, parallel: 1, context: 2048 }, async (servers) => {
        const r = await turns(ctx, servers, ctx.quick ? 3 : 5, async (server) => {
            const one = (await ask(ctx, server, [chat(question, tokens, held)])).clients[0];
            const free = (await ask(ctx, server, [chat(question, tokens, { temperature: 0.8, seed: 11 })])).clients[0];
            return { ...one, free: free.tokens_per_s, share: one.tokens_per_s / free.tokens_per_s };
        }, 60000);
        const share = (who) => `${figure(median(r[who].map((x) => x.share)))} of the speed without`;
        return [compared({ id: 'json', what: `held to a JSON schema, ${titleOf(size)}`, unit: 'tok/s', r, value: (x) => x.tokens_per_s,
            note: `${share('ours')}${servers.peer ? `, llama-server ${share('peer')}` : ''}; ${figure(median(r.ours.map((x) => x.tokens)))} tokens` })];
    });
}
