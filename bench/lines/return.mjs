// A model is stopped with a long conversation and started again: how long until the first token of the next turn, counted from the start of the
// process. Ours keeps the conversation on disk; llama-server, as it comes, reads it anew.
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ask, chat, compared, figure, modelOf, prose, serverStart, sizeOf, threads, titleOf } from '../lib/engine.mjs';
import { stop } from '../lib/process.mjs';

export const name = 'return';
export const group = 'engine';
export const about = 'return to an evicted model with a conversation of 8,000 tokens (--quick: 2,500), first token, against cold';

const BUDGET = 10;

function bytesBelow(dir) {
    return readdirSync(dir, { recursive: true }).map((f) => statSync(join(dir, f))).filter((s) => s.isFile()).reduce((sum, s) => sum + s.size, 0);
}

export async function measure(ctx) {
    const count = threads(), size = sizeOf(ctx), model = await modelOf(ctx, size);
    const tokens = ctx.quick ? 2500 : 8000, saved = join(ctx.dir, 'saved');
    mkdirSync(saved);
    const options = { id: 'return', model, count, parallel: 1, context: tokens + 1000, probe: chat([['user', 'hello']], 1), ours: ['--saved-dir', saved] };
    const talk = [['system', 'You answer questions about a text.'], ['user', prose(tokens, 77)]];
    // One life of a server: start, a turn, stop. Milliseconds until the turn's first token, from the start on.
    const life = async (who, messages, text) => {
        const server = await serverStart(ctx, who, options);
        try {
            const one = (await ask(ctx, server, [chat(messages, 24)], { text, limit: 1500 })).clients[0];
            return { ...one, whole_ms: server.loaded * 1000 + one.first_ms };
        } finally {
            await stop(server.child, 60000);
        }
    };
    const said = join(ctx.dir, 'return-said-');
    const cold = await life('ours', talk, said);
    const next = [...talk, ['assistant', readFileSync(`${said}0`, 'utf8')], ['user', 'And what comes after that?']];
    const bytes = bytesBelow(saved), r = { ours: [] };
    for (let i = 0; i < 3; i++)
        r.ours.push(await life('ours', next));
    if (ctx.llamaServer)
        r.peer = [await life('peer', next)];
    const result = compared({ id: 'return', what: `return to ${figure(r.ours[0].prompt_tokens)} tokens, ${titleOf(size)}`, unit: 'ms', r, value: (x) => x.whole_ms, larger: false });
    const gain = cold.whole_ms / result.ours;
    if (!ctx.quick) { // what little a short conversation costs hides behind the load
        result.budget = `>= ${BUDGET}x of cold`;
        result.met = gain >= BUDGET;
    }
    result.note = `ours cold ${figure(cold.whole_ms)} ms, which is ${figure(gain)}x; cached ${figure(r.ours[0].cached_tokens)} tokens, ${figure(bytes / 1e6)} MB on disk; ${result.note}`;
    result.rounds.cold = cold;
    return [result];
}
