// From the start of the process to the first token of an answer, the file in the page cache; and its memory then.
import { chat, compared, figure, median, modelOf, rss, serverStart, sizeOf, threads, titleOf } from '../lib/engine.mjs';
import { stop } from '../lib/process.mjs';
import { rounds } from '../lib/table.mjs';

export const name = 'load';
export const group = 'engine';
export const about = 'load to first token, the file in the page cache, and memory, beside llama-server';

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), model = await modelOf(ctx, size);
    const once = (who) => async () => {
        const server = await serverStart(ctx, who, { id: 'load', model, count, parallel: 4, context: 2048, probe: chat([['user', 'hello']], 2) });
        const memory = rss(server.child), began = performance.now();
        await stop(server.child, 20000);
        return { seconds: server.loaded, ...memory, stop_ms: performance.now() - began };
    };
    const parts = { ours: once('ours') };
    if (ctx.llamaServer)
        parts.peer = once('peer');
    const r = await rounds(ctx.quick ? 3 : 5, parts, 60000);
    const mb = (who, key) => figure(median(r[who].map((x) => x[key])) / 1e6);
    return [
        compared({ id: 'load', what: `load to first token, ${titleOf(size)}`, unit: 's', r, value: (x) => x.seconds, larger: false }),
        compared({ id: 'rss', what: 'memory then (RSS, with the mapped file)', unit: 'MB', r, value: (x) => x.rss / 1e6, larger: false,
            note: `of it not of the file: ${mb('ours', 'anon')} MB${r.peer ? `, llama-server ${mb('peer', 'anon')} MB` : ''}` }),
    ];
}
