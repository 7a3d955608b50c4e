// Generated from the contract (api/). Do not edit.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A chat to be answered. */
export interface OpenaiChatRequest {
  /** Name of the model; the default model when absent or empty. */
  model?: string | null;
  /** The conversation so far, oldest first. */
  messages: Array<OpenaiChatMessage>;
  /** Answer as server-sent events, a ChatChunk each, ended by [DONE]. */
  stream?: boolean | null;
  /** Only with stream. */
  stream_options?: OpenaiStreamOptions | null;
  /** Randomness; 0 always takes the likeliest token. The provider's default when absent. */
  temperature?: number | null;
  /** Sample among the likeliest tokens whose probabilities add up to this. */
  top_p?: number | null;
  /** Sample among this many likeliest tokens; 0: all. [tokens] */
  top_k?: number | null;
  /** Drop tokens less likely than this share of the likeliest one. */
  min_p?: number | null;
  /** Most tokens to generate; the older name of max_completion_tokens. [tokens] */
  max_tokens?: number | null;
  /** Most tokens to generate, those of reasoning included. Goes before max_tokens. [tokens] */
  max_completion_tokens?: number | null;
  /** A string, or an array of up to 16 of them: generation ends before the first one met. */
  stop?: Json | null;
  /** The same seed and request give the same answer, as far as the provider can. */
  seed?: number | null;
  /** How many answers to generate; a provider may allow fewer. */
  n?: number | null;
  /** Taken off the score of tokens that appeared at all. */
  presence_penalty?: number | null;
  /** Taken off the score of tokens, once for each time they appeared. */
  frequency_penalty?: number | null;
  /** Divides the score of recent tokens; 1: none. Local engines only. */
  repeat_penalty?: number | null;
  /** How far back the penalties look; 0: not at all, -1: the whole context. Local engines only. [tokens] */
  repeat_last_n?: number | null;
  /** Object of token id to a bias of -100 to 100 on its score. */
  logit_bias?: Json | null;
  /** Return the log probability of each token. */
  logprobs?: boolean | null;
  /** How many of the likeliest tokens to return at each place; needs logprobs. */
  top_logprobs?: number | null;
  /** {"type": "text"}, {"type": "json_object"}, or {"type": "json_schema", "json_schema": {...}}. */
  response_format?: Json | null;
  /** Tools that the model may call: an array of {type, function: {name, description, parameters}}. */
  tools?: Json | null;
  /** "none", "auto", "required", or the one tool to call. */
  tool_choice?: Json | null;
  /** Whether the model may call several tools at once; yes when absent. */
  parallel_tool_calls?: boolean | null;
  /** For reasoning models; none: they are told not to think, where they can be. */
  reasoning_effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | null;
  /** Object of variables for the model's chat template, such as {"enable_thinking": false}. Local engines only. */
  chat_template_kwargs?: Json | null;
  /** Whether the answer goes on from the last message, when that is the assistant's; yes when absent. Local engines only. */
  continue_final_message?: boolean | null;
  /** What the answer must look like, in llama.cpp's GBNF with the root rule "root"; in place of response_format. Local engines only. */
  grammar?: string | null;
  /** What happens to a conversation that does not fit the model's context. Local engines only. */
  context_overflow?: "error" | "shift" | null;
  /** The end user, as the client names them. */
  user?: string | null;
  /** Free object that goes along with the request. */
  metadata?: Json | null;
  /** Go on past the model's end token, up to max_tokens: for measuring. Local engines only. */
  ignore_eos?: boolean | null;
  /** How long the model stays loaded afterwards: a number of seconds, or a string such as "5m"; -1: for ever. Local engines only. */
  keep_alive?: Json | null;
}

/** One message of a conversation. */
export interface OpenaiChatMessage {
  /** Who speaks. */
  role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  /** The text, or an array of parts such as {"type": "text", "text": "..."}; null in an assistant message that only calls tools. */
  content?: Json | null;
  /** Tells apart speakers of the same role; the function's name when the role is function. */
  name?: string | null;
  /** Calls that the assistant made: an array of {id, type, function: {name, arguments}}. */
  tool_calls?: Json | null;
  /** The older form of one call: {name, arguments}. */
  function_call?: Json | null;
  /** The call that a tool message answers. */
  tool_call_id?: string | null;
  /** The assistant's refusal, when it refused. */
  refusal?: string | null;
  /** What the assistant thought before it answered, when a client sends it back. */
  reasoning_content?: string | null;
}

/** What a streamed answer carries besides its text. */
export interface OpenaiStreamOptions {
  /** Send one more chunk before the end, with no choices, that holds the usage of the whole request. */
  include_usage?: boolean | null;
}

/** The whole answer to a chat. */
export interface OpenaiChatReply {
  /** Id of the answer. */
  id: string;
  /** Always chat.completion. */
  object: string;
  /** When it was created, seconds since the epoch. [s] */
  created: number;
  /** The model that answered. */
  model: string;
  /** The answers. */
  choices: Array<OpenaiChatChoice>;
  /** Tokens used. */
  usage?: OpenaiUsage | null;
  /** Names what produced the answer: weights and settings. */
  system_fingerprint?: string | null;
  /** Times of a local engine. */
  vx11?: OpenaiTimings | null;
}

/** One answer of a reply. */
export interface OpenaiChatChoice {
  /** Its number among the n answers. */
  index: number;
  /** The answer. */
  message: OpenaiReplyMessage;
  /** When they were asked for. */
  logprobs: OpenaiLogprobs | null;
  /** Why it ended. */
  finish_reason: "stop" | "length" | "tool_calls" | "content_filter" | "function_call" | null;
  /** The stop string that was met, from those who tell: local engines, servers of Anthropic's, vLLM. An extension. */
  stop_reason?: string | null;
}

/** The assistant's answer. */
export interface OpenaiReplyMessage {
  /** Always assistant. */
  role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  /** The text; null when it only calls tools. */
  content: string | null;
  /** The refusal, when it refused. */
  refusal?: string | null;
  /** What it thought before it answered, when the provider tells. */
  reasoning_content?: string | null;
  /** Calls of tools. */
  tool_calls?: Array<OpenaiToolCall> | null;
}

/** One call of a tool. */
export interface OpenaiToolCall {
  /** What the tool message that answers it names. */
  id: string;
  /** Always function. */
  type: string;
  /** What is called. */
  function: OpenaiCalledFunction;
}

/** A function and what to call it with. */
export interface OpenaiCalledFunction {
  /** Its name. */
  name: string;
  /** Its arguments: a JSON object as text. */
  arguments: string;
}

/** Log probabilities of a choice's tokens. */
export interface OpenaiLogprobs {
  /** The tokens of the text, in order. */
  content: Array<OpenaiTokenLogprob> | null;
}

/** One generated token and how likely it was. */
export interface OpenaiTokenLogprob {
  /** Its text; bytes that are not UTF-8 alone are replaced. */
  token: string;
  /** Natural logarithm of its probability. */
  logprob: number;
  /** Its bytes. */
  bytes: Array<number> | null;
  /** The likeliest tokens at this place, as many as were asked for. */
  top_logprobs: Array<OpenaiTopLogprob>;
}

/** One of the likeliest tokens at a place. */
export interface OpenaiTopLogprob {
  /** Its text; bytes that are not UTF-8 alone are replaced. */
  token: string;
  /** Natural logarithm of its probability. */
  logprob: number;
  /** Its bytes. */
  bytes: Array<number> | null;
}

/** Tokens of one request, as the provider counted them. */
export interface OpenaiUsage {
  /** Tokens of the prompt. [tokens] */
  prompt_tokens: number;
  /** Tokens generated. [tokens] */
  completion_tokens: number;
  /** Both together. [tokens] */
  total_tokens: number;
  /** Parts of prompt_tokens, when the provider tells. */
  prompt_tokens_details?: OpenaiPromptTokensDetails | null;
  /** Parts of completion_tokens, when the provider tells. */
  completion_tokens_details?: OpenaiCompletionTokensDetails | null;
  /** When something was left out of the context. */
  context_shift?: OpenaiContextShift | null;
}

/** What the prompt's tokens were. */
export interface OpenaiPromptTokensDetails {
  /** Prompt tokens that were not computed again, since they were kept from an earlier request. [tokens] */
  cached_tokens: number | null;
  /** Of these, those that were read back from disk. An extension of VX11's. [tokens] */
  restored_tokens: number | null;
}

/** What the generated tokens were. */
export interface OpenaiCompletionTokensDetails {
  /** Generated tokens spent on thinking. [tokens] */
  reasoning_tokens: number | null;
  /** Generated tokens that were guessed ahead. [tokens] */
  accepted_prediction_tokens: number | null;
  /** Tokens that were guessed wrongly; they are not part of completion_tokens. [tokens] */
  rejected_prediction_tokens: number | null;
}

/** What was left out of a conversation that did not fit, when context_overflow allowed it. An extension of VX11's. */
export interface OpenaiContextShift {
  /** Messages that were left out of the prompt, oldest first. [messages] */
  dropped_messages: number;
  /** Tokens of those, with what the answer pushed out of the context while it was written. [tokens] */
  dropped_tokens: number;
}

/** Where the time of a request to a local engine went. An extension of VX11's. */
export interface OpenaiTimings {
  /** Waiting for a place. [ms] */
  queue_ms: number;
  /** From then to the first token. [ms] */
  prompt_ms: number;
  /** From the first token to the end. [ms] */
  decode_ms: number;
  /** Of all answers together, from the first token to the end; null when there was one token only. [tokens/s] */
  tokens_per_second: number | null;
  /** Tokens that were guessed. [tokens] */
  drafted_tokens: number;
  /** Of these, those that were right. [tokens] */
  accepted_tokens: number;
}

/** Text to be continued, without a chat template. */
export interface OpenaiCompletionRequest {
  /** Name of the model; the default model when absent or empty. */
  model?: string | null;
  /** A string, an array of strings, an array of token ids, or an array of those. */
  prompt: Json;
  /** Text that comes after the completion, for models that can fill in the middle. */
  suffix?: string | null;
  /** Return the prompt before the completion. */
  echo?: boolean | null;
  /** Generate this many, return the n likeliest. */
  best_of?: number | null;
  /** Return the log probabilities of this many likeliest tokens at each place. */
  logprobs?: number | null;
  /** Answer as server-sent events, a CompletionReply each, ended by [DONE]. */
  stream?: boolean | null;
  /** Only with stream. */
  stream_options?: OpenaiStreamOptions | null;
  /** Randomness; 0 always takes the likeliest token. The provider's default when absent. */
  temperature?: number | null;
  /** Sample among the likeliest tokens whose probabilities add up to this. */
  top_p?: number | null;
  /** Sample among this many likeliest tokens; 0: all. [tokens] */
  top_k?: number | null;
  /** Drop tokens less likely than this share of the likeliest one. */
  min_p?: number | null;
  /** Most tokens to generate. The provider's default when absent; 0 only makes sense with echo and logprobs. [tokens] */
  max_tokens?: number | null;
  /** A string, or an array of up to 16 of them: generation ends before the first one met. */
  stop?: Json | null;
  /** The same seed and request give the same answer, as far as the provider can. */
  seed?: number | null;
  /** How many completions to generate for each prompt. */
  n?: number | null;
  /** Taken off the score of tokens that appeared at all. */
  presence_penalty?: number | null;
  /** Taken off the score of tokens, once for each time they appeared. */
  frequency_penalty?: number | null;
  /** Divides the score of recent tokens; 1: none. Local engines only. */
  repeat_penalty?: number | null;
  /** How far back the penalties look; 0: not at all, -1: the whole context. Local engines only. [tokens] */
  repeat_last_n?: number | null;
  /** Object of token id to a bias of -100 to 100 on its score. */
  logit_bias?: Json | null;
  /** The end user, as the client names them. */
  user?: string | null;
  /** What the answer must look like, in llama.cpp's GBNF with the root rule "root". Local engines only. */
  grammar?: string | null;
  /** Go on past the model's end token, up to max_tokens: for measuring. Local engines only. */
  ignore_eos?: boolean | null;
  /** How long the model stays loaded afterwards: a number of seconds, or a string such as "5m"; -1: for ever. Local engines only. */
  keep_alive?: Json | null;
}

/** A completion, whole or one chunk of a streamed one. */
export interface OpenaiCompletionReply {
  /** Id of the completion. */
  id: string;
  /** Always text_completion. */
  object: string;
  /** When it was created, seconds since the epoch. [s] */
  created: number;
  /** The model that answered. */
  model: string;
  /** Names what produced it: weights and settings. */
  system_fingerprint?: string | null;
  /** The completions; empty in the chunk that holds the usage. */
  choices: Array<OpenaiCompletionChoice>;
  /** Tokens used. */
  usage?: OpenaiUsage | null;
  /** Times of a local engine, in the last chunk of a stream. */
  vx11?: OpenaiTimings | null;
}

/** One completion. */
export interface OpenaiCompletionChoice {
  /** The text, or what a chunk adds to it. */
  text: string;
  /** Its number among the completions. */
  index: number;
  /** When they were asked for. */
  logprobs: OpenaiCompletionLogprobs | null;
  /** Why it ended; null in a chunk before the end. */
  finish_reason: "stop" | "length" | "tool_calls" | "content_filter" | "function_call" | null;
}

/** Log probabilities of a completion, in the older form: parallel arrays. */
export interface OpenaiCompletionLogprobs {
  /** Text of each token. */
  tokens: Array<string>;
  /** Array of each token's log probability; null for the first token of an echoed prompt. */
  token_logprobs: Json | null;
  /** Array of objects of the likeliest tokens' text to log probability. */
  top_logprobs: Json | null;
  /** Where each token begins in the text. [characters] */
  text_offset: Array<number>;
}

/** Texts to be turned into vectors. */
export interface OpenaiEmbeddingRequest {
  /** Name of the model; the default model when absent or empty. */
  model?: string | null;
  /** A string, an array of up to 2048 strings, an array of token ids, or an array of up to 2048 of those. */
  input: Json;
  /** How each vector is written. */
  encoding_format?: "float" | "base64" | null;
  /** Keep this many of the vector's first numbers, scaled to length 1 again; all when absent. */
  dimensions?: number | null;
  /** How long the model stays loaded afterwards: a number of seconds, or a string such as "5m"; -1: for ever. Local engines only. */
  keep_alive?: Json | null;
  /** The end user, as the client names them. */
  user?: string | null;
}

/** The vectors. */
export interface OpenaiEmbeddingReply {
  /** Always list. */
  object: string;
  /** One vector for each input, in their order. */
  data: Array<OpenaiEmbedding>;
  /** The model that computed them. */
  model: string;
  /** Tokens used. */
  usage: OpenaiEmbeddingUsage;
}

/** The vector of one input. */
export interface OpenaiEmbedding {
  /** Always embedding. */
  object: string;
  /** Which input it is of. */
  index: number;
  /** Array of numbers, or a base64 string when encoding_format asked for that; of length 1 as a vector. */
  embedding: Json;
}

/** Tokens of one request for vectors. */
export interface OpenaiEmbeddingUsage {
  /** Tokens of all inputs. [tokens] */
  prompt_tokens: number;
  /** The same: nothing is generated. [tokens] */
  total_tokens: number;
}

/** The models that can answer. */
export interface OpenaiModelList {
  /** Always list. */
  object: string;
  /** The models. */
  data: Array<OpenaiModel>;
}

/** One model that can answer. */
export interface OpenaiModel {
  /** Its name. */
  id: string;
  /** Always model. */
  object: string;
  /** When it was made, seconds since the epoch; 0: not known. [s] */
  created: number | null;
  /** Who offers it: the provider's name. */
  owned_by: string | null;
  /** What it can be asked for; null where the provider does not tell. An extension of VX11's. */
  capabilities?: Array<"chat" | "completion" | "embeddings"> | null;
  /** What VX11 knows besides: provider, whether it is loaded, context length, size. */
  vx11?: Json | null;
}

/** State of the worker, measured now. */
export interface EngineStatus {
  /** What it does. */
  state: "loading" | "ready" | "failed" | "stopping";
  /** Share of the load that is done. */
  progress: number;
  /** Why it failed. */
  reason: string | null;
  /** How long the load took; null until it is over. [ms] */
  load_ms: number | null;
  /** The model; null until it is loaded. */
  model: EngineModelFacts | null;
  /** Why it failed, for programs: insufficient_memory or model_load_failed. */
  failure: string | null;
  /** How the load goes, or went. */
  load: EngineLoad;
  /** What the model takes; null until that is known. */
  memory: EngineMemory | null;
  /** Processors, once they are known. */
  devices: Array<EngineDevice>;
  /** Waiting for a slot. */
  queue_seconds: EngineSpread;
  /** From a request's arrival to its first token. */
  first_token_seconds: EngineSpread;
  /** Share of the prompt tokens that were found in the cache; null while there were none. */
  cache_hit_ratio: number | null;
  /** Mean tokens of a step since the start. */
  step_tokens: number | null;
  /** Most answers that one request may ask for. */
  n_max: number;
  /** Requests for answers, embeddings or tokens that have arrived since the start, refused ones included. [requests] */
  requests: number;
  /** Sequences that are being read or written. */
  slots_busy: number;
  /** Sequences at a time. */
  slots_total: number;
  /** Requests that wait for a slot. [requests] */
  queue_length: number;
  /** Past this, requests are refused with 429. [requests] */
  queue_limit: number;
  /** KV cells that hold a token, live or kept for the next turn; shared ones count once. [tokens] */
  cells_used: number | null;
  /** KV cells there are. [tokens] */
  cells_total: number | null;
  /** Of those used, the ones that no running answer needs: kept for a next turn, and given up when room is needed. [tokens] */
  cells_kept: number;
  /** Conversations that are kept in the cells. */
  branches: number;
  /** Kept tokens that were given up since the start. [tokens] */
  evicted_tokens: number;
  /** Conversations that were given up, whole or in part. */
  evicted_branches: number;
  /** Answers that made room for others and went on later. */
  preemptions: number;
  /** Speed of reading prompts over the last 8 seconds, of busy time; null when none was read. [tokens/s] */
  prompt_tokens_per_second: number | null;
  /** Speed of writing, all sequences together, over the last 8 seconds, of busy time; null when nothing was written. [tokens/s] */
  decode_tokens_per_second: number | null;
  /** Generations that ended since the start. */
  generations: number;
  /** Of these, those that failed. */
  generations_failed: number;
  /** Of these, those whose caller left. */
  generations_cancelled: number;
  /** Prompt tokens computed since the start. [tokens] */
  prompt_tokens: number;
  /** Prompt tokens found in the cache since the start. [tokens] */
  cached_tokens: number;
  /** Of these, those that were read back from disk. [tokens] */
  restored_tokens: number;
  /** Conversations on disk; null when none are kept. */
  saved: EngineSaved | null;
  /** Tokens sampled since the start. [tokens] */
  completion_tokens: number;
  /** Batches decoded since the start. */
  steps: number;
  /** Whether it is worth guessing ahead at the moment. */
  speculating: boolean;
  /** Tokens guessed since the start. [tokens] */
  drafted_tokens: number;
  /** Of these, those that were right. [tokens] */
  accepted_tokens: number;
  /** Speed of answers with guesses against without, as last measured; null when too few were made. */
  speculation_gain: number | null;
  /** Requests for embeddings that ended since the start. */
  embedding_requests: number;
  /** Inputs embedded since the start. */
  embedding_inputs: number;
  /** Tokens computed for embeddings since the start. [tokens] */
  embedding_tokens: number;
  /** Requests for embeddings that wait or are being computed. [requests] */
  embedding_queue_length: number;
  /** Memory that the context of embeddings holds besides the weights, estimated from its shape; 0 before the first request. [bytes] */
  embedding_context_bytes: number;
  /** Resident memory of the process. [bytes] */
  rss_bytes: number | null;
  /** Since the process started. [ms] */
  uptime_ms: number;
}

/** The loaded model. */
export interface EngineModelFacts {
  /** Name that requests use. */
  name: string;
  /** Its file. */
  path: string;
  /** Architecture, size and quantisation, as libllama names them. */
  description: string;
  /** Number of weights. */
  parameters: number;
  /** Size of the weights. [bytes] */
  size_bytes: number;
  /** Size of the vocabulary. [tokens] */
  vocabulary: number;
  /** Context that the model was trained for. [tokens] */
  context_trained: number;
  /** Most tokens of one request with its answer. [tokens] */
  context_length: number;
  /** How the cells are kept. */
  kv_type: "f16" | "q8_0";
  /** Layers on graphics processors. */
  gpu_layers: number;
  /** How positions are made longer than trained for, by the file's metadata. */
  rope: EngineRope;
  /** Whether chats can be answered. */
  chat_template: "ready" | "absent" | "unsupported";
  /** Why the template cannot be applied, when it is unsupported. */
  chat_template_reason: string | null;
  /** What it can be asked for. */
  capabilities: Array<"chat" | "completion" | "embeddings">;
  /** How embeddings are pooled. */
  pooling: "none" | "mean" | "cls" | "last" | "rank";
  /** Numbers of an embedding. */
  embedding_length: number;
  /** Most tokens of one input of embeddings. [tokens] */
  embedding_input_max: number;
  /** Threads that compute now: as many as were asked for, else as many as measure fastest. */
  threads: number;
  /** Most tokens of one step. [tokens] */
  batch: number;
}

/** Scaling of positions. libllama applies what the file says. */
export interface EngineRope {
  /** none, linear, yarn or longrope. */
  scaling: string;
  /** How much longer the context may be. */
  factor: number | null;
  /** Context before the scaling. [tokens] */
  original_context: number | null;
  /** Longest context that the metadata vouch for; null when they name none. [tokens] */
  context_most: number | null;
}

/** How the load goes, or went. */
export interface EngineLoad {
  /** Of the file, in memory so far. [bytes] */
  bytes_read: number;
  /** Size of the file; 0 until it was looked at. [bytes] */
  bytes_total: number;
  /** How much is done: the reading counts for half, what is made of it for the other. */
  percent: number;
  /** Of the file, what was not in the page cache; null until the load is over, as below. [bytes] */
  from_disk_bytes: number | null;
  /** Reckoning the memory. [ms] */
  plan_ms: number | null;
  /** Weights and vocabulary. [ms] */
  weights_ms: number | null;
  /** Cells and buffers. [ms] */
  context_ms: number | null;
  /** A first token, which nobody sees. [ms] */
  warm_ms: number | null;
}

/** What the model takes of the machine's memory, as it was reckoned before the load. */
export interface EngineMemory {
  /** All of it. [bytes] */
  need_bytes: number;
  /** What was free then; null: unknown. [bytes] */
  free_bytes: number | null;
  /** Weights used where the file is mapped. [bytes] */
  weights_mapped_bytes: number;
  /** Weights of which there is a copy in the order that this processor likes best. [bytes] */
  weights_copied_bytes: number;
  /** Cells. [bytes] */
  kv_bytes: number;
  /** Buffers of a step. [bytes] */
  compute_bytes: number;
  /** Vocabulary, logits and the like. [bytes] */
  rest_bytes: number;
  /** Whether memory was too short for what was wanted: the cells, the context or the GPU layers are fewer. */
  reduced: boolean;
}

/** A processor that libllama can compute with, and the memory it has now. */
export interface EngineDevice {
  /** Its name. */
  name: string;
  /** What it is. */
  description: string;
  /** A graphics processor: layers can be put there. */
  gpu: boolean;
  /** Free memory; null: it does not say. [bytes] */
  free_bytes: number | null;
  /** Memory. [bytes] */
  total_bytes: number | null;
  /** What the model takes there, as it was reckoned. [bytes] */
  used_bytes: number;
}

/** Of what was measured since the start, estimated from a histogram; null while nothing was. */
export interface EngineSpread {
  /** Half are at most this. */
  median: number | null;
  /** Nineteen of twenty are at most this. */
  p95: number | null;
}

/** Conversations that are kept on disk, so that they go on where they were when the model is loaded again. All models share one folder; tokens and files read and written are this process's. */
export interface EngineSaved {
  /** Conversations of all models, when the folder was last looked at. */
  files: number;
  /** Their size. [bytes] */
  bytes: number;
  /** Past this, those go whose model is gone, then those that were used longest ago. [bytes] */
  most_bytes: number;
  /** Conversations written. */
  written: number;
  /** Their tokens. [tokens] */
  written_tokens: number;
  /** Their size. [bytes] */
  written_bytes: number;
  /** Time spent writing. [s] */
  write_seconds: number;
  /** Conversations read back. */
  read: number;
  /** Their tokens, also those past what a prompt wanted. [tokens] */
  read_tokens: number;
  /** Their size. [bytes] */
  read_bytes: number;
  /** Time spent reading. [s] */
  read_seconds: number;
  /** Conversations of this model that were deleted for want of room. */
  dropped: number;
  /** Files that were cut short, changed or of another model: deleted, never used. */
  damaged: number;
}

/** Text to tokens. */
export interface EngineTokenizeRequest {
  /** The text. */
  content: string;
  /** With the tokens that the model wants at the start and the end of a text. */
  add_special?: boolean;
  /** Text that spells a control token becomes that token. */
  parse_special?: boolean;
  /** Return each token's text too. */
  with_pieces?: boolean;
}

/** The tokens. */
export interface EngineTokenizeReply {
  /** Token ids. */
  tokens: Array<number>;
  /** How many. [tokens] */
  count: number;
  /** Text of each; bytes that are not UTF-8 alone are replaced. */
  pieces?: Array<string> | null;
}

/** The length of a chat's prompt. */
export interface EngineCountReply {
  /** Tokens, with what the template and the tools add. [tokens] */
  input_tokens: number;
}

/** Tokens to text. */
export interface EngineDetokenizeRequest {
  /** Token ids. */
  tokens: Array<number>;
  /** Spell control tokens out. */
  with_special?: boolean;
}

/** The text. */
export interface EngineDetokenizeReply {
  /** The text; bytes that are not UTF-8 are replaced. */
  content: string;
}

/** All registered models. */
export interface HermesModelList {
  /** Sorted by name. */
  models: Array<HermesModel>;
  /** Grows with each change of the registry; for caches. */
  version: number;
}

/** A registered model. Facts come from the file's own header. */
export interface HermesModel {
  /** Id of the registration. */
  id: string;
  /** Name that requests use. */
  name: string;
  /** Where it came from. */
  source: "builtin" | "scan" | "added" | "pulled" | "engine";
  /** Whether it can be used. */
  status: "available" | "missing" | "invalid";
  /** Why it cannot be used. */
  reason: string | null;
  /** Absolute path of the file; engine:NAME for a model of an engine of hermes.engines. */
  path: string;
  /** Size of the file. [bytes] */
  size_bytes: number | null;
  /** Hash of the file; null until it was computed. */
  sha256: string | null;
  /** general.architecture, e.g. llama. */
  architecture: string | null;
  /** general.name. */
  title: string | null;
  /** Number of weights, summed over the tensors. */
  parameters: number | null;
  /** Most common tensor type by weights, e.g. Q4_K. */
  quantisation: string | null;
  /** Context the model was trained for. [tokens] */
  context_length: number | null;
  /** Width of the model. */
  embedding_length: number | null;
  /** Blocks of the model. */
  layers: number | null;
  /** Size of the vocabulary. [tokens] */
  vocabulary: number | null;
  /** Whether the file brings a chat template. */
  has_chat_template: boolean;
  /** What it can be asked for, by its architecture; its engine knows better once it is loaded. */
  capabilities: Array<"chat" | "completion" | "embeddings">;
  /** general.license, when the file says so. */
  licence: string | null;
  /** Whether requests may use it. */
  enabled: boolean;
  /** Its worker; null when none runs. */
  engine: HermesEngine | null;
  /** Once loaded it is not unloaded for another model nor for being idle. */
  pinned: boolean;
  /** Requests that its engines have taken. [requests] */
  usage_count: number;
  /** When last. [epoch ms] */
  last_used_at: number | null;
  /** When it was registered. [epoch ms] */
  created_at: number;
  /** When its facts last changed. [epoch ms] */
  updated_at: number;
}

/** A worker process that holds one loaded model. */
export interface HermesEngine {
  /** Model name. */
  model: string;
  /** Its state. */
  state: "stopped" | "waiting" | "starting" | "loading" | "ready" | "stopping" | "failed";
  /** Why it failed or stopped. */
  reason: string | null;
  /** Process id. */
  pid: number | null;
  /** Unix socket on which it answers. */
  socket: string | null;
  /** Where an engine that is not VX11's own answers, without its /v1; null: by the socket. */
  base_url: string | null;
  /** What such an engine calls the model. */
  upstream_model: string | null;
  /** Name of the engine in hermes.engines; null: VX11's own. */
  engine: string | null;
  /** Share of the load that is done, as the worker reports it. */
  progress: number | null;
  /** Of its file, in memory so far. [bytes] */
  bytes_read: number | null;
  /** Size of its file. [bytes] */
  bytes_total: number | null;
  /** Memory that it takes, as the worker reckoned; before that, as Hermes estimates. [bytes] */
  need_bytes: number | null;
  /** When the process started. [epoch ms] */
  started_at: number | null;
  /** From start to ready. [ms] */
  load_ms: number | null;
  /** Resident memory now. [bytes] */
  rss_bytes: number | null;
  /** When it was last handed out. [epoch ms] */
  last_used_at: number | null;
  /** Times it was started again after a crash. */
  restarts: number;
  /** It is not unloaded for another model nor for being idle. */
  pinned: boolean;
  /** Group of models that it belongs to. */
  group: string | null;
  /** Requests that wait for it. [requests] */
  parked: number;
  /** Requests that it was handed out for and that have not arrived. [requests] */
  expected: number;
  /** Requests that it answers or queues, as it last said. [requests] */
  busy: number | null;
  /** When it is unloaded unless somebody uses it; null: never, or not loaded. [epoch ms] */
  expires_at: number | null;
}

/** A model by name. */
export interface HermesModelName {
  /** Model name. */
  name: string;
}

/** Registers a GGUF file where it lies; it is never moved or deleted. */
export interface HermesAddModel {
  /** Absolute path of a GGUF file. */
  path: string;
  /** Name for requests; from the file's name when absent. */
  name?: string;
}

/** A model to forget. */
export interface HermesModelRemoveParams {
  /** Model name. */
  name: string;
  /** Delete its file too: only one that Hermes downloaded (409 otherwise). */
  delete_file?: boolean;
}

/** What would be done to load a model. */
export interface HermesPlanRequest {
  /** Model name. */
  model: string;
}

/** How a model would be loaded now. Nothing was done. */
export interface HermesPlan {
  /** Model name. */
  model: string;
  /** ready: it is loaded. loading: it is being loaded. start: there is room. evict: after unloading `evict`, in that order. wait: for memory that is being given back, or for the requests of `drain` to end. never: no unloading makes room. */
  verdict: "ready" | "loading" | "start" | "evict" | "wait" | "never";
  /** The same in a sentence. */
  reason: string;
  /** What it takes with a full context. [bytes] */
  need_bytes: number;
  /** What it takes with the shortest context that it would be loaded with. [bytes] */
  least_bytes: number;
  /** What all models may take; null: unknown. [bytes] */
  budget_bytes: number | null;
  /** Of that, what the running engines take or will take. [bytes] */
  used_bytes: number;
  /** What is missing of what it needs, now; with never: of the least. [bytes] */
  missing_bytes: number;
  /** What would be unloaded, in order. */
  evict: Array<HermesPlanStep>;
  /** What is in use and would be unloaded once it is not. */
  drain: Array<HermesPlanStep>;
}

/** An engine that would be unloaded, or whose requests would be waited for. */
export interface HermesPlanStep {
  /** Model name. */
  model: string;
  /** What that gives back. [bytes] */
  frees_bytes: number;
  /** What loading it again would read. [bytes] */
  reload_bytes: number;
  /** When it was last handed out. [epoch ms] */
  last_used_at: number | null;
  /** Requests for it so far. [requests] */
  usage_count: number;
}

/** Asks for a download of a model. */
export interface HermesPullRequest {
  /** Name of the catalogue, hf:OWNER/REPO[:FILE or QUANTISATION][@REVISION], an https:// or a file:// URL. */
  source?: string;
  /** Another name for source; OWNER/REPO is enough. */
  model_id?: string;
  /** Name to register it under. */
  name?: string;
  /** Branch, tag or commit of the repository. */
  revision?: string;
  /** Most bytes a second; 0: what hermes.pull.rate_bytes says. [bytes] */
  rate_bytes?: number;
}

/** A download of a model. */
export interface HermesPull {
  /** Id. */
  id: string;
  /** What was asked for. */
  source: string;
  /** OWNER/REPO of the hub. */
  repository: string | null;
  /** As asked for. */
  revision: string | null;
  /** Commit of the repository that is pulled. */
  commit: string | null;
  /** Name asked for. */
  name: string | null;
  /** State. */
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  /** What it does; null when it does not run. */
  phase: "resolving" | "downloading" | "verifying" | "registering" | null;
  /** Why it failed or was cancelled. */
  reason: string | null;
  /** The same as a short stable name. */
  code: string | null;
  /** Downloaded so far, all files. [bytes] */
  bytes: number;
  /** Of all files. [bytes] */
  total: number | null;
  /** Measured over the last seconds. [bytes/s] */
  rate: number | null;
  /** Until it is downloaded, at this rate. [ms] */
  eta_ms: number | null;
  /** Most bytes a second that it may take; 0: no limit of its own. [bytes] */
  rate_bytes: number;
  /** Open now. */
  connections: number;
  /** Requests that had to be made again. */
  retries: number;
  /** Times it went on after Hermes started again. */
  resumed: number;
  /** What was on disk already when it began. [bytes] */
  resumed_bytes: number;
  /** Its files; empty until they are known. */
  parts: Array<HermesPullPart>;
  /** What it chose and what went differently. */
  notes: Array<string>;
  /** First file. */
  path: string | null;
  /** Name it was registered under. */
  model: string | null;
  /** When it was asked for. [epoch ms] */
  created_at: number;
  /** When it began. [epoch ms] */
  started_at: number | null;
  /** When it ended. [epoch ms] */
  ended_at: number | null;
}

/** One file of a pull. */
export interface HermesPullPart {
  /** Its name at the source. */
  file: string;
  /** Downloaded so far. [bytes] */
  bytes: number;
  /** Size. [bytes] */
  total: number | null;
  /** Hashed so far. [bytes] */
  hashed: number;
  /** What its hash must be; null when nobody says. */
  sha256: string | null;
  /** Whether it is whole, checked and in place. */
  done: boolean;
}

/** Pulls. */
export interface HermesPullList {
  /** Newest first, at most 100. */
  pulls: Array<HermesPull>;
}

/** A pull by id. */
export interface HermesPullParams {
  /** Id. */
  id: string;
}

/** A pull to cancel. */
export interface HermesPullCancelParams {
  /** Id. */
  id: string;
  /** Delete what was downloaded; else it is kept for another try. */
  discard?: boolean;
}

/** What can be pulled by name. */
export interface HermesCatalog {
  /** In the catalogue's order. */
  models: Array<HermesCatalogEntry>;
  /** "built in", or the path of hermes.catalogue. */
  origin: string;
  /** What fits is measured by: the machine's memory. [bytes] */
  memory_bytes: number | null;
  /** How many. */
  total_models: number;
  /** Now. [epoch ms] */
  timestamp: number;
}

/** A model that can be pulled by name. */
export interface HermesCatalogEntry {
  /** Name. */
  name: string;
  /** Name for people. */
  title: string;
  /** OWNER/REPO of the hub. */
  repository: string;
  /** File in the repository. */
  file: string;
  /** Branch, tag or commit. */
  revision: string | null;
  /** Size; null when it is not known before the pull. [bytes] */
  size_bytes: number | null;
  /** Hash; null: not known before the pull. */
  sha256: string | null;
  /** Licence. */
  licence: string | null;
  /** Context the model was trained for. [tokens] */
  context: number | null;
  /** For people: 7.2B. */
  parameters: string | null;
  /** Estimate of the memory it needs: size * 1.15 + 256 MiB; null without a size. [bytes] */
  ram_bytes: number | null;
  /** What it is good for. */
  tags: Array<string>;
  /** What it can be asked for. */
  capabilities: Array<"chat" | "completion" | "embeddings">;
  /** Whether it is here. */
  state: "absent" | "partial" | "installed";
  /** On disk of an unfinished pull. [bytes] */
  partial_bytes: number | null;
  /** Name it is registered under. */
  model: string | null;
  /** Whether ram_bytes is within the machine's memory; null when one of them is not known. */
  fits: boolean | null;
}

/** Which models. */
export interface HermesCatalogSummaryParams {
  /** Largest file. [MiB] */
  max_mb?: number;
}

/** Registered models and the catalogue's, up to a size. Models of unknown size are listed with null. */
export interface HermesCatalogSummary {
  /** Registered. */
  local: Array<HermesCatalogSummaryLocal>;
  /** In the catalogue. */
  catalog: Array<HermesCatalogSummaryEntry>;
  /** What was asked for. */
  limits: HermesCatalogLimits;
  /** Now. [epoch ms] */
  timestamp: number;
}

/** A registered model in short. */
export interface HermesCatalogSummaryLocal {
  /** Name. */
  name: string;
  /** Size. [MiB] */
  size_mb: number | null;
  /** What it can be asked for first. */
  category: string;
  /** Whether it can be used. */
  status: "available" | "missing" | "invalid";
  /** Times an engine was handed out for it. [requests] */
  usage: number;
}

/** A model of the catalogue in short. */
export interface HermesCatalogSummaryEntry {
  /** Name. */
  name: string;
  /** Size; null: not known. [MiB] */
  size_mb: number | null;
  /** Whether it is here. */
  state: "absent" | "partial" | "installed";
  /** As in Catalog. */
  fits: boolean | null;
}

/** What was asked for. */
export interface HermesCatalogLimits {
  /** Largest file. [MiB] */
  max_mb: number;
}

/** Searches the hub. */
export interface HermesSearchRequest {
  /** Words. */
  query: string;
  /** Most answers. [rows] */
  limit?: number;
}

/** What the hub found. */
export interface HermesSearchReply {
  /** Most downloaded first. */
  models: Array<HermesSearchModel>;
  /** Hub that was asked. */
  endpoint: string;
}

/** A repository of the hub. */
export interface HermesSearchModel {
  /** OWNER/REPO: pull it with hf:OWNER/REPO. */
  repository: string;
  /** As the hub counts. */
  downloads: number | null;
  /** As the hub counts. */
  likes: number | null;
  /** Its licence tag. */
  licence: string | null;
  /** Whether its terms must be accepted first. */
  gated: boolean | null;
  /** lastModified, as the hub writes it. */
  updated_at: string | null;
  /** At most 20. */
  tags: Array<string>;
}

/** What a scan of the models folders found. */
export interface HermesScanReply {
  /** Names now registered. */
  added: Array<string>;
  /** Names whose file changed. */
  changed: Array<string>;
  /** Names whose file has gone. */
  missing: Array<string>;
  /** Files that are not sound. */
  refused: Array<HermesRefusal>;
  /** How long it took. [ms] */
  duration_ms: number;
}

/** A file that was refused. */
export interface HermesRefusal {
  /** File. */
  path: string;
  /** Why. */
  reason: string;
}

/** Engine workers. */
export interface HermesEngineList {
  /** All that run or failed. */
  engines: Array<HermesEngine>;
}

/** Asks for a ready engine of a model, starting one when there is none. */
export interface HermesAcquireRequest {
  /** Model name. */
  model: string;
  /** How long to wait for the load. [ms] */
  wait_ms?: number;
  /** How long the model stays loaded after its last request; 0: it goes right after this one; -1: it stays; null: as an earlier request said, or hermes.idle_unload_ms. [ms] */
  keep_alive_ms?: number | null;
}

/** Loads a model if need be, and has it generate. */
export interface HermesWarmRequest {
  /** How many. [tokens] */
  tokens?: number;
  /** Longest time, the load included. [ms] */
  timeout_ms?: number;
}

/** How a model was found when it was tried out. */
export interface HermesWarmResult {
  /** Model name. */
  model: string;
  /** How it was found. */
  state: "pending" | "running" | "ready" | "failed";
  /** Why it failed, for programs. */
  code: string | null;
  /** Why it failed. */
  reason: string | null;
  /** When that ended. [epoch ms] */
  at: number | null;
  /** Whether it was loaded already. */
  loaded_before: boolean | null;
  /** Until its engine was ready, the wait for room included. [ms] */
  load_ms: number | null;
  /** From the prompt's being sent to the first token, or to the vector of a model that only embeds. [ms] */
  first_token_ms: number | null;
  /** Generated tokens as the engine counted them, or the pieces of text that came where it does not; null: none, also of a model that only embeds. [tokens] */
  tokens: number | null;
  /** Speed after the first token; null when there was only one. [tokens/s] */
  tokens_per_s: number | null;
  /** Times it was tried since Hermes started. */
  runs: number;
  /** Of these, failed. */
  failures: number;
}

/** The preloaded models, and others that were tried out. */
export interface HermesWarmupStatus {
  /** Whether anything is preloaded. */
  enabled: boolean;
  /** Whether models are being tried now. */
  running: boolean;
  /** Names of hermes.preload. */
  preload: Array<string>;
  /** How often they are tried; null: at the start or when asked. [ms] */
  every_ms: number | null;
  /** When the last round ended. [epoch ms] */
  last_at: number | null;
  /** When the next one begins. [epoch ms] */
  next_at: number | null;
  /** By name. */
  models: Array<HermesWarmResult>;
  /** Of these, ready. */
  total_ready: number;
  /** Of these, failed. */
  total_failed: number;
}

/** Tries models out now. */
export interface HermesWarmupRequest {
  /** Which; absent: those of hermes.preload. */
  models?: Array<string> | null;
  /** How many each; absent: hermes.warmup.tokens. [tokens] */
  tokens?: number | null;
  /** Longest time for each; absent: hermes.warmup.timeout_ms. [ms] */
  timeout_ms?: number | null;
  /** Reply when all were tried; else at once. */
  wait?: boolean;
}

/** Asks for the engine of a model, or for one of hermes.engines. */
export interface HermesGetEngine {
  /** Name of a model, or of an engine of the configuration. */
  engine_id: string;
  /** Start it when it does not run, and wait until it is ready. */
  start?: boolean;
}

/** Where an engine answers. */
export interface HermesGetEngineReply {
  /** As asked. */
  engine_id: string;
  /** unix:PATH, or a URL without its /v1. */
  endpoint: string;
  /** What is known of it. */
  metadata: HermesEngineMetadata;
  /** It answers; all else is an error. */
  status: "available";
}

/** What is known of an engine. */
export interface HermesEngineMetadata {
  /** worker: VX11's own. */
  kind: "worker" | "command" | "address";
  /** Its model; null for an address. */
  model: string | null;
  /** What an engine that is not VX11's own calls it. */
  upstream_model: string | null;
  /** Process id. */
  pid: number | null;
  /** Resident memory now. [bytes] */
  rss_bytes: number | null;
  /** From start to ready. [ms] */
  load_ms: number | null;
  /** Of an address: how long its last check took. [ms] */
  latency_ms: number | null;
  /** Of an address: when. [epoch ms] */
  checked_at: number | null;
  /** What it offers. */
  models: Array<string>;
}

/** The engines of hermes.engines. */
export interface HermesExternalEngineList {
  /** In the order of the configuration. */
  engines: Array<HermesExternalEngine>;
}

/** An engine of hermes.engines. */
export interface HermesExternalEngine {
  /** Its name. */
  name: string;
  /** How it comes to be there. */
  kind: "command" | "address";
  /** As last seen. */
  state: "unknown" | "up" | "down" | "idle";
  /** Why it is down. */
  reason: string | null;
  /** Absolute path of its program; null: an address, or not found. */
  program: string | null;
  /** The address. */
  base_url: string | null;
  /** Models that it runs: those configured, else those that it listed. */
  models: Array<string>;
  /** Its processes' models that are loaded or being loaded. */
  running: number;
  /** When an address was asked last. [epoch ms] */
  checked_at: number | null;
  /** How long that took. [ms] */
  latency_ms: number | null;
}

/** What the caller has. */
export interface HermesRegistrySince {
  /** The version that the caller has; -1: none. */
  since?: number;
}

/** All that can answer, in one versioned piece. */
export interface HermesRegistry {
  /** Grows with each change of models, tools, providers, and of the engines' states; also when Hermes is started again. Compare for equality only. */
  version: number;
  /** Whether it differs from since; when not, the lists are left out. */
  changed: boolean;
  /** Models, with their engines. */
  models: Array<HermesModel> | null;
  /** Command-line tools that are enabled. */
  tools: Array<HermesTool> | null;
  /** Providers that were added while running. */
  providers: Array<ConfigProvider> | null;
  /** Engines. */
  engines: Array<HermesEngine> | null;
}

/** A command-line tool that answers prompts, and the binding of its name to a program on this machine. */
export interface HermesTool {
  /** Its name. */
  name: string;
  /** What it is. */
  title: string;
  /** Whether a person allowed its use, in the configuration or with enable. */
  enabled: boolean;
  /** Whether it can be asked: enabled, bound to a program that is still the one that was looked at, and not known to need a login. */
  usable: boolean;
  /** Why it cannot be asked. */
  reason: string | null;
  /** Its program; null: not found, or never looked for. */
  path: string | null;
  /** As it says itself; null: it did not. */
  version: string | null;
  /** Of the program's file. [bytes] */
  size_bytes: number | null;
  /** When the program's file was last changed. [epoch ms] */
  mtime: number | null;
  /** Of the program's file; null: larger than 64 MiB. */
  sha256: string | null;
  /** Its arguments; {prompt} is the prompt, {model_args} the choice of a model. */
  argv: Array<string>;
  /** How it gets the prompt. */
  prompt_by: "argument" | "stdin";
  /** What it writes. */
  output: "text" | "json" | "jsonl";
  /** Whether its answer comes in pieces. */
  streams: boolean;
  /** Models that it may be asked for, the default first; empty: it chooses. */
  models: Array<string>;
  /** Its login. */
  auth: "ok" | "needs_login" | "unknown";
  /** How that was told, or how to log in. */
  auth_detail: string | null;
  /** Longest time for an answer. [ms] */
  timeout_ms: number;
  /** Most runs at a time. [requests] */
  max_concurrency: number;
  /** Runs now. [requests] */
  running: number;
  /** Its runs of the day. */
  quota: HermesToolQuota;
  /** What is around a run; null: nothing can be run, reason says why. */
  sandbox: "bubblewrap" | "limits" | null;
  /** When it last answered. [epoch ms] */
  last_ok_at: number | null;
  /** When it last failed. [epoch ms] */
  last_fail_at: number | null;
  /** How. */
  last_error: string | null;
  /** When its program was last looked at; null: never. [epoch ms] */
  detected_at: number | null;
}

/** Runs of a tool in a UTC day. */
export interface HermesToolQuota {
  /** Most; null: no limit. [requests] */
  limit: number | null;
  /** So far today. [requests] */
  used: number;
  /** The next midnight, UTC. [epoch ms] */
  reset_at: number;
}

/** Something that answers chats. */
export interface ConfigProvider {
  /** Its name in the chain, in decisions and in model names (name/model). */
  name: string;
  /** local: Hermes' engines on this machine. openai: any server that speaks OpenAI's API. anthropic: one that speaks Anthropic's messages. tool: a command-line tool that Hermes runs. module: another module of VX11. */
  kind: "local" | "openai" | "anthropic" | "tool" | "module";
  /** Whose server it is, for kinds openai and anthropic: gives base_url and key_env where they are left out, and what is peculiar to it. */
  preset?: "none" | "openai" | "deepseek" | "openrouter" | "groq" | "mistral" | "vllm" | "tgi" | "llama_server" | "ollama" | "lm_studio" | "anthropic";
  /** Where an openai or anthropic provider is, up to and including its version, e.g. https://api.openai.com/v1; empty: where the preset says. */
  base_url?: string;
  /** Name of a tool provider's tool, as Hermes knows it. */
  tool?: string;
  /** Name of a module provider's module: shub, madre, manifestator. */
  module?: string;
  /** Environment variable that holds the key. */
  key_env?: string;
  /** File that holds the key; must not be readable by others. */
  key_file?: string;
  /** Models that it offers; empty: ask it. */
  models?: Array<string>;
  /** Longest time to connect. [ms] */
  connect_timeout_ms?: number;
  /** Longest time to the first token of a streamed answer; one that is not streamed has the request's whole time. [ms] */
  first_token_timeout_ms?: number;
  /** Longest time between two pieces of an answer. [ms] */
  idle_timeout_ms?: number;
  /** Whether it is asked at all. */
  enabled?: boolean;
  /** Most requests at a time; 0: no limit. [requests] */
  max_concurrency?: number;
  /** Most requests to it in any minute; beyond that others are asked. 0: no limit. [requests] */
  requests_per_minute?: number;
  /** Most tokens read and written in a UTC day; 0: no limit. [tokens] */
  tokens_per_day?: number;
  /** The same for a UTC month; 0: no limit. [tokens] */
  tokens_per_month?: number;
  /** Most that it may cost in a UTC month, in switch.currency; 0: no limit. Models without a price are not asked then. */
  cost_per_month?: number;
  /** Whether what it is sent stays on this machine, for kinds other than local: only then do requests of local_only privacy go there. */
  local?: boolean;
  /** What is known of its models; only those named here or in models are taken for auto, fast, smart and cheap. */
  model_info?: Array<ConfigModelInfo>;
}

/** What is known of a model. What is left out counts as not known. */
export interface ConfigModelInfo {
  /** As the provider names it; * stands for all that are not named. */
  model: string;
  /** How good its answers are, from 0 to 1, on one scale for all models. */
  quality?: number;
  /** Price of a million tokens read, in the one currency of this file. [per 1M tokens] */
  input_price?: number;
  /** Price of a million tokens written. [per 1M tokens] */
  output_price?: number;
  /** Price of a million tokens read from the provider's own cache; as input_price when absent. [per 1M tokens] */
  cached_input_price?: number;
  /** Length of its context. [tokens] */
  context?: number;
  /** Whether it can call tools. */
  tools?: boolean;
  /** Whether it takes images. */
  vision?: boolean;
  /** Whether it keeps to a JSON schema. */
  json_schema?: boolean;
  /** Whether it makes embeddings; true: it does nothing else. */
  embeddings?: boolean;
  /** Longest answer: what an anthropic provider is asked for when the request does not say; 8192 when left out. [tokens] */
  max_output?: number;
}

/** Command-line tools. */
export interface HermesToolList {
  /** Those that VX11 knows and those of the configuration, by name. */
  tools: Array<HermesTool>;
}

/** A tool by name. */
export interface HermesToolName {
  /** Tool name. */
  name: string;
}

/** Looks for the tools' programs. */
export interface HermesDetectRequest {
  /** Write the bindings; else only say what is found. */
  apply?: boolean;
  /** This tool alone. */
  name?: string;
}

/** What was found. */
export interface HermesDetectReply {
  /** Whether the bindings were written. */
  applied: boolean;
  /** All that were looked for, as they are or would be. */
  tools: Array<HermesTool>;
  /** Names whose binding differs from the one that is written. */
  changed: Array<string>;
  /** How long it took. [ms] */
  duration_ms: number;
}

/** One run of a tool with a harmless prompt. */
export interface HermesToolTest {
  /** Tool. */
  name: string;
  /** Whether it answered. */
  ok: boolean;
  /** Its answer. */
  content: string | null;
  /** Why there is none. */
  error: string | null;
  /** What was around it; null: it was not run. */
  sandbox: "bubblewrap" | "limits" | null;
  /** How long it took. [ms] */
  duration_ms: number;
}

/** Providers that were added while running. */
export interface HermesProviderList {
  /** By name. Those of the configuration are not among them: Switch has them. */
  providers: Array<ConfigProvider>;
  /** Of the registry. */
  version: number;
}

/** A provider by name. */
export interface HermesProviderName {
  /** Provider name. */
  name: string;
}

/** A program to be run. */
export interface HermesExecRequest {
  /** Name in hermes.exec_allow. */
  command: string;
  /** More arguments, as many as are allowed. */
  args?: Array<string>;
  /** For a tool. */
  prompt?: string | null;
  /** For a tool: which of its models. */
  model?: string | null;
  /** For a program: its standard input. */
  input?: string | null;
  /** Shorter than what is allowed. [ms] */
  timeout_ms?: number | null;
}

/** One run of an allowed program. */
export interface HermesExecJob {
  /** Its id. */
  job_id: string;
  /** Name in hermes.exec_allow. */
  command: string;
  /** Its state. */
  status: "queued" | "running" | "completed" | "failed" | "timeout" | "cancelled";
  /** What it wrote, or its first part; a tool's answer. Null until it has ended. */
  stdout: string | null;
  /** The same of its other output. */
  stderr: string | null;
  /** Whether there was more. */
  stdout_truncated: boolean;
  /** Whether there was more. */
  stderr_truncated: boolean;
  /** Its exit status; null: none. */
  return_code: number | null;
  /** Signal that ended it. */
  signal: number | null;
  /** Why it is not completed. */
  error: string | null;
  /** What was around it; null: it was not run. */
  sandbox: "bubblewrap" | "limits" | null;
  /** Name of the token or session. */
  asked_by: string | null;
  /** When it was asked for. [epoch ms] */
  created_at: number;
  /** When it was started. [epoch ms] */
  started_at: number | null;
  /** When it had ended. [epoch ms] */
  finished_at: number | null;
  /** From start to end. [ms] */
  duration_ms: number | null;
}

/** Which jobs. */
export interface HermesExecJobFilter {
  /** Of this state alone. */
  status?: "queued" | "running" | "completed" | "failed" | "timeout" | "cancelled";
  /** At most. [jobs] */
  limit?: number;
}

/** Jobs. */
export interface HermesExecJobList {
  /** Newest first, without their outputs. */
  jobs: Array<HermesExecJob>;
}

/** A job by id. */
export interface HermesExecJobId {
  /** Job id. */
  id: string;
}

/** An event of a job: state, stdout or stderr. */
export interface HermesExecJobEvent {
  /** Its id. */
  job_id: string;
  /** Its state now. */
  status: "queued" | "running" | "completed" | "failed" | "timeout" | "cancelled";
  /** What it wrote just now. */
  text: string | null;
  /** Why it is not completed. */
  error: string | null;
}

/** A prompt for an engine named by the caller. */
export interface HermesExecuteRequest {
  /** A tool, or a model. */
  engine: string;
  /** Of a tool: which of its models. */
  model?: string | null;
  /** The question; or messages. */
  prompt?: string | null;
  /** The conversation, in place of prompt. */
  messages?: Array<OpenaiChatMessage>;
  /** Of a model's answer, at most. [tokens] */
  max_tokens?: number | null;
  /** Of a model's answer. */
  temperature?: number | null;
  /** Longest time, loading included. [ms] */
  timeout_ms?: number;
}

/** The answer. */
export interface HermesExecuteReply {
  /** ok: there is an answer. All else is an error with its HTTP status. */
  status: "ok";
  /** Who answered. */
  engine: string;
  /** What that is. */
  kind: "tool" | "model";
  /** The answer. */
  content: string;
  /** Tokens; null: it does not tell. */
  usage: OpenaiUsage | null;
  /** From the request to the answer. [ms] */
  latency_ms: number;
}

/** Looks for what could be used. */
export interface HermesDiscoverRequest {
  /** Write what is found: models in the folders, bindings of tools. Else only say it. */
  apply?: boolean;
  /** Search the hub too; needs hermes.hub.search as well. */
  allow_web?: boolean;
  /** What to search the hub for; gguf when absent. */
  query?: string | null;
}

/** What was found. */
export interface HermesDiscoverReply {
  /** plan: nothing was written. ok: it was. */
  status: "plan" | "ok";
  /** As it was asked for. */
  apply: boolean;
  /** Whether the database was written. */
  db_write: "skipped" | "done";
  /** By place. */
  tiers: HermesDiscoveryTiers;
  /** How long it took. [ms] */
  duration_ms: number;
}

/** The places. */
export interface HermesDiscoveryTiers {
  /** Model files in the folders. */
  local: HermesDiscoveryTier;
  /** Models of the catalogue that are not here. */
  catalog: HermesDiscoveryTier;
  /** Models on the hub. */
  web: HermesDiscoveryTier;
  /** Command-line tools. */
  cli: HermesDiscoveryTier;
}

/** One place that was looked at. */
export interface HermesDiscoveryTier {
  /** Whether it was looked at. */
  enabled: boolean;
  /** Why not, or what went wrong. */
  reason: string | null;
  /** Finds. */
  count: number;
  /** The finds. */
  items: Array<HermesDiscoveryItem>;
}

/** One find. */
export interface HermesDiscoveryItem {
  /** Name of the model or tool. */
  name: string;
  /** What is done with it, or would be. */
  action: "none" | "add" | "update" | "missing" | "offer" | "refuse";
  /** File or program. */
  path: string | null;
  /** Where it is offered: OWNER/REPO[:FILE]. */
  source: string | null;
  /** Page where it is offered. */
  download_url: string | null;
  /** Size; null: not known. [bytes] */
  size_bytes: number | null;
  /** Version of a tool, why a file is refused, licence of a model. */
  detail: string | null;
}

/** What can be used here. */
export interface HermesAvailableReply {
  /** Always ok. */
  status: "ok";
  /** Object of tool name to whether its program was found. */
  binaries: Json;
  /** Models whose file is sound and there. */
  models: Array<string>;
}

/** Hermes in one look. */
export interface HermesStatusReply {
  /** Always ok; GET /health measures. */
  status: "ok";
  /** What Hermes is: registry. */
  role: string;
  /** Registered. [models] */
  models: number;
  /** Of those, usable. [models] */
  models_available: number;
  /** Processes that run. [engines] */
  engines: number;
  /** Command-line tools that can be asked. [tools] */
  tools_usable: number;
  /** Added while running. [providers] */
  providers: number;
  /** Of POST /hermes/exec. [jobs] */
  jobs_running: number;
  /** Folder of models in VX11's home. */
  models_path: string;
  /** What is around programs, where they do not say otherwise. */
  sandbox: "bubblewrap" | "limits";
  /** Why it is not bubblewrap. */
  sandbox_reason: string | null;
  /** Of the registry. */
  version: number;
}

/** Headers that were read again. */
export interface HermesReindexReply {
  /** Always ok. */
  status: "ok";
  /** Whose facts were read. [models] */
  reindexed: number;
  /** Files that are not sound, or gone. */
  failed: Array<HermesRefusal>;
}

/** Registers a GGUF file, as the predecessor's callers do it. What the file itself says goes before engine, size_bytes, task_type, max_context and compatibility. */
export interface HermesRegisterLocalModel {
  /** Name for requests. */
  name: string;
  /** Absolute path of the file. */
  path?: string | null;
  /** The older name of path. */
  url?: string | null;
}

/** What Shub says. */
export interface HermesShubHealth {
  /** Its health. */
  status: "ok" | "degraded" | "down";
  /** How long it took. [ms] */
  latency_ms: number;
}

/** What the machine has, measured now. */
export interface HermesSystemResources {
  /** Physical memory. [bytes] */
  memory_total_bytes: number | null;
  /** MemAvailable. [bytes] */
  memory_available_bytes: number | null;
  /** Free where the models lie. [bytes] */
  disk_free_bytes: number | null;
  /** Cores we may use. */
  physical_cores: number;
  /** Registered models that can be used. */
  models: number;
  /** Engine workers running. */
  engines: number;
  /** hermes.memory_budget_bytes; null: what the machine has. [bytes] */
  memory_budget_bytes: number | null;
  /** What the running engines are reckoned to take. [bytes] */
  engines_predicted_bytes: number;
  /** What they take now: the sum of their resident memory. [bytes] */
  engines_measured_bytes: number | null;
  /** What another model may take without anything being unloaded. [bytes] */
  engines_free_bytes: number | null;
}

/** A model of the catalogue file. */
export interface HermesCatalogueModel {
  /** Name for `vx11 models pull`, and for requests once it is here. */
  name: string;
  /** Name for people. */
  title: string;
  /** OWNER/REPO of the hub. */
  repository: string;
  /** File in the repository. */
  file: string;
  /** Branch, tag or commit; null: main. */
  revision: string | null;
  /** Size; null when it is not known. [bytes] */
  size_bytes: number | null;
  /** Hash; null when it is not known: the hub says it at the pull. */
  sha256: string | null;
  /** Licence. */
  licence: string | null;
  /** Context the model was trained for. [tokens] */
  context: number | null;
  /** For people: 7.2B. */
  parameters: string | null;
  /** What it is good for. */
  tags: Array<string>;
  /** What it can be asked for. */
  capabilities: Array<"chat" | "completion" | "embeddings">;
}

/** models/catalogue.yaml. */
export interface HermesCatalogueFile {
  /** The models. */
  models: Array<HermesCatalogueModel>;
}

/** This process is alive. */
export interface LinkAlive {
  /** Always true. */
  ok: boolean;
}

/** Whether VX11 can do its work. */
export interface LinkReadyReply {
  /** Whether there are no reasons. */
  ready: boolean;
  /** When that was so. [epoch ms] */
  measured_at: number;
  /** Why not. */
  reasons: Array<LinkReadyReason>;
  /** Modules that somebody switched off: they do not count, but for link and switch, without which nothing is answered. */
  off: Array<string>;
}

/** Why VX11 is not ready. */
export interface LinkReadyReason {
  /** Which module. */
  module: string;
  /** What is the matter with it. */
  reason: string;
}

/** The system, measured now, in parallel, with a deadline. */
export interface LinkStatusReply {
  /** Whether every active module is ok. */
  ok: boolean;
  /** ok, degraded (some module is not ok) or down (no module but Link answers). */
  status: "ok" | "degraded" | "down";
  /** Who measured: link. */
  module: string;
  /** Program version. */
  version: string;
  /** When measured. [epoch ms] */
  timestamp: number;
  /** Address of the page. */
  page: string;
  /** Modules, front door first. */
  modules: Array<LinkModuleStatus>;
  /** Counts. */
  summary: LinkSummary;
}

/** One module as Link measured it now. */
export interface LinkModuleStatus {
  /** Module name. */
  name: string;
  /** As it answered; down when it did not answer in time. */
  status: "ok" | "degraded" | "down";
  /** Module state; null when it did not answer and the database does not say. */
  state: "active" | "standby" | "off" | null;
  /** Program version it runs. */
  version: string | null;
  /** Since its process started. [s] */
  uptime_s: number | null;
  /** Time its health answer took. [ms] */
  latency_ms: number | null;
  /** TCP port; null when it has none. */
  port: number | null;
  /** Its checks. */
  checks: Array<CommonCheck>;
  /** Why it did not answer. */
  error: string | null;
}

/** One measured check of a module's health. */
export interface CommonCheck {
  /** What was checked. */
  name: string;
  /** Its result. */
  status: "ok" | "degraded" | "down";
  /** Why it is not ok. */
  detail: string | null;
}

/** Counts over the modules that should be active. */
export interface LinkSummary {
  /** Modules known. */
  total_modules: number;
  /** Of them, status ok. */
  healthy_modules: number;
  /** Of them, not ok though they should be. */
  unhealthy_modules: number;
  /** Whether none is unhealthy. */
  all_healthy: boolean;
}

/** The page's first screen. */
export interface LinkOverview {
  /** Modules, measured now. */
  status: LinkStatusReply;
  /** Requests of the last hour. */
  traffic: LinkTraffic;
  /** Link's breakers. */
  breakers: Array<LinkModuleBreaker>;
  /** Events in the log now. */
  events_stored: number;
  /** Open event streams and sockets. */
  event_streams: number;
}

/** What went through, from the database, over a window. */
export interface LinkTraffic {
  /** Length of the window that ends now. [s] */
  window_s: number;
  /** Answered or failed requests to models. */
  requests: number;
  /** Of those, failed. */
  failed: number;
  /** As reported by the providers; null when none reported any. [tokens] */
  prompt_tokens: number | null;
  /** As reported by the providers; null when none reported any. [tokens] */
  completion_tokens: number | null;
  /** Mean time to the first token; null without requests. [ms] */
  first_token_avg_ms: number | null;
}

/** The breaker in front of one module. Health polls do not touch it. */
export interface LinkModuleBreaker {
  /** Module behind it. */
  module: string;
  /** Its breaker. */
  breaker: SwitchBreaker;
}

/** A circuit breaker. */
export interface SwitchBreaker {
  /** Now. */
  state: "closed" | "open" | "half_open";
  /** Consecutive failures. */
  failures: number;
  /** Failures that open it. */
  threshold: number;
  /** When the last failure was. [epoch ms] */
  last_failure_at: number | null;
  /** Until a probe is let through; null when closed. [ms] */
  retry_after_ms: number | null;
  /** Times it opened since this process started. */
  opened_total: number;
  /** Calls it refused since this process started. */
  rejected_total: number;
}

/** Link's breakers and those of the providers behind Switch. */
export interface LinkBreakerReply {
  /** When read. [epoch ms] */
  timestamp: number;
  /** In front of modules. */
  breakers: Array<LinkModuleBreaker>;
  /** In front of providers, as Switch says; null when it does not answer. */
  providers: Array<LinkProviderBreaker> | null;
  /** Why providers is null. */
  providers_error: string | null;
}

/** The breaker in front of one provider. */
export interface LinkProviderBreaker {
  /** Provider. */
  provider: string;
  /** Its breaker. */
  breaker: SwitchBreaker;
}

/** A model by its id. */
export interface SwitchModelId {
  /** Model id; may hold slashes. */
  id: string;
}

/** Something to be answered. Nothing is kept: what needs an earlier answer on the server is refused. */
export interface ResponsesRequest {
  /** Name of the model; the default model when absent. */
  model?: string | null;
  /** A text, or an array of items: message, function_call, function_call_output, reasoning. */
  input: Json;
  /** What the model is told first. */
  instructions?: string | null;
  /** Longest answer, thoughts included. [tokens] */
  max_output_tokens?: number | null;
  /** Answer as server-sent events. */
  stream?: boolean | null;
  /** Randomness. */
  temperature?: number | null;
  /** Sample among the likeliest tokens whose probabilities add up to this. */
  top_p?: number | null;
  /** Functions: an array of {type: function, name, description, parameters, strict}. Tools that run on the server are refused. */
  tools?: Json | null;
  /** "none", "auto", "required", or {type: function, name}. */
  tool_choice?: Json | null;
  /** Whether the model may call several functions at once; yes when absent. */
  parallel_tool_calls?: boolean | null;
  /** {format: {type: text | json_object | json_schema, name, schema, strict}}. */
  text?: Json | null;
  /** {effort}. */
  reasoning?: Json | null;
  /** auto: the oldest turns are left out when the model's context is too small; local engines only. */
  truncation?: "disabled" | "auto" | null;
  /** Comes back with the answer. */
  metadata?: Json | null;
  /** true is refused; absent means false here. */
  store?: boolean | null;
  /** true is refused. */
  background?: boolean | null;
  /** Refused: nothing is kept. */
  previous_response_id?: Json | null;
  /** Refused: nothing is kept. */
  conversation?: Json | null;
  /** Refused: nothing is kept. */
  prompt?: Json | null;
  /** message.output_text.logprobs is refused; the others name what does not occur here. */
  include?: Array<string> | null;
  /** Above 0 it is refused. */
  top_logprobs?: number | null;
  /** The end user, as the client names them. */
  user?: string | null;
  /** Not heeded, as it changes nothing here. */
  stream_options?: Json | null;
  /** Not heeded; the reply's X-VX11-Ignored says so. The same goes for the fields below. */
  service_tier?: Json | null;
  /** Not heeded. */
  safety_identifier?: Json | null;
  /** Not heeded. */
  prompt_cache_key?: Json | null;
  /** Not heeded. */
  prompt_cache_retention?: Json | null;
  /** Not heeded. */
  context_management?: Json | null;
  /** Not heeded: it bounds tools that run on the server. */
  max_tool_calls?: Json | null;
}

/** An answer. What the request said comes back with it. */
export interface ResponsesReply {
  /** resp_ and a ULID. It cannot be asked for later. */
  id: string;
  /** Always response. */
  object: string;
  /** When, seconds since the epoch. [s] */
  created_at: number;
  /** How far it is. */
  status: "in_progress" | "completed" | "incomplete" | "failed";
  /** Always false. */
  background: boolean;
  /** When it failed. */
  error: ResponsesFailure | null;
  /** When it was cut off. */
  incomplete_details: ResponsesIncomplete | null;
  /** As asked. */
  instructions: string | null;
  /** As asked. */
  max_output_tokens: number | null;
  /** Who answered; until that is known, who was asked for. */
  model: string;
  /** Thoughts, text and calls, in the order in which they began. */
  output: Array<ResponsesItem>;
  /** As asked. */
  parallel_tool_calls: boolean;
  /** Always null. */
  previous_response_id: string | null;
  /** As asked. */
  reasoning: Json | null;
  /** Always false. */
  store: boolean;
  /** As asked; null: the provider's own. */
  temperature: number | null;
  /** As asked. */
  text: Json | null;
  /** As asked. */
  tool_choice: Json | null;
  /** As asked. */
  tools: Json | null;
  /** As asked; null: the provider's own. */
  top_p: number | null;
  /** As asked. */
  truncation: "disabled" | "auto";
  /** Tokens; null until the end, and when the provider does not tell. */
  usage: ResponsesUsage | null;
  /** As asked. */
  user: string | null;
  /** As asked. */
  metadata: Json | null;
}

/** Why there is no answer. */
export interface ResponsesFailure {
  /** server_error or rate_limit_exceeded. */
  code: string;
  /** A sentence. */
  message: string;
}

/** Why an answer was cut off. */
export interface ResponsesIncomplete {
  /** Why. */
  reason: "max_output_tokens" | "content_filter";
}

/** Item of an answer. */
export interface ResponsesItem {
  /** Its id. */
  id: string;
  /** What it is. */
  type: "reasoning" | "message" | "function_call";
  /** How far it is. */
  status: "in_progress" | "completed" | "incomplete" | "failed";
  /** Of a message: assistant. */
  role?: string | null;
  /** Of reasoning: an empty array; the thoughts themselves are the content. */
  summary?: Json | null;
  /** Of a message and of reasoning. */
  content?: Array<ResponsesPart> | null;
  /** Of function_call: what its output names. */
  call_id?: string | null;
  /** Of function_call: the function. */
  name?: string | null;
  /** Of function_call: a JSON object as text. */
  arguments?: string | null;
}

/** Part of an item. */
export interface ResponsesPart {
  /** What it is. */
  type: "output_text" | "refusal" | "reasoning_text";
  /** Of output_text and reasoning_text. */
  text?: string | null;
  /** Of output_text: an empty array. */
  annotations?: Json | null;
  /** Of output_text: an empty array. */
  logprobs?: Json | null;
  /** Of refusal. */
  refusal?: string | null;
}

/** Tokens of a request. */
export interface ResponsesUsage {
  /** Read. [tokens] */
  input_tokens: number;
  /** Of these. */
  input_tokens_details: ResponsesInputDetails;
  /** Written. [tokens] */
  output_tokens: number;
  /** Of these. */
  output_tokens_details: ResponsesOutputDetails;
  /** Both. [tokens] */
  total_tokens: number;
}

/** Of the tokens read. */
export interface ResponsesInputDetails {
  /** Found in a cache; 0 also when the provider does not tell. [tokens] */
  cached_tokens: number;
}

/** Of the tokens written. */
export interface ResponsesOutputDetails {
  /** Thoughts; 0 also when the provider does not tell. [tokens] */
  reasoning_tokens: number;
}

/** A response by its id. */
export interface ResponsesId {
  /** Its id. */
  id: string;
}

/** A conversation to be answered. */
export interface AnthropicMessagesRequest {
  /** Name of the model, or auto. */
  model: string;
  /** Longest answer. [tokens] */
  max_tokens: number;
  /** The conversation so far, oldest first. */
  messages: Array<AnthropicMessageParam>;
  /** What the model is told first: a text, or an array of text blocks. */
  system?: Json | null;
  /** Texts at which the answer ends. */
  stop_sequences?: Array<string> | null;
  /** Answer as server-sent events. */
  stream?: boolean | null;
  /** Randomness. */
  temperature?: number | null;
  /** Sample among the likeliest tokens whose probabilities add up to this. */
  top_p?: number | null;
  /** Sample among this many likeliest tokens. [tokens] */
  top_k?: number | null;
  /** Tools of the caller's: an array of {name, description, input_schema}. Tools that run at the provider are refused. */
  tools?: Json | null;
  /** {type: auto | any | tool | none}, with name and disable_parallel_tool_use. */
  tool_choice?: Json | null;
  /** {type: enabled, budget_tokens}, {type: adaptive} or {type: disabled}. The budget becomes an effort: up to 2048 low, up to 8192 medium, else high. */
  thinking?: Json | null;
  /** {effort, format: {type: json_schema, schema}}. */
  output_config?: Json | null;
  /** The older place of output_config.format. */
  output_format?: Json | null;
  /** {user_id}. */
  metadata?: Json | null;
  /** Refused: nothing runs at the provider. */
  container?: Json | null;
  /** Refused, likewise. */
  mcp_servers?: Json | null;
  /** Not heeded; the reply's X-VX11-Ignored says so. The same goes for the fields below. */
  context_management?: Json | null;
  /** Not heeded. */
  service_tier?: Json | null;
  /** Not heeded. */
  inference_geo?: Json | null;
  /** Not heeded. */
  speed?: Json | null;
  /** Not heeded. */
  diagnostics?: Json | null;
}

/** One turn of the conversation. */
export interface AnthropicMessageParam {
  /** Who speaks. */
  role: "user" | "assistant" | "system";
  /** The text, or an array of blocks: text, image, document, search_result, tool_use, tool_result, thinking, redacted_thinking. */
  content: Json;
}

/** An answer. */
export interface AnthropicMessage {
  /** msg_ and a ULID, or the provider's. */
  id: string;
  /** Always message. */
  type: string;
  /** Always assistant. */
  role: string;
  /** Who answered. */
  model: string;
  /** What it says. */
  content: Array<AnthropicBlock>;
  /** Why it ended; null while it has not. */
  stop_reason: "end_turn" | "max_tokens" | "stop_sequence" | "tool_use" | "pause_turn" | "refusal" | "model_context_window_exceeded" | null;
  /** The stop sequence that was met. */
  stop_sequence: string | null;
  /** Tokens. */
  usage: AnthropicUsage;
}

/** A piece of an answer. */
export interface AnthropicBlock {
  /** What it is. */
  type: "text" | "thinking" | "redacted_thinking" | "tool_use";
  /** Of text. */
  text?: string | null;
  /** Of thinking. */
  thinking?: string | null;
  /** Of thinking, by which the provider knows it again; empty from providers that sign nothing. */
  signature?: string | null;
  /** Of redacted_thinking. */
  data?: string | null;
  /** Of tool_use: what its result names. */
  id?: string | null;
  /** Of tool_use: the tool. */
  name?: string | null;
  /** Of tool_use: an object. */
  input?: Json | null;
}

/** Tokens of a request. */
export interface AnthropicUsage {
  /** Read, without those of the next two. In message_start 0: it is known at the end. [tokens] */
  input_tokens: number;
  /** Read and put into the provider's cache; null when it does not tell. [tokens] */
  cache_creation_input_tokens: number | null;
  /** Found in a cache; null when the provider does not tell. [tokens] */
  cache_read_input_tokens: number | null;
  /** Written. [tokens] */
  output_tokens: number;
}

/** A conversation whose tokens are to be counted. */
export interface AnthropicCountRequest {
  /** Name of the model, or auto. */
  model: string;
  /** The conversation. */
  messages: Array<AnthropicMessageParam>;
  /** As in a request for an answer. */
  system?: Json | null;
  /** As in a request for an answer. */
  tools?: Json | null;
  /** As in a request for an answer. */
  tool_choice?: Json | null;
  /** As in a request for an answer. */
  thinking?: Json | null;
  /** As in a request for an answer. */
  output_config?: Json | null;
}

/** How many there are. */
export interface AnthropicCountReply {
  /** Tokens of the prompt. Estimated when the header X-VX11-Estimated is true. [tokens] */
  input_tokens: number;
}

/** Which events. */
export interface LinkEventParams {
  /** Only this type. */
  type?: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load" | "hermes.model.pull" | "module.state.changed" | "module.run";
  /** Replay what came after this id; the Last-Event-ID header means the same. */
  last_event_id?: string;
  /** Without an id: replay this many of the latest first. [events] */
  replay?: number;
}

/** A stored event, as streams carry it. */
export interface LinkEvent {
  /** Orders events. */
  id: string;
  /** What kind. */
  type: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load" | "hermes.model.pull" | "module.state.changed" | "module.run";
  /** Who reported it. */
  source: string;
  /** When it happened. [epoch ms] */
  timestamp: number;
  /** Fields of the type's schema. */
  payload: Json;
}

/** Which stored events. */
export interface LinkHistoryParams {
  /** Only this type. */
  type?: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load" | "hermes.model.pull" | "module.state.changed" | "module.run";
  /** Only what this one reported. */
  source?: string;
  /** Only those with this text in type, source or payload; capitals do not count. */
  q?: string;
  /** That happened then or later. [epoch ms] */
  since?: number;
  /** Only older ones: next_before of the page before. */
  before?: string;
  /** Most of them. [events] */
  limit?: number;
}

/** Stored events, newest first. */
export interface LinkEventHistory {
  /** Newest first. */
  events: Array<LinkEvent>;
  /** For the next page, which may be there even when this one is short: only so many are looked through at a time. Null: there are no older ones. */
  next_before: string | null;
}

/** An event to publish. payload is checked against the schema of its type. */
export interface LinkEventIngest {
  /** Who reports it. */
  source: string;
  /** What kind. */
  type: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load" | "hermes.model.pull" | "module.state.changed" | "module.run";
  /** Object with the fields of the type's schema; more are kept. */
  payload: Json;
  /** Whether open streams get it now; it is stored either way. */
  broadcast?: boolean;
}

/** The event is in the log's queue. */
export interface LinkEventAccepted {
  /** Older callers look for it. */
  status: "received";
  /** Id under which it is stored and streamed. */
  id: string;
}

/** Who is logged in. */
export interface LinkSessionReply {
  /** Name of the token or session. */
  name: string;
  /** What it may do. */
  scopes: Array<string>;
}

/** An address of the page. */
export interface LinkPageParams {
  /** What the page makes of it is its own affair. */
  path: string;
}

/** A file of the page. */
export interface LinkAssetParams {
  /** File name. */
  name: string;
}

/** A one-time code. */
export interface LinkLoginParams {
  /** From the link that `vx11 up` prints. */
  code: string;
}

/** Schema of system.alert (incident, at most 2048 bytes). */
export interface LinkSystemAlert {
  /** When. [epoch ms] */
  timestamp: number;
  /** Id of the alert. */
  alert_id: string;
  /** How bad. */
  severity: "L3" | "L4";
  /** What happened. */
  message: string;
}

/** Schema of system.correlation.updated (at most 2048 bytes). */
export interface LinkCorrelationUpdated {
  /** When. [epoch ms] */
  timestamp: number;
  /** Id. */
  correlation_id: string;
  /** Ids of events. */
  related_events: Array<string>;
  /** How strong. */
  strength: number;
}

/** Schema of forensic.snapshot.created (at most 1024 bytes). */
export interface LinkSnapshotCreated {
  /** When. [epoch ms] */
  timestamp: number;
  /** Id or file name. */
  snapshot_id: string;
  /** Why it was made. */
  reason: string;
}

/** Schema of madre.decision.explained (at most 3072 bytes). */
export interface LinkDecisionExplained {
  /** When. [epoch ms] */
  timestamp: number;
  /** Id. */
  decision_id: string;
  /** What was decided. */
  summary: string;
  /** How sure. */
  confidence: number;
}

/** Schema of switch.tension.updated (at most 1024 bytes). */
export interface LinkTensionUpdated {
  /** When. [epoch ms] */
  timestamp: number;
  /** Load of the router, 0 idle, 100 saturated. */
  value: number;
  /** Object: what the value is made of. */
  components: Json;
}

/** Schema of shub.action.narrated (at most 2048 bytes). */
export interface LinkActionNarrated {
  /** When. [epoch ms] */
  timestamp: number;
  /** What is done. */
  action: string;
  /** Why. */
  reason: string;
  /** What follows. */
  next_step: string;
}

/** Schema of hermes.model.load (at most 2048 bytes): how the load of a model goes, at most twice a second. */
export interface LinkModelLoad {
  /** When. [epoch ms] */
  timestamp: number;
  /** Its name. */
  model: string;
  /** What it does. stopped: it was unloaded and its memory is free. */
  state: "loading" | "ready" | "failed" | "stopped";
  /** Of its file, in memory so far. [bytes] */
  bytes_read?: number | null;
  /** Size of its file. [bytes] */
  bytes_total?: number | null;
  /** How much of the load is done. */
  percent?: number | null;
  /** From start to ready. [ms] */
  load_ms?: number | null;
  /** Why it failed or was unloaded. */
  reason?: string | null;
}

/** Schema of hermes.model.pull (at most 2048 bytes): how the download of a model goes, at most once a second. */
export interface LinkModelPull {
  /** When. [epoch ms] */
  timestamp: number;
  /** Of the pull. */
  id: string;
  /** What was asked for, cut to 300 bytes. */
  source: string;
  /** Name it was registered under. */
  model?: string | null;
  /** Its state. */
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  /** What it does while it runs. */
  phase?: "resolving" | "downloading" | "verifying" | "registering" | null;
  /** Downloaded so far. [bytes] */
  bytes: number;
  /** Of all files. [bytes] */
  total?: number | null;
  /** Measured over the last seconds. [bytes/s] */
  rate?: number | null;
  /** Until it is downloaded. [ms] */
  eta_ms?: number | null;
  /** Why it failed or was cancelled. */
  reason?: string | null;
}

/** Schema of module.state.changed (at most 2048 bytes): somebody set the state of a module. */
export interface LinkModuleStateChanged {
  /** When. [epoch ms] */
  timestamp: number;
  /** Which. */
  module: string;
  /** What it was. */
  from: "active" | "standby" | "off";
  /** What it is now. */
  to: "active" | "standby" | "off";
  /** Name of the token or session that set it; local: the shell or a module. */
  by: string;
  /** Why, as they said. */
  reason?: string | null;
}

/** Schema of module.run (at most 2048 bytes): what became of a module's process. */
export interface LinkModuleRun {
  /** When. [epoch ms] */
  timestamp: number;
  /** Which. */
  module: string;
  /** started: it serves. stopped: as it was told to. crashed: it ended by itself. failed: it did not get ready. hung: it did not answer any more and is ended. */
  event: "started" | "stopped" | "crashed" | "failed" | "hung";
  /** Process id. */
  pid?: number | null;
  /** Times it was started again since `vx11 up`. */
  restarts?: number | null;
  /** From the start of the process until it served. [ms] */
  start_ms?: number | null;
  /** Until it is started again. [ms] */
  next_start_ms?: number | null;
  /** How it ended, or why it is stopped. */
  reason?: string | null;
}

/** A message to a session. */
export interface OperatorChatRequest {
  /** What the person says. */
  message: string;
  /** Session to go on with; a new one when absent. */
  session_id?: string | null;
  /** Whose session it is; local when absent. */
  user_id?: string | null;
  /** Where it comes from. */
  source?: "web" | "cli" | "api";
  /** Answer as server-sent events (see the route). */
  stream?: boolean;
  /** Model, PROVIDER/MODEL, alias or auto; the session's when absent. */
  model?: string | null;
  /** Instructions that go before the conversation. */
  system?: string | null;
  /** Randomness. */
  temperature?: number | null;
  /** Longest answer. [tokens] */
  max_tokens?: number | null;
  /** Most earlier messages that go along; fewer when they do not fit the model's context. */
  history?: number | null;
  /** Whether the model may call the operator's tools. */
  tools?: boolean;
  /** Ids of files. */
  attachments?: Array<string>;
  /** A message of the person's in this session: this is its edited text; what came after it is replaced too. */
  replaces?: string | null;
  /** The caller's own hint; goes to Switch as metadata, never in place of the question. */
  context_summary?: string | null;
  /** Free object; kept with the message and passed to Switch. */
  metadata?: Json | null;
}

/** The answer. */
export interface OperatorChatReply {
  /** The session. */
  session_id: string;
  /** The answer's text. */
  response: string;
  /** Tools that were called; null: none. */
  tool_calls: Array<OperatorToolCall> | null;
  /** The person's message as stored. */
  user_message_id: string;
  /** The answer as stored. */
  message: OperatorMessage;
}

/** A tool that the model called. */
export interface OperatorToolCall {
  /** Its id. */
  id: string;
  /** Its session. */
  session_id: string | null;
  /** The answer it belongs to. */
  message_id: string;
  /** The tool. */
  name: string;
  /** As the model gave them. */
  arguments: Json | null;
  /** Whether it had to be confirmed. */
  mutating: boolean;
  /** Its state. */
  status: "waiting" | "running" | "done" | "failed" | "refused" | "cancelled";
  /** What came of it, cut to a bound. */
  result: Json | null;
  /** Why it failed or was refused. */
  error: string | null;
  /** Who confirmed or refused it. */
  confirmed_by: string | null;
  /** When the model asked. [epoch ms] */
  created_at: number;
  /** When it began. [epoch ms] */
  started_at: number | null;
  /** When it ended. [epoch ms] */
  ended_at: number | null;
  /** From begin to end. [ms] */
  duration_ms: number | null;
}

/** A message of a session. */
export interface OperatorMessage {
  /** Its id. */
  id: string;
  /** Its session. */
  session_id: string;
  /** Its place in the session. */
  seq: number;
  /** Who speaks. */
  role: "user" | "assistant" | "tool" | "system";
  /** Its text. */
  content: string;
  /** What the model thought before, where it says so. */
  reasoning: string | null;
  /** Its state. */
  status: "streaming" | "ok" | "failed" | "cancelled";
  /** Why it failed. */
  error: CommonErrorBody | null;
  /** The message that was put in its place by an edit or a retry; it is not part of the conversation any more. */
  replaced_by: string | null;
  /** When it was begun. [epoch ms] */
  timestamp: number;
  /** When it was whole, failed or stopped. [epoch ms] */
  ended_at: number | null;
  /** Model or alias that was asked for. */
  requested_model: string | null;
  /** Who answered. */
  provider: string | null;
  /** Which model answered. */
  model: string | null;
  /** Why this one, in a few words. */
  reason: string | null;
  /** Id of the request at Switch; its decision is found by it. */
  request_id: string | null;
  /** Tokens. */
  usage: OperatorUsage | null;
  /** From the question to the first token. [ms] */
  first_token_ms: number | null;
  /** From the question to the end. [ms] */
  total_ms: number | null;
  /** Completion tokens over the time from the first to the last. */
  tokens_per_second: number | null;
  /** In switch.currency; null: no price is known. */
  cost: number | null;
  /** As the provider reported it. */
  finish_reason: string | null;
  /** Earlier messages that did not fit the model's context and were left out. */
  history_dropped: number | null;
  /** Tools that the model called for this answer, in order. */
  tool_calls: Array<OperatorToolCall>;
  /** Files that came with it. */
  attachments: Array<OperatorFile>;
  /** What a person thought of it. */
  feedback: OperatorFeedback | null;
  /** What the caller gave along. */
  metadata: Json | null;
}

/** Body of an error. */
export interface CommonErrorBody {
  /** A sentence for a person. */
  message: string;
  /** Class: invalid_request_error, authentication_error, permission_error, not_found_error, conflict_error, request_too_large, rate_limit_error, timeout_error, overloaded_error (503: try again later), api_error (another failure of the server or of a provider). */
  type: string;
  /** Short stable name, e.g. model_not_found. */
  code: string | null;
  /** JSON pointer or parameter name of what is wrong; null when it is nothing in particular. */
  param: string | null;
  /** Id of the request, as in the logs and the X-Request-Id header. */
  request_id: string | null;
  /** When a budget that is used up has room again; absent where nobody knows, and in all other errors. [epoch ms] */
  reset_at?: number;
}

/** Tokens of an answer, as the provider reported them. */
export interface OperatorUsage {
  /** Of the prompt. [tokens] */
  prompt_tokens: number | null;
  /** Of the answer. [tokens] */
  completion_tokens: number | null;
  /** Of the prompt, read from a cache. [tokens] */
  cached_tokens: number | null;
  /** Whether Switch counted them: the provider gave none. */
  estimated: boolean;
}

/** A file that was attached. */
export interface OperatorFile {
  /** Its id. */
  id: string;
  /** Its session; null while it is not sent yet. */
  session_id: string | null;
  /** Its message; null while it is not sent yet. */
  message_id: string | null;
  /** As the person's computer calls it. */
  name: string;
  /** What it is to a chat. */
  kind: "text" | "image" | "audio";
  /** By its content, not by its name. */
  media_type: string;
  /** Size. [bytes] */
  bytes: number;
  /** Hash of its content, hexadecimal. */
  sha256: string;
  /** Of an image. [pixels] */
  width: number | null;
  /** Of an image. [pixels] */
  height: number | null;
  /** When it was stored. [epoch ms] */
  created_at: number;
}

/** What a person thought of an answer. */
export interface OperatorFeedback {
  /** From -1, bad, to 1, good. */
  rating: number;
  /** Why. */
  note: string | null;
  /** When. [epoch ms] */
  at: number;
  /** Whether Switch's learner took it in. */
  learned: boolean;
  /** Why it did not. */
  reason: string | null;
}

/** Which sessions. */
export interface OperatorSessionParams {
  /** Words in the title or in a message. */
  q?: string;
  /** Only these. */
  topic?: "code" | "audio" | "browser" | "system" | "chat" | "general";
  /** Most sessions. */
  limit?: number;
  /** next_cursor of the page before. */
  cursor?: string;
}

/** Sessions, the latest first. */
export interface OperatorSessionList {
  /** This page. */
  sessions: Array<OperatorSession>;
  /** Sessions that match. */
  total: number;
  /** For the next page; null: this is the last. */
  next_cursor: string | null;
}

/** A conversation. */
export interface OperatorSession {
  /** Its id. */
  id: string;
  /** Given by a person, else made of the first message. */
  title: string;
  /** Where it was begun. */
  source: "web" | "cli" | "api";
  /** Whose it is. */
  user_id: string;
  /** What its latest messages are about. */
  topic: "code" | "audio" | "browser" | "system" | "chat" | "general";
  /** Short description of its state: count and the end of the last message. */
  signature: string;
  /** Model or alias that a person chose for it; null: auto. */
  model: string | null;
  /** Messages that are not replaced. */
  message_count: number;
  /** Text of all its messages. [bytes] */
  bytes: number;
  /** Whether a person pinned it: it does not expire. */
  pinned: boolean;
  /** Whether an answer is being generated now. */
  running: boolean;
  /** Where it was branched off. */
  branched_from: OperatorBranchPoint | null;
  /** When it began. [epoch ms] */
  created_at: number;
  /** Its latest message or change. [epoch ms] */
  updated_at: number;
  /** When it goes unless used before; null: it does not. [epoch ms] */
  expires_at: number | null;
}

/** A message of another session. */
export interface OperatorBranchPoint {
  /** The session. */
  session_id: string;
  /** Its message. */
  message_id: string;
}

/** A session to begin. */
export interface OperatorSessionNew {
  /** Its title. */
  title?: string | null;
  /** Model or alias; auto when absent. */
  model?: string | null;
  /** Where it is begun. */
  source?: "web" | "cli" | "api";
  /** Whose it is; local when absent. */
  user_id?: string | null;
}

/** Which of its messages: the latest when no cursor is given. */
export interface OperatorSessionDetailParams {
  /** The session. */
  id: string;
  /** Most messages. */
  limit?: number;
  /** prev_cursor or next_cursor of another page. */
  cursor?: string;
  /** Whether messages that were edited or retried are listed too. */
  replaced?: boolean;
}

/** A session with its messages, the oldest first. */
export interface OperatorSessionDetail {
  /** Its id. */
  session_id: string;
  /** Whose it is. */
  user_id: string;
  /** When it began. [epoch ms] */
  created_at: number;
  /** Messages that are not replaced. */
  message_count: number;
  /** Context hint of the latest messages, as it goes to Switch. */
  summary: string;
  /** The session. */
  session: OperatorSession;
  /** This page. */
  messages: Array<OperatorMessage>;
  /** For the messages before these; null: there are none. */
  prev_cursor: string | null;
  /** For the messages after these; null: there are none. */
  next_cursor: string | null;
}

/** A session. */
export interface OperatorSessionId {
  /** Its id. */
  id: string;
}

/** What to change; absent fields stay. */
export interface OperatorSessionChange {
  /** New title. */
  title?: string;
  /** Model or alias; an empty text or auto: the best one each time. */
  model?: string | null;
  /** Whether it is kept for good. */
  pinned?: boolean;
}

/** Where to branch. */
export interface OperatorBranch {
  /** The last message that the new session begins with. */
  message_id: string;
  /** Title of the new session. */
  title?: string | null;
}

/** A session as a file. */
export interface OperatorExportParams {
  /** The session. */
  id: string;
  /** Markdown for people, JSON with everything that is stored. */
  format?: "markdown" | "json";
}

/** What was stopped. */
export interface OperatorStopReply {
  /** Whether an answer was being generated. */
  stopped: boolean;
}

/** A message of a session. */
export interface OperatorMessageId {
  /** The session. */
  id: string;
  /** The message. */
  message_id: string;
}

/** How to answer again. */
export interface OperatorRetryRequest {
  /** Another model or alias. */
  model?: string | null;
  /** Answer as server-sent events. */
  stream?: boolean;
  /** Whether the model may call the operator's tools. */
  tools?: boolean;
  /** Randomness. */
  temperature?: number | null;
  /** Longest answer. [tokens] */
  max_tokens?: number | null;
}

/** What a person thinks of an answer. */
export interface OperatorFeedbackSet {
  /** From -1, bad, to 1, good. */
  rating: number;
  /** Why. */
  note?: string | null;
}

/** What to look for. */
export interface OperatorSearchParams {
  /** Words, all of which must occur; "in quotes" as they stand; a last word may be a beginning. */
  q: string;
  /** Most hits. */
  limit?: number;
  /** next_cursor of the page before. */
  cursor?: string;
}

/** Hits, the best first. */
export interface OperatorSearchReply {
  /** This page. */
  hits: Array<OperatorSearchHit>;
  /** For the next page; null: this is the last. */
  next_cursor: string | null;
}

/** A message that has the words. */
export interface OperatorSearchHit {
  /** Its session. */
  session_id: string;
  /** Title of the session. */
  title: string;
  /** The message. */
  message_id: string;
  /** Who speaks. */
  role: "user" | "assistant" | "tool" | "system";
  /** When. [epoch ms] */
  timestamp: number;
  /** Where the words are, plain text. */
  snippet: string;
  /** Start and length of each found word in the snippet, in UTF-16 units as JavaScript counts: start, length, start, length … */
  marks: Array<number>;
}

/** The tools. */
export interface OperatorToolList {
  /** All of them. */
  tools: Array<OperatorTool>;
}

/** A tool that the model may call. */
export interface OperatorTool {
  /** Its name. */
  name: string;
  /** For people. */
  title: string;
  /** What it does, as the model reads it. */
  description: string;
  /** JSON Schema of its arguments. */
  parameters: Json;
  /** Whether a person confirms each call first. */
  mutating: boolean;
  /** Whether it can be called now. */
  available: boolean;
  /** Why it cannot. */
  reason: string | null;
}

/** A tool call. */
export interface OperatorToolCallId {
  /** Its id. */
  id: string;
}

/** What a person says to a tool call that waits. */
export interface OperatorToolDecision {
  /** Whether it may run. */
  approve: boolean;
  /** Why not; the model is told. */
  reason?: string | null;
}

/** A tool call that was made elsewhere, to be kept. */
export interface OperatorToolRecord {
  /** The answer it belongs to. */
  message_id: string;
  /** The tool. */
  tool_name: string;
  /** How it ended. */
  status: "done" | "failed";
  /** How long it took. [ms] */
  duration_ms?: number | null;
  /** What came of it. */
  result?: Json | null;
  /** Why it failed. */
  error?: string | null;
}

/** How a request went that did not come through the chat; passed to Switch's learner. */
export interface OperatorSwitchFeedback {
  /** MODEL or PROVIDER/MODEL. */
  engine: string;
  /** Whether it went well. */
  success: boolean;
  /** How long it took. [ms] */
  latency_ms: number;
  /** Tokens generated. [tokens] */
  tokens_used?: number | null;
  /** What went wrong. */
  error_msg?: string | null;
}

/** What was recorded. */
export interface SwitchRecordReply {
  /** Older callers look for it. */
  status: "ok";
  /** PROVIDER/MODEL. */
  engine: string;
  /** Always true: anything else is an error. */
  recorded: boolean;
  /** The score's learned term, now. */
  learned: number;
}

/** A change of how Switch chooses. */
export interface OperatorAdjustmentNew {
  /** Session that led to it. */
  session_id?: string | null;
  /** Answer that led to it. */
  message_id?: string | null;
  /** Object: mode and default_model, one or both. */
  after_config: Json;
  /** Why. */
  reason: string;
}

/** A change of how Switch chooses, with what was before. */
export interface OperatorAdjustment {
  /** Its id. */
  id: string;
  /** The same; older callers read it here. */
  adjustment_id: string;
  /** Session that led to it. */
  session_id: string | null;
  /** Answer that led to it. */
  message_id: string | null;
  /** As Switch said before. */
  before_config: Json;
  /** As Switch said after; as was asked for when it was not applied. */
  after_config: Json;
  /** Why. */
  reason: string;
  /** Whether Switch took it. */
  applied: boolean;
  /** Why it did not. */
  error: string | null;
  /** Who asked for it. */
  by: string;
  /** When. [epoch ms] */
  created_at: number;
}

/** A page of a list. */
export interface OperatorPageParams {
  /** Most rows. */
  limit?: number;
  /** next_cursor of the page before. */
  cursor?: string;
}

/** Adjustments, the latest first. */
export interface OperatorAdjustmentList {
  /** This page. */
  adjustments: Array<OperatorAdjustment>;
  /** For the next page. */
  next_cursor: string | null;
}

/** A file to store. */
export interface OperatorFileParams {
  /** Its name. */
  name: string;
  /** Session it is for. */
  session_id?: string;
}

/** Which files. */
export interface OperatorFileListParams {
  /** Only of this session. */
  session_id?: string;
  /** Most rows. */
  limit?: number;
  /** next_cursor of the page before. */
  cursor?: string;
}

/** Files, the latest first. */
export interface OperatorFileList {
  /** This page. */
  files: Array<OperatorFile>;
  /** All that is stored. [bytes] */
  bytes: number;
  /** For the next page. */
  next_cursor: string | null;
}

/** A file. */
export interface OperatorFileId {
  /** Its id. */
  id: string;
}

/** Something that a person wants. */
export interface OperatorIntentRequest {
  /** What it is, where the caller knows; detected when absent. */
  intent_type?: string | null;
  /** Object: message, the text; more is passed on. */
  data: Json;
  /** Module that shall do it; by what was detected when absent. */
  target?: string | null;
  /** Free object; nothing in it is overwritten. */
  metadata?: Json | null;
  /** Session that it belongs to. */
  session_id?: string | null;
}

/** What became of it. */
export interface OperatorIntentReply {
  /** ok: response is the answer. accepted: a job was made, response says which. */
  status: "ok" | "accepted";
  /** Id of the intent. */
  id: string;
  /** As given, else as detected. */
  intent_type: string;
  /** Who does it. */
  target: string;
  /** What the text was found to ask for. */
  detected: OperatorDetected;
  /** As given, with what was detected added beside it. */
  metadata: Json;
  /** As the target answered. */
  response: Json;
}

/** What the text was found to ask for. */
export interface OperatorDetected {
  /** What. */
  mode: "chat" | "code" | "mix" | "audio" | "analysis" | "task" | "browse" | "spawn" | "system";
  /** Operations of a mix or of sound work, in the order of the text: normalize, eq, limiter, remove_resonances, natural_panning, raise_voice, mix_realistic, compare_takes … */
  ops: Array<string>;
  /** The words that said so. */
  matched: Array<string>;
  /** From 0 to 1, by how many words speak for it and against the next. */
  confidence: number;
  /** Language of the text, by its small words; unknown when they do not tell. */
  language: "en" | "es" | "unknown";
}

/** Intents, the latest first. */
export interface OperatorIntentList {
  /** This page. */
  intents: Array<OperatorIntent>;
  /** For the next page. */
  next_cursor: string | null;
}

/** An intent as stored. */
export interface OperatorIntent {
  /** Its id. */
  id: string;
  /** When. [epoch ms] */
  at: number;
  /** Its session. */
  session_id: string | null;
  /** Who asked. */
  principal: string | null;
  /** What. */
  intent_type: string;
  /** Who should do it. */
  target: string;
  /** The text, cut. */
  message: string;
  /** What was detected. */
  detected: OperatorDetected;
  /** HTTP status that the caller got. */
  status: number;
  /** Why it failed. */
  error: string | null;
  /** How long it took. [ms] */
  total_ms: number | null;
}

/** Who is there, and who calls whom. */
export interface OperatorMapReply {
  /** Older callers look for it. */
  status: "ok";
  /** When calls, processors and memory were measured last; null: not twice yet, so there are no edges. [epoch ms] */
  measured_at: number | null;
  /** Time before measured_at in which the calls of the edges ended; null: not measured yet. [s] */
  window_s: number | null;
  /** From sample to sample. [ms] */
  interval_ms: number;
  /** Modules first, front door first. */
  nodes: Array<OperatorMapNode>;
  /** Also those without a call in the window. */
  edges: Array<OperatorMapEdge>;
  /** Modules that run and could not be measured: their calls are missing. */
  silent: Array<string>;
}

/** Something that runs, or that calls. What is not measured is null. */
export interface OperatorMapNode {
  /** link, engine/NAME, provider/NAME, people … */
  id: string;
  /** What it is. */
  kind: "module" | "supervisor" | "engine" | "provider" | "sidecar" | "people" | "programs" | "shell" | "outside";
  /** Without its kind. */
  name: string;
  /** Wanted state of a module. */
  state: "active" | "standby" | "off" | null;
  /** What its process does: of modules as in /supervisor/status, of engines as in /hermes/engines. */
  process: string | null;
  /** As last heard. */
  health: "ok" | "degraded" | "down" | null;
  /** Why it is not healthy or does not run. */
  reason: string | null;
  /** TCP port. */
  port: number | null;
  /** Process id. */
  pid: number | null;
  /** Since its process started. [s] */
  uptime_s: number | null;
  /** Times it was started again. */
  restarts: number | null;
  /** Of one core, between the last two samples. [%] */
  cpu_percent: number | null;
  /** Resident memory. [bytes] */
  rss_bytes: number | null;
  /** Its share of memory, shared pages counted once. [bytes] */
  pss_bytes: number | null;
  /** Requests that it answers now. [requests] */
  in_flight: number | null;
}

/** Calls from one to another, counted by who called or by the door they came through. Looks at health and metrics are not counted. */
export interface OperatorMapEdge {
  /** Id of the node that called. */
  from: string;
  /** Id of the node that was called. */
  to: string;
  /** That ended within the window. [calls] */
  calls: number;
  /** Of those: no answer, or a status of 500 and more. [calls] */
  failures: number;
  /** Of those: given up by who called. [calls] */
  cancelled: number;
  /** Half of the answers had begun by then; null: there was none. [ms] */
  p50_ms: number | null;
  /** 95 of a hundred. [ms] */
  p95_ms: number | null;
}

/** Which series. */
export interface OperatorMetricsParams {
  /** Names with commas between, as cpu,memory; all when absent. */
  names?: string;
  /** Modules with commas between, as link,engine/guide; all when absent. */
  modules?: string;
  /** From then on; an hour before until when absent. [epoch ms] */
  since?: number;
  /** Until then; now when absent. [epoch ms] */
  until?: number;
  /** From value to value; chosen for about 300 values when absent, longer than asked for when there would be more than 2000. [ms] */
  step?: number;
}

/** Series for charts. */
export interface OperatorMetricsReply {
  /** Time of the first value. [epoch ms] */
  since: number;
  /** End of the last. [epoch ms] */
  until: number;
  /** From value to value. [ms] */
  step_ms: number;
  /** What the values are made of; the latest minutes are always of samples. */
  resolution: "sample" | "minute" | "hour";
  /** By module, then name. One that was never measured is not there. */
  series: Array<OperatorMetricSeries>;
}

/** One line of a chart. */
export interface OperatorMetricSeries {
  /** Of whom: a module, or engine/NAME. */
  module: string;
  /** What. */
  name: string;
  /** Of the values; empty: none. */
  unit: string;
  /** How it is measured. Values of a gauge and a rate are means over the step, of a quantile the worst in it. */
  kind: "gauge" | "rate" | "quantile";
  /** Array of numbers: number i is of the time from since + i * step_ms, one step long. null: nothing was measured in it. */
  values: Json;
}

/** Which log records. */
export interface OperatorLogParams {
  /** Only of this module (engine/NAME for an engine). */
  module?: string;
  /** This level and worse. */
  level?: "trace" | "debug" | "info" | "warn" | "error";
  /** Only those with this text anywhere in them; capitals do not count. */
  q?: string;
  /** Written then or later. [epoch ms] */
  since?: number;
  /** Written then or earlier. [epoch ms] */
  until?: number;
  /** Only older ones: next_before of the page before. */
  before?: string;
  /** Most of them. [records] */
  limit?: number;
}

/** Log records, newest first. */
export interface OperatorLogReply {
  /** Newest first. */
  records: Array<OperatorLogRecord>;
  /** For the next page, which may be there even when this one is short; null: there are no older ones. */
  next_before: string | null;
  /** Whether the search stopped at its bound of bytes before the page was full. */
  cut: boolean;
  /** Those that have a log. */
  modules: Array<string>;
}

/** A record of a module's log. */
export interface OperatorLogRecord {
  /** Its place: in which file, at which byte. Last-Event-ID of the stream means it. */
  id: string;
  /** When it was written. [epoch ms] */
  at: number;
  /** How bad. */
  level: "trace" | "debug" | "info" | "warn" | "error";
  /** Who wrote it. */
  module: string;
  /** Which part of it. */
  part: string | null;
  /** What happened. */
  message: string;
  /** Of the request it belongs to, as in X-Request-Id. */
  request_id: string | null;
  /** Object: its other fields, as text. */
  fields: Json;
}

/** Which records to follow. */
export interface OperatorLogFollow {
  /** Only of this module. */
  module?: string;
  /** This level and worse. */
  level?: "trace" | "debug" | "info" | "warn" | "error";
  /** Only those with this text anywhere in them; capitals do not count. */
  q?: string;
}

/** The effective configuration, as Operator has it loaded. */
export interface OperatorConfigReply {
  /** The file it was read from; null: there is none. */
  path: string | null;
  /** Every key, in the order of the file. */
  values: Array<OperatorConfigValue>;
}

/** One key of the configuration. */
export interface OperatorConfigValue {
  /** Such as link.port or switch.providers[0].name. */
  key: string;
  /** What holds; null for a secret, and where nothing is set. */
  value: Json | null;
  /** What holds when nobody sets it; null: nothing. */
  default: Json | null;
  /** Who set it. */
  origin: "default" | "file" | "environment";
  /** FILE:LINE, or the variable's name; null for a default. */
  source: string | null;
  /** What it is. */
  doc: string;
  /** Of a number. */
  unit: string | null;
  /** Whether a change takes effect only when the module starts anew. */
  restart: boolean;
  /** Whether it is kept from sight. */
  secret: boolean;
}

/** The valid tokens. */
export interface OperatorTokenList {
  /** Oldest first. */
  tokens: Array<OperatorToken>;
}

/** An access token, without its secret. */
export interface OperatorToken {
  /** Its id. */
  id: string;
  /** Its name. */
  name: string;
  /** What it may do. */
  scopes: Array<string>;
  /** next: the newer one of a rotation; both are valid. */
  slot: "current" | "next";
  /** The owner's, which is in a file of the home and is managed by `vx11 token`. */
  owner: boolean;
  /** When it was made. [epoch ms] */
  created_at: number;
  /** When it stops working; null: never. [epoch ms] */
  expires_at: number | null;
  /** When last used, to the minute; null: never. [epoch ms] */
  last_used_at: number | null;
}

/** A token to be made. */
export interface OperatorTokenNew {
  /** Its name, which no valid token may have. */
  name: string;
  /** What it may do. */
  scopes: Array<"read" | "chat" | "act" | "admin" | "publish">;
  /** How long it works; absent or null: until it is revoked. [ms] */
  expires_in_ms?: number | null;
}

/** A new token. Its secret is shown this once; only its hash is kept. */
export interface OperatorTokenMade {
  /** The token. */
  token: OperatorToken;
  /** What goes into Authorization: Bearer. */
  secret: string;
}

/** One token. */
export interface OperatorTokenId {
  /** Its id. */
  id: string;
}

/** The database, measured now. */
export interface OperatorDatabaseReply {
  /** When. [epoch ms] */
  measured_at: number;
  /** Of its file. */
  path: string;
  /** Of the file. [bytes] */
  size_bytes: number;
  /** Of the write-ahead log beside it. [bytes] */
  wal_bytes: number;
  /** Pages of the file that hold nothing. [bytes] */
  free_bytes: number;
  /** Size of a page. [bytes] */
  page_bytes: number;
  /** Latest migration. */
  schema_version: number | null;
  /** By name. */
  tables: Array<OperatorDatabaseTable>;
}

/** A table. */
export interface OperatorDatabaseTable {
  /** Its name. */
  name: string;
  /** Whose it is; core: everybody's. */
  module: string;
  /** What the schema says of it. */
  comment: string | null;
  /** Counted. */
  rows: number;
  /** Its pages in the file; null where SQLite does not tell. [bytes] */
  bytes: number | null;
  /** Those of its indices. [bytes] */
  index_bytes: number | null;
  /** In order. */
  columns: Array<OperatorDatabaseColumn>;
  /** By name. */
  indexes: Array<OperatorDatabaseIndex>;
  /** To other tables. */
  foreign_keys: Array<OperatorDatabaseKey>;
  /** Null: its rows stay. */
  retention: OperatorDatabaseRetention | null;
}

/** A column. */
export interface OperatorDatabaseColumn {
  /** Its name. */
  name: string;
  /** As declared. */
  type: string;
  /** Whether it is never NULL. */
  required: boolean;
  /** Whether it is part of the primary key. */
  primary: boolean;
  /** As declared. */
  default_value: string | null;
  /** What the schema says of it. */
  comment: string | null;
}

/** An index. */
export interface OperatorDatabaseIndex {
  /** Its name. */
  name: string;
  /** In order; an expression is (…). */
  columns: Array<string>;
  /** Whether it lets no value in twice. */
  unique: boolean;
  /** Whether it holds a part of the rows only. */
  partial: boolean;
}

/** A foreign key. */
export interface OperatorDatabaseKey {
  /** Of this table. */
  columns: Array<string>;
  /** That they point into. */
  table: string;
  /** Of that table. */
  to: Array<string>;
  /** What becomes of a row when the one that it points to is deleted. */
  on_delete: string;
}

/** How long rows are kept. */
export interface OperatorDatabaseRetention {
  /** By which they age. */
  time_column: string;
  /** Older ones go. [ms] */
  max_age_ms: number | null;
  /** Beyond this many the oldest go. [rows] */
  max_rows: number | null;
}

/** How the map is wanted. */
export interface OperatorDatabaseMapParams {
  /** json: database.Map. markdown: with a drawing. mermaid: the drawing alone. */
  format?: "markdown" | "json" | "mermaid";
  /** Count rows and pages too. */
  sizes?: boolean;
}

/** DB_SCHEMA: every table, whose it is, and what points where. */
export interface DatabaseMap {
  /** Latest migration; null: none. */
  schema_version: number | null;
  /** By name. */
  tables: Array<DatabaseTable>;
  /** Size of a page; absent: sizes were not asked for. [bytes] */
  page_bytes?: number;
  /** Of the file; absent as page_bytes. */
  pages?: number;
  /** Of these, hold nothing; absent as page_bytes. */
  free_pages?: number;
}

/** A table. */
export interface DatabaseTable {
  /** Its name. */
  name: string;
  /** Whose it is; core: everybody's. */
  module: string;
  /** What it holds. */
  comment?: string;
  /** In order. */
  columns: Array<DatabaseColumn>;
  /** Foreign keys and plain ids. */
  keys: Array<DatabaseKey>;
  /** By name. */
  indexes: Array<DatabaseIndex>;
  /** Absent: its rows do not go by age or number. */
  retention?: DatabaseRetention;
  /** How it stays small without a retention: bounded, parent (goes with what it points at), owner (its module deletes), forever. */
  kept?: string;
  /** The same, as a sentence. */
  kept_reason?: string;
  /** Absent: not asked for. [rows] */
  rows?: number;
  /** Its pages; absent: not asked for, or SQLite does not tell. [bytes] */
  bytes?: number;
  /** Pages of its indices; absent as bytes. [bytes] */
  index_bytes?: number;
}

/** A column of a table. */
export interface DatabaseColumn {
  /** Its name. */
  name: string;
  /** As declared. */
  type: string;
  /** NOT NULL. */
  required: boolean;
  /** Part of the primary key. */
  primary: boolean;
  /** As SQL. */
  default_value?: string;
  /** What it holds, from its migration. */
  comment?: string;
}

/** What a table's columns point at. */
export interface DatabaseKey {
  /** Of this table. */
  columns: Array<string>;
  /** That they point at. */
  table: string;
  /** Columns there. */
  to: Array<string>;
  /** What becomes of the row when the other goes; absent: a plain id, which SQLite does not watch. */
  on_delete?: string;
  /** Of a plain id: the row it names may have gone by its own retention. */
  may_be_gone: boolean;
}

/** An index of a table. */
export interface DatabaseIndex {
  /** Its name. */
  name: string;
  /** In order; (…): an expression. */
  columns: Array<string>;
  /** No two rows have the same. */
  unique: boolean;
  /** Of some rows only. */
  partial: boolean;
}

/** How long rows are kept. */
export interface DatabaseRetention {
  /** Column that rows age by. */
  time_column: string;
  /** Older rows go; absent: no limit. [ms] */
  max_age_ms?: number;
  /** Beyond this many the oldest go; absent: no limit. [rows] */
  max_rows?: number;
}

/** From when to when. */
export interface OperatorGrowthParams {
  /** A day ago when absent. [epoch ms] */
  since?: number;
  /** Now when absent. [epoch ms] */
  until?: number;
  /** Of this table instead of the whole file, measured once an hour. */
  table?: string;
}

/** The database's size over time. Value i is of since + i * step_ms; null where nothing was measured. */
export interface OperatorGrowthReply {
  /** Of the first values. [epoch ms] */
  since: number;
  /** From value to value. [ms] */
  step_ms: number;
  /** Array: bytes of the file; of a table, of its pages and those of its indices. */
  size: Json;
  /** Array: bytes of the write-ahead log. */
  wal: Json;
  /** Array: bytes of pages that hold nothing. */
  free: Json;
  /** Array: rows of the table; absent of the whole file. */
  rows?: Json;
}

/** The browser, as it was found. */
export interface OperatorBrowserStatusReply {
  /** As configured. */
  mode: "local" | "remote" | "off";
  /** Whether a task would run. */
  available: boolean;
  /** Why not, with the command that helps. */
  reason: string | null;
  /** Version of Node. */
  node: string | null;
  /** Version of Chromium. */
  chromium: string | null;
  /** Version of the Playwright MCP server. */
  mcp: string | null;
  /** Tasks that run now. */
  running: number;
  /** Tasks that wait. */
  pending: number;
  /** Process of the sidecar; null: it does not run. */
  sidecar_pid: number | null;
}

/** A browser task. */
export interface OperatorBrowserRequest {
  /** Where to begin; http or https. */
  url: string;
  /** What to do there, in order. */
  actions?: Array<OperatorBrowserAction>;
  /** Session that it belongs to. */
  session_id?: string | null;
  /** Deadline of the whole task. [ms] */
  timeout_ms?: number | null;
  /** Take one at the end. */
  screenshot?: boolean;
  /** Keep the accessibility snapshot of the end. */
  snapshot?: boolean;
}

/** One step of a browser task. */
export interface OperatorBrowserAction {
  /** What to do. */
  do: "navigate" | "click" | "type" | "fill" | "press" | "select" | "hover" | "wait" | "scroll" | "screenshot" | "evaluate" | "snapshot" | "text" | "back";
  /** What to do it to: a CSS selector, text=WORDS, role=ROLE[name="WORDS"], or ref=REF of a snapshot. */
  target?: string | null;
  /** What to type, fill, select or wait for; the key to press. */
  text?: string | null;
  /** Where to navigate. */
  url?: string | null;
  /** JavaScript function to evaluate: () => … */
  script?: string | null;
  /** How long to wait at most. [ms] */
  ms?: number | null;
  /** Screenshot of the whole page. */
  full_page?: boolean;
  /** Press Enter after typing. */
  submit?: boolean;
  /** Go on when it fails. */
  optional?: boolean;
}

/** A browser task. */
export interface OperatorBrowserTask {
  /** Its id. */
  id: string;
  /** The same; older callers read it here. */
  task_id: string;
  /** Its session. */
  session_id: string | null;
  /** Who asked. */
  principal: string | null;
  /** Where it began. */
  url: string;
  /** Its state. */
  status: "pending" | "running" | "done" | "error" | "timeout" | "cancelled";
  /** Which browser did it. */
  mode: "local" | "remote" | "off";
  /** Why it ended badly. */
  error: string | null;
  /** url_refused, browser_unavailable, browser_crashed, navigation_failed, step_failed, timeout, restarted. */
  error_code: string | null;
  /** What was asked for. */
  actions: Array<OperatorBrowserAction>;
  /** What was done so far. */
  steps: Array<OperatorBrowserStep>;
  /** What was found. */
  result: OperatorBrowserResult | null;
  /** When it was asked for. [epoch ms] */
  created_at: number;
  /** When it began. [epoch ms] */
  started_at: number | null;
  /** When it ended. [epoch ms] */
  ended_at: number | null;
  /** From begin to end. [ms] */
  duration_ms: number | null;
  /** Its deadline. [ms] */
  timeout_ms: number;
  /** Tasks before it while pending. */
  queue_position: number | null;
}

/** A step as it went. */
export interface OperatorBrowserStep {
  /** Its place, from 0; the first is the navigation to url. */
  index: number;
  /** What was done. */
  do: string;
  /** To what. */
  target: string | null;
  /** How it went. */
  status: "running" | "ok" | "error" | "skipped";
  /** Why it failed. */
  error: string | null;
  /** What it gave: text, value of a script. */
  result: Json | null;
  /** Id of the screenshot it took. */
  screenshot: string | null;
  /** When it began. [epoch ms] */
  started_at: number | null;
  /** How long it took. [ms] */
  duration_ms: number | null;
}

/** What a task found. */
export interface OperatorBrowserResult {
  /** Title of the page. */
  title: string | null;
  /** Where it ended. */
  final_url: string | null;
  /** Of the page's own answer. */
  http_status: number | null;
  /** Beginning of the page's text. */
  text_snippet: string | null;
  /** The page's text, cut to a bound. */
  text: string | null;
  /** Accessibility snapshot. */
  snapshot: string | null;
  /** Id of the last screenshot. */
  screenshot: string | null;
  /** Ids of all screenshots. */
  screenshots: Array<string>;
  /** Errors that the page wrote to its console. */
  console_errors: Array<string>;
  /** What the page asked for, bounded. */
  requests: Array<OperatorBrowserRequestLog>;
}

/** A request that the page made. */
export interface OperatorBrowserRequestLog {
  /** Its method. */
  method: string;
  /** Its address. */
  url: string;
  /** The answer's status; null: none came. */
  status: number | null;
  /** Why the URL policy refused it. */
  refused: string | null;
}

/** Which tasks. */
export interface OperatorBrowserListParams {
  /** Only these. */
  status?: "pending" | "running" | "done" | "error" | "timeout" | "cancelled";
  /** Only of this session. */
  session_id?: string;
  /** Most rows. */
  limit?: number;
  /** next_cursor of the page before. */
  cursor?: string;
}

/** Browser tasks, the latest first; their steps, results and actions are left out (empty). */
export interface OperatorBrowserTaskList {
  /** This page. */
  tasks: Array<OperatorBrowserTask>;
  /** For the next page. */
  next_cursor: string | null;
}

/** A browser task. */
export interface OperatorBrowserTaskId {
  /** Its id. */
  id: string;
}

/** Data of the stream's event `turn`, its first: what was stored before the model is asked. */
export interface OperatorChatTurn {
  /** The session. */
  session: OperatorSession;
  /** The person's message. */
  user_message: OperatorMessage;
  /** The answer, still empty. */
  message: OperatorMessage;
}

/** Data of the stream's event `delta`. */
export interface OperatorChatDelta {
  /** More of the answer. */
  text?: string;
  /** More of what the model thinks. */
  reasoning?: string;
}

/** Records are missing here. */
export interface OperatorLogGap {
  /** How many; null: nobody knows. [records] */
  skipped: number | null;
}

/** Which runs. */
export interface SupervisorChoreListParams {
  /** Only these. */
  kind?: "backup" | "verify" | "maintain" | "check" | "doctor";
  /** Most that have ended. [chores] */
  limit?: number;
}

/** Schedule and runs. */
export interface SupervisorChoreList {
  /** One for each kind. */
  schedule: Array<SupervisorChoreSchedule>;
  /** What waits and runs, then what ended, newest first. */
  chores: Array<SupervisorChore>;
}

/** When a chore is done by itself. */
export interface SupervisorChoreSchedule {
  /** Which. */
  kind: "backup" | "verify" | "maintain" | "check" | "doctor";
  /** How often; 0: only when asked. [ms] */
  every_ms: number;
  /** When it last went well; null: never, as far as the database remembers. [epoch ms] */
  last_done_at: number | null;
  /** When it is due; null: only when asked. [epoch ms] */
  next_at: number | null;
  /** Why the last one failed; null: it did not. */
  failing: string | null;
}

/** A chore: one run. */
export interface SupervisorChore {
  /** Its id. */
  id: string;
  /** Which. */
  kind: "backup" | "verify" | "maintain" | "check" | "doctor";
  /** How far it is. */
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  /** schedule, or who asked. */
  asked_by: string;
  /** When. [epoch ms] */
  asked_at: number;
  /** When its process was started. [epoch ms] */
  started_at: number | null;
  /** When that ended. [epoch ms] */
  ended_at: number | null;
  /** Of its process, while it runs. */
  pid: number | null;
  /** Of its process; null: it did not exit by itself, or not yet. */
  exit_code: number | null;
  /** Why it failed. */
  reason: string | null;
  /** What the command printed with --json; null: nothing, too much, or not yet. Left out in lists. */
  output: Json | null;
}

/** A chore to do now. */
export interface SupervisorChoreRequest {
  /** Which. */
  kind: "backup" | "verify" | "maintain" | "check" | "doctor";
  /** verify: the backup to read; all of them when absent. */
  name?: string;
  /** maintain: a full compaction. That needs everything else stopped, so the answer is 409 needs_stop with the command for it. */
  full?: boolean;
}

/** A chore. */
export interface SupervisorChoreId {
  /** Its id. */
  id: string;
}

/** Every backup, newest first. */
export interface BackupList {
  /** Where they lie. */
  folder: string;
  /** Of all of them. [bytes] */
  bytes: number;
  /** Free there. [bytes] */
  free_bytes: number | null;
  /** Newest first. */
  backups: Array<BackupItem>;
}

/** A backup. */
export interface BackupItem {
  /** Its file: a name in the folder of backups, or a path. */
  name: string;
  /** Why it was made; null: its manifest cannot be read. */
  kind: "manual" | "daily" | "weekly" | "monthly" | "before_maintain" | "before_migrate" | null;
  /** What was committed before is in it. [epoch ms] */
  made_at: number | null;
  /** Of the file; null: it is not there. [bytes] */
  bytes: number | null;
  /** Of the database in it. [bytes] */
  database_bytes: number | null;
  /** Of the file, as its manifest says. */
  sha256: string | null;
  /** Highest migration. */
  schema_version: number | null;
  /** Of all tables. [rows] */
  rows: number | null;
  /** With zstd. */
  compressed: boolean;
  /** Needs its key. */
  encrypted: boolean;
  /** Which key that is. */
  key_id: string | null;
  /** Version of VX11 that made it. */
  program: string | null;
  /** When all of it was last read and found whole. [epoch ms] */
  verified_at: number | null;
  /** It was found whole, and nothing since says otherwise. */
  verified: boolean;
  /** What is wrong with it. */
  problem: string | null;
  /** How long this work on it took; null in lists. [ms] */
  duration_ms: number | null;
}

/** The whole system. */
export interface SupervisorStatus {
  /** Program version. */
  version: string;
  /** Supervisor's process id. */
  pid: number;
  /** $VX11_HOME. */
  home: string;
  /** Since `vx11 up`. [s] */
  uptime_s: number;
  /** Address of the page. */
  page: string;
  /** Base URL for OpenAI clients. */
  api: string;
  /** Worst of the active modules. */
  health: "ok" | "degraded" | "down";
  /** From start until every active module was healthy; null until then. [ms] */
  startup_ms: number | null;
  /** Modules, front door first. */
  modules: Array<SupervisorModule>;
}

/** One module, measured now. */
export interface SupervisorModule {
  /** Module name. */
  name: string;
  /** Wanted state. */
  state: "active" | "standby" | "off";
  /** What its process does. backoff: waits before it is started again. failed: cannot start, reason says why. */
  process: "stopped" | "starting" | "running" | "stopping" | "backoff" | "failed";
  /** Process id. */
  pid: number | null;
  /** As it answered now; null when it did not. */
  health: "ok" | "degraded" | "down" | null;
  /** Its checks that are not ok. */
  checks?: Array<CommonCheck>;
  /** Why it is not healthy or does not run. */
  reason: string | null;
  /** TCP port. */
  port: number | null;
  /** Since the process started. [s] */
  uptime_s: number | null;
  /** Times it was started again since `vx11 up`. */
  restarts: number;
  /** How the last process ended: exit status, signal, out of memory, crash report. */
  last_exit: string | null;
  /** Of one core, since the last question at most a few seconds ago. [%] */
  cpu_percent: number | null;
  /** Resident memory. [bytes] */
  rss_bytes: number | null;
  /** Proportional share of memory; sums up without counting shared pages twice. [bytes] */
  pss_bytes: number | null;
  /** Until the next try when in backoff. [ms] */
  next_start_ms: number | null;
}

/** A module by name. */
export interface SupervisorModuleName {
  /** Module name. */
  name: string;
}

/** A restart. */
export interface SupervisorRestart {
  /** Why; in the event. */
  reason?: string;
}

/** A wanted state. */
export interface SupervisorSetState {
  /** active, standby or off. */
  state: "active" | "standby" | "off";
  /** Why; kept. */
  reason?: string;
  /** The module's name once more: needed to switch off, or to standby, what the page itself comes through (link, operator). */
  confirm?: string;
}

/** How to stop. */
export interface SupervisorStop {
  /** How long requests may finish; the configured limit when absent. [ms] */
  limit_ms?: number;
}

/** Done. */
export interface CommonOk {
  /** Always true: failures are errors with their own status. */
  ok: boolean;
}

/** What a reload changed. */
export interface SupervisorReloadReply {
  /** Keys now in force. */
  changed: Array<string>;
  /** Keys that take effect only after a restart of the modules they belong to. */
  needs_restart: Array<string>;
}

/** A one-time link to the page. */
export interface SupervisorLoginLink {
  /** Works once. */
  url: string;
  /** Until when. [epoch ms] */
  expires_at: number;
}

/** How many crash reports. */
export interface SupervisorForensicQuery {
  /** At most so many, the newest first. [reports] */
  limit?: number;
}

/** The crash reports in forensic/. */
export interface SupervisorForensicList {
  /** The newest first. */
  reports: Array<SupervisorForensicReport>;
  /** How many there are. [reports] */
  total: number;
  /** Of all of them. [bytes] */
  bytes: number;
  /** Most that are kept. [reports] */
  keep_count: number;
  /** How long they are kept. [ms] */
  keep_ms: number;
  /** Most bytes that are kept; the newest stays in any case. [bytes] */
  keep_bytes: number;
}

/** What a crash report says at its head. What it does not say, or says in a way that cannot be read, is null. */
export interface SupervisorForensicReport {
  /** MODULE-TIME-PID, as in the file's name. */
  id: string;
  /** Path below $VX11_HOME. */
  file: string;
  /** Size of the file. [bytes] */
  bytes: number;
  /** Which module crashed; an engine worker is `engine`. */
  module: string;
  /** When, as in the file's name. [epoch ms] */
  at: number;
  /** Of the process. */
  pid: number;
  /** Whether it could be read; false: reason says why not, and what follows is null. */
  readable: boolean;
  /** Whether it was written to its end; false: the process could not finish it. */
  complete: boolean;
  /** Why it is not readable or not complete. */
  reason: string | null;
  /** SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL. */
  signal: string | null;
  /** The same as a number. */
  signal_number: number | null;
  /** What it reached for, in hexadecimal; null when a process sent the signal. */
  address: string | null;
  /** The process that sent the signal; null when the kernel did. */
  sent_by_pid: number | null;
  /** Thread id. */
  thread: number | null;
  /** Of the program. */
  version: string | null;
  /** Of the program, from its own notes. */
  build_id: string | null;
  /** The request that the thread worked on. */
  request_id: string | null;
}

/** A crash report by its id. */
export interface SupervisorForensicId {
  /** As in the list: MODULE-TIME-PID. */
  id: string;
}

/** A crash report with its backtrace symbolised. */
export interface SupervisorForensicShow {
  /** Its head. */
  report: SupervisorForensicReport;
  /** What crashed where, as a sentence. */
  summary: string;
  /** Program that read the debug information; null: none was used. */
  symbolizer: string | null;
  /** From where it crashed outwards; those of the crash handler are left out. */
  frames: Array<SupervisorForensicFrame>;
  /** Of the thread that crashed. */
  registers: Array<SupervisorForensicRegister>;
  /** The last log records before it, oldest first, secrets hidden. */
  log: Array<string>;
  /** Null: no run of that process is recorded (engine workers have none). */
  run: SupervisorForensicRun | null;
  /** Why run is null. */
  run_reason: string | null;
}

/** One frame of the backtrace. */
export interface SupervisorForensicFrame {
  /** Innermost 0, counted from where it crashed. An inlined call has the number of the frame it is in. */
  number: number;
  /** In hexadecimal. */
  address: string;
  /** File that the code is from. */
  object: string | null;
  /** Place in that file, in hexadecimal. */
  offset: string | null;
  /** Its name; null: not known. */
  function: string | null;
  /** Source file. */
  source: string | null;
  /** Line in it. */
  line: number | null;
  /** Whether the call was inlined into the next frame. */
  inlined: boolean;
  /** debug: debug information. symbols: a table of symbols, so no line, and perhaps a neighbour's name. offset: nothing but the place. */
  known_from: "debug" | "symbols" | "offset";
  /** Why it is not known from debug information. */
  reason: string | null;
}

/** A register at the crash. */
export interface SupervisorForensicRegister {
  /** Its name. */
  name: string;
  /** In hexadecimal. */
  value: string;
}

/** The process that crashed, as the supervisor recorded it. */
export interface SupervisorForensicRun {
  /** Id of the run. */
  id: string;
  /** When it was started. [epoch ms] */
  started_at: number;
  /** When it ended; null: not recorded. [epoch ms] */
  ended_at: number | null;
  /** Signal that ended it. */
  signal: number | null;
  /** Exit status, when it had one. */
  exit_code: number | null;
  /** Killed for want of memory. */
  oom: boolean;
  /** Why it ended. */
  reason: string | null;
}

/** Which reports. */
export interface SupervisorDoctorListParams {
  /** Only older ones: next_before of the page before. */
  before?: string;
  /** Most of them. [reports] */
  limit?: number;
}

/** vx11 doctor --history --json: reports, newest first. */
export interface SupervisorDoctorHistory {
  /** Newest first. */
  reports: Array<SupervisorDoctorSummary>;
  /** For the next page; null: there are no older ones. */
  next_before: string | null;
}

/** A report without its checks. */
export interface SupervisorDoctorSummary {
  /** Of the report. */
  id: string;
  /** When it began. [epoch ms] */
  at: number;
  /** Who asked. */
  origin: "manual" | "scheduled";
  /** What came of it. */
  verdict: "ready" | "ready_with_warnings" | "not_ready";
  /** Results in it. */
  checks: number;
  /** Failed or unknown ones of severity block. */
  blocking: number;
  /** The same of severity warn. */
  warnings: number;
  /** The same of severity info. */
  notes: number;
  /** Of all these, the unknown ones. */
  unknown: number;
  /** Of the whole look. [ms] */
  duration_ms: number;
  /** VX11 that looked. */
  version: string;
}

/** A report. */
export interface SupervisorDoctorId {
  /** Its id. */
  id: string;
}

/** vx11 doctor --json. */
export interface SupervisorDoctorReport {
  /** Of the report in the history; null: it is not kept, not_kept says why. */
  id: string | null;
  /** Why it is not in the history. */
  not_kept: string | null;
  /** When it began. [epoch ms] */
  at: number;
  /** Who asked. */
  origin: "manual" | "scheduled";
  /** What came of it. */
  verdict: "ready" | "ready_with_warnings" | "not_ready";
  /** VX11 that looked. */
  version: string;
  /** $VX11_HOME that was looked at. */
  home: string;
  /** Of the whole look. [ms] */
  duration_ms: number;
  /** Failed or unknown ones of severity block. */
  blocking: number;
  /** The same of severity warn. */
  warnings: number;
  /** The same of severity info. */
  notes: number;
  /** Of all these, the unknown ones. */
  unknown: number;
  /** Checks that were asked for; empty: all. The verdict is about these alone. */
  only: Array<string>;
  /** By group, in the order of docs/doctor.md. */
  checks: Array<SupervisorDoctorCheck>;
  /** What --fix did before these checks ran again. */
  fixes: Array<SupervisorDoctorFix>;
}

/** One result of vx11 doctor. */
export interface SupervisorDoctorCheck {
  /** Which check; docs/doctor.md explains each. */
  id: string;
  /** Of what, where a check looks at several: a module, a model, a port. Null: there is one. */
  subject: string | null;
  /** What it is about. */
  group: "modules" | "database" | "models" | "backup" | "machine" | "logs" | "queue" | "crashes" | "ports" | "permissions" | "sidecars" | "libraries" | "config";
  /** What it means when it is not ok. block: not ready. warn: ready, with a warning. info: nothing. */
  severity: "block" | "warn" | "info";
  /** What has to be so. */
  title: string;
  /** unknown: it could not be measured; that counts as failed. */
  state: "ok" | "failed" | "unknown";
  /** What was found; null: nothing. */
  measured: string | null;
  /** The same as a number; null: it is none. */
  value: number | null;
  /** Of value. */
  unit: string | null;
  /** What it is held against. */
  limit: string | null;
  /** Why it is not ok; null: it is. */
  reason: string | null;
  /** What mends it: a command, or what to do; null: nothing needs it. */
  mend: string | null;
  /** Whether vx11 doctor --fix mends it. */
  fixable: boolean;
  /** How long it took. [ms] */
  duration_ms: number;
}

/** What vx11 doctor --fix did. */
export interface SupervisorDoctorFix {
  /** For which check. */
  check: string;
  /** What was done, or tried. */
  action: string;
  /** Whether it went well. */
  ok: boolean;
  /** Why it did not. */
  reason: string | null;
}

/** Which rows: the newest first, or with after the oldest first. */
export interface SupervisorLedgerParams {
  /** Only rows with a smaller n: next_before of the page before. */
  before?: number;
  /** Only rows with a larger n, the oldest first. */
  after?: number;
  /** Most of them. [rows] */
  limit?: number;
  /** Only this kind; with a dot at its end all that begin so (token.). */
  kind?: string;
}

/** Rows of the ledger. */
export interface SupervisorLedgerList {
  /** The rows. */
  rows: Array<SupervisorLedgerRow>;
  /** There are older ones: before of the next page. */
  next_before?: number;
  /** With after: n of the last row here, to go on from. */
  next_after?: number;
  /** The last row of all, as NUMBER:HASH; kept elsewhere it proves later that nothing before it was changed. */
  head: string;
}

/** Something that was decided or changed. */
export interface SupervisorLedgerRow {
  /** Its place in the chain: 1, 2, 3 … */
  n: number;
  /** Its id. */
  id: string;
  /** When. [epoch ms] */
  at: number;
  /** What happened: token.created, module.state, confirmation.given, restore … */
  kind: string;
  /** Who: name of a token or session, cli, supervisor … */
  actor: string;
  /** To what; absent: to the system. */
  subject?: string;
  /** What more there is to say, an object. */
  detail?: Json;
  /** Hash of the row before, in hex. */
  prev: string;
  /** Its own: SHA-256 of prev and the fields. */
  hash: string;
}

/** What a walk along the whole ledger found. */
export interface SupervisorLedgerReport {
  /** Nothing was found. */
  sound: boolean;
  /** Rows that were looked at. [rows] */
  rows: number;
  /** Of those, with a fault of their own. [rows] */
  bad: number;
  /** Rows that are not there, as far as is known. [rows] */
  missing: number;
  /** The first fault. contents: a field was changed. hash, prev: that column was. missing: rows before it are gone. order: it does not come after the row before. shape: a field has another type or size. end: the last rows are gone. head: the chain was made anew. unguarded: the triggers that keep the table append-only are gone. */
  fault: "sound" | "contents" | "hash" | "prev" | "missing" | "order" | "shape" | "end" | "head" | "unguarded";
  /** Row where it shows. */
  n?: number;
  /** That row's id, as it stands there. */
  id?: string;
  /** The first fault as a sentence. */
  reason?: string;
  /** The last row that was looked at, as NUMBER:HASH. */
  head: string;
  /** When the first row was written. [epoch ms] */
  first_at?: number;
  /** When the last one was. [epoch ms] */
  last_at?: number;
  /** The anchor beside the database was there: without it a cut end cannot be seen. */
  anchored: boolean;
  /** The last row that the anchor knows, as NUMBER:HASH. */
  anchor?: string;
  /** Why the anchor could not be used. */
  anchor_reason?: string;
  /** How long the walk took. [ms] */
  duration_ms: number;
}

/** Which runs. */
export interface SupervisorMaintenanceListParams {
  /** Only older ones: next_before of the page before. */
  before?: string;
  /** Most of them. [runs] */
  limit?: number;
}

/** Runs, newest first. */
export interface MaintenanceRuns {
  /** Newest first. */
  runs: Array<MaintenanceRun>;
  /** Give this as before to get older ones; null: there are none. */
  next_before: string | null;
}

/** A run in a list. */
export interface MaintenanceRun {
  /** Its id. */
  id: string;
  /** When it began. [epoch ms] */
  at: number;
  /** When it ended; null: it has not, or could not say so. [epoch ms] */
  ended_at: number | null;
  /** Who asked for it. */
  origin: "manual" | "scheduled";
  /** How it ended. */
  state: "running" | "done" | "failed" | "interrupted";
  /** First step that failed, and why. */
  error: string | null;
  /** Size of the file. [bytes] */
  bytes_before: number;
  /** Size of the file; null: not known. [bytes] */
  bytes_after: number | null;
  /** That left. [rows] */
  deleted_rows: number;
  /** That were written to the archive. [rows] */
  archived_rows: number;
}

/** A run. */
export interface SupervisorMaintenanceId {
  /** Its id. */
  id: string;
}

/** One run of vx11 db maintain. */
export interface MaintenanceReport {
  /** Of the run. */
  id: string;
  /** When it began. [epoch ms] */
  at: number;
  /** When it ended. [epoch ms] */
  ended_at: number;
  /** Who asked for it. */
  origin: "manual" | "scheduled";
  /** VX11 that did it. */
  version: string;
  /** The file. */
  database: string;
  /** Nothing was changed: it says what would go. */
  dry_run: boolean;
  /** A full compaction was asked for. */
  compact: boolean;
  /** No step failed. */
  ok: boolean;
  /** First step that failed, and why. */
  error: string | null;
  /** Of all of it. [ms] */
  duration_ms: number;
  /** Size of the file. [bytes] */
  bytes_before: number;
  /** Size of the file. [bytes] */
  bytes_after: number;
  /** Of pages that hold something. [bytes] */
  used_before: number;
  /** Of pages that hold something. [bytes] */
  used_after: number;
  /** Of the write-ahead log. [bytes] */
  wal_before: number;
  /** Of the write-ahead log. [bytes] */
  wal_after: number;
  /** From this size on there is a warning. [bytes] */
  warn_bytes: number;
  /** From this size on less is kept. [bytes] */
  target_bytes: number;
  /** Tightest bounds that had to be applied; see Table. */
  tier: number;
  /** That left, with those of other tables that went with them. [rows] */
  deleted_rows: number;
  /** That were written to the archive. [rows] */
  archived_rows: number;
  /** What they take there. [bytes] */
  archive_bytes: number;
  /** Longest time that other writers were kept out at a stretch. [ms] */
  longest_hold_ms: number;
  /** The backup that was made before; null: none. */
  backup: string | null;
  /** In their order. */
  steps: Array<MaintenanceStep>;
  /** Tables that rows left, or that could not be kept within their bounds. */
  tables: Array<MaintenanceTable>;
}

/** One step of a run. */
export interface MaintenanceStep {
  /** quick_check, backup, retention, rollup, foreign_keys, checkpoint, vacuum, compact, optimize, integrity or archive. */
  name: string;
  /** How it ended. */
  state: "done" | "failed" | "skipped";
  /** How long it took. [ms] */
  duration_ms: number;
  /** Longest time that it kept other writers out at a stretch; null: it writes nothing into the database. [ms] */
  longest_hold_ms: number | null;
  /** What it did or found. */
  summary: string | null;
  /** Why it failed or was skipped. */
  reason: string | null;
}

/** What retention did to a table. */
export interface MaintenanceTable {
  /** The table. */
  name: string;
  /** Bounds that were applied: 0 its usual ones, 1 the tight ones, 2-4 half, a quarter, an eighth of these. */
  tier: number;
  /** That left, or, in a dry run, would leave. [rows] */
  rows: number;
  /** Of other tables, that went with them. [rows] */
  children: number;
  /** Its rows are written to the archive before they go. */
  archives: boolean;
  /** Rows and children that were written to the archive. [rows] */
  archived: number;
  /** What they take there. [bytes] */
  archive_bytes: number;
  /** Rows that were archived and stayed, because somebody changed them meanwhile. [rows] */
  changed: number;
  /** In which they left. */
  transactions: number;
  /** The longest of these kept other writers out for so long. [ms] */
  longest_hold_ms: number;
  /** Why the table is not within its bounds. */
  error: string | null;
}

/** A chat in VX11's own words; the /v1 pair takes OpenAI's. */
export interface SwitchChatRequest {
  /** The conversation, oldest first. */
  messages: Array<OpenaiChatMessage>;
  /** Model or PROVIDER/MODEL; the default model when absent. */
  model?: string;
  /** Only this provider. */
  provider?: string;
  /** This provider first, the chain after it. */
  provider_hint?: string;
  /** Longest answer. [tokens] */
  max_tokens?: number;
  /** Sampling temperature. */
  temperature?: number;
  /** Free object; kept with the decision: task_type, source, session_id. */
  metadata?: Json;
}

/** The answer. */
export interface SwitchChatReply {
  /** Always ok: anything else is an error with its own status code. */
  status: "ok";
  /** Who answered. */
  provider: string;
  /** Model that answered, as the provider names it. */
  model: string;
  /** Why this provider, in a few words. */
  decision: string;
  /** The answer's text. */
  content: string;
  /** The same text; older callers read it here. */
  reply: string;
  /** As the provider reported it. */
  finish_reason: string | null;
  /** Tokens as the provider reported them; null when it did not. */
  usage: OpenaiUsage | null;
  /** From the request's arrival to the answer's end. [ms] */
  latency_ms: number;
  /** Id of the request and of its decision row. */
  request_id: string;
}

/** All providers in the order of the chain. */
export interface SwitchProviderList {
  /** Older callers look for it. */
  status: "ok";
  /** Providers. */
  providers: Array<SwitchProvider>;
}

/** One who can answer. */
export interface SwitchProvider {
  /** Name from the configuration. */
  name: string;
  /** How it is reached. */
  kind: "local" | "openai" | "anthropic" | "tool" | "module";
  /** As known from its breaker and the last exchange; nothing is asked for this reply. */
  status: "ready" | "unavailable" | "unknown" | "disabled";
  /** Address of an openai or anthropic provider. */
  base_url: string | null;
  /** Models it is known to offer. */
  models: Array<string>;
  /** When the models were last listed. [epoch ms] */
  models_known_at: number | null;
  /** Why the last listing failed. */
  models_error: string | null;
  /** Whether the key it names is there; null when it needs none. */
  key_present: boolean | null;
  /** Its circuit breaker. */
  breaker: SwitchBreaker;
  /** Requests running now. */
  in_flight: number;
  /** Requests sent to it since this process started. */
  requests: number;
  /** Of those, failed. */
  failures: number;
  /** Median time to the first token since this process started; null without requests. [ms] */
  first_token_p50_ms: number | null;
}

/** Everyone's budgets. */
export interface SwitchBudgetList {
  /** Older callers look for it. */
  status: "ok";
  /** Of costs. */
  currency: string;
  /** Who has them. */
  holders: Array<SwitchBudgetHolder>;
}

/** One who has budgets, and what a token may besides. */
export interface SwitchBudgetHolder {
  /** Who asks, or who answers. */
  kind: "principal" | "provider";
  /** Id of the token, page (all sessions of it), local (modules on nobody's behalf), or the provider's name. */
  id: string;
  /** Its name. */
  name: string;
  /** What it may ask for; empty: everything. */
  models?: Array<string>;
  /** Whether its requests never leave the machine. */
  local_only: boolean;
  /** Mode of its requests that name none. */
  mode: string | null;
  /** When it stops working; null: never. [epoch ms] */
  expires_at: number | null;
  /** All five. */
  budgets: Array<SwitchBudget>;
}

/** One budget, now. */
export interface SwitchBudget {
  /** Which. */
  budget: "requests_per_minute" | "concurrent" | "tokens_per_day" | "tokens_per_month" | "cost_per_month";
  /** What it counts. */
  unit: "requests" | "tokens" | "currency";
  /** Most; null: no limit. */
  limit: number | null;
  /** Of the running minute, day or month; of concurrent: what runs. */
  used: number;
  /** What running requests may still take. */
  reserved: number;
  /** What is left; null: no limit. */
  remaining: number | null;
  /** When it is whole again; null: as soon as requests end. [epoch ms] */
  reset_at: number | null;
}

/** A token. */
export interface SwitchTokenRef {
  /** Its id or its name. */
  token: string;
}

/** What a token may from now on; what is left out has no limit. */
export interface SwitchTokenLimits {
  /** MODEL, ALIAS or PROVIDER/MODEL, * stands for any text; empty: everything. */
  models?: Array<string>;
  /** Most in any minute. [requests] */
  requests_per_minute?: number | null;
  /** Most at a time. [requests] */
  concurrent?: number | null;
  /** Read and written, UTC day. [tokens] */
  tokens_per_day?: number | null;
  /** The same, UTC month. [tokens] */
  tokens_per_month?: number | null;
  /** In switch.currency, UTC month. */
  cost_per_month?: number | null;
  /** Its requests never leave the machine. */
  local_only?: boolean;
  /** Of its requests that name none. */
  mode?: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL" | null;
  /** When it stops working; stays as it is when absent. [epoch ms] */
  expires_at?: number;
}

/** Which usage. */
export interface SwitchUsageQuery {
  /** What the rows are of. */
  by?: "day" | "model" | "provider" | "principal";
  /** From the UTC day that this is in; the beginning of this month when absent. [epoch ms] */
  since?: number;
  /** Days that begin before this; now when absent. [epoch ms] */
  until?: number;
  /** Most rows. */
  limit?: number;
}

/** What was used. */
export interface SwitchUsageReport {
  /** Older callers look for it. */
  status: "ok";
  /** What the rows are of. */
  by: "day" | "model" | "provider" | "principal";
  /** Of costs. */
  currency: string;
  /** Beginning of the first day. [epoch ms] */
  since: number;
  /** Days that begin before this. [epoch ms] */
  until: number;
  /** By day in order of time, else the most requests first. */
  rows: Array<SwitchUsageRow>;
}

/** What was used. */
export interface SwitchUsageRow {
  /** Beginning of the UTC day. [epoch ms] */
  day?: number | null;
  /** Whose. */
  principal_id?: string | null;
  /** Its name. */
  principal?: string | null;
  /** Who answered; null: nobody was asked. */
  provider?: string | null;
  /** With which model. */
  model?: string | null;
  /** All of them. [requests] */
  requests: number;
  /** Of those, failed. [requests] */
  failed: number;
  /** Of those, not sent to any provider. [requests] */
  refused: number;
  /** Of those, left by the caller. [requests] */
  cancelled: number;
  /** Of those, answered from Switch's cache; their tokens are not counted. [requests] */
  cache_hits: number;
  /** Read. [tokens] */
  prompt_tokens: number;
  /** Written. [tokens] */
  completion_tokens: number;
  /** Of those read, from a provider's cache. [tokens] */
  cached_tokens: number;
  /** Requests with tokens whose cost nobody knows. [requests] */
  unpriced: number;
  /** Requests whose tokens were counted here. [requests] */
  estimated: number;
  /** Sum of what is known. */
  cost: number;
}

/** The cache of replies. */
export interface SwitchCacheStatus {
  /** Whether there is one. */
  enabled: boolean;
  /** Replies kept. */
  entries: number;
  /** Memory they take. [bytes] */
  bytes: number;
  /** Most that they may. [bytes] */
  max_bytes: number;
  /** Requests answered from it since the start. */
  hits: number;
  /** Requests that were not there. */
  misses: number;
  /** Requests whose reply is not kept, or that asked not to be answered from it. */
  bypassed: number;
  /** Replies taken in. */
  kept: number;
  /** Of those, that made room for others. */
  evicted: number;
  /** Of those, that were too old or of another registry. */
  expired: number;
}

/** A request that is only thought through. */
export interface SwitchSelectRequest {
  /** What would be asked. */
  prompt?: string;
  /** The same, as older callers say it. */
  query?: string;
  /** A conversation instead. */
  messages?: Array<OpenaiChatMessage>;
  /** Model, auto or an alias; auto when absent. */
  model?: string | null;
  /** What would be asked for. */
  kind?: "chat" | "completion" | "embedding";
  /** Only this provider. */
  provider?: string | null;
  /** This provider first. */
  provider_hint?: string | null;
  /** Only these: MODEL, PROVIDER/MODEL or PROVIDER. */
  available_engines?: Array<string> | null;
  /** Tools, as OpenAI has them. */
  tools?: Json | null;
  /** As OpenAI has it. */
  response_format?: Json | null;
  /** Longest answer. [tokens] */
  max_tokens?: number | null;
  /** Type of the task; goes before metadata.task_type. */
  task_type?: string | null;
  /** task_type, privacy, mode, source. */
  metadata?: Json | null;
  /** Who asks. */
  source?: string | null;
}

/** Who would answer. Nothing was sent to a provider, nothing was counted. */
export interface SwitchSelectReply {
  /** none: nobody would, decision says why. */
  status: "ok" | "none";
  /** Who would answer. */
  provider: string | null;
  /** With which model. */
  model: string | null;
  /** PROVIDER/MODEL. */
  engine: string | null;
  /** The same; older callers read it here. */
  engine_selected: string | null;
  /** Why, in a few words. */
  decision: string;
  /** Its score. */
  score: number | null;
  /** Object of PROVIDER/MODEL to score, of all that may be asked. */
  scores_per_engine: Json | null;
  /** Mode that applies. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** What that mode stands for. */
  profile: SwitchModeProfile;
  /** How the choice came about. */
  explanation: SwitchExplanation;
}

/** What a mode stands for. */
export interface SwitchModeProfile {
  /** The mode. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** Share of the processors that background work may take. */
  cpu_limit: number;
  /** Most candidates that a choice may try one after the other. [models] */
  max_models: number;
  /** How long one that Switch chose may take to its first token while another is left. [ms] */
  timeout_ms: number;
  /** Jobs of the queue at a time. */
  max_workers: number;
  /** Kinds of providers that it likes. */
  preferred: Array<"local" | "openai" | "anthropic" | "tool" | "module">;
  /** Weights of the score. */
  weights: SwitchWeights;
}

/** Weights of the score; their sum is 1. */
export interface SwitchWeights {
  /** Of quality. */
  quality: number;
  /** Of latency. */
  latency: number;
  /** Of cost. */
  cost: number;
  /** Of what was learned. */
  learned: number;
}

/** How the choice came about. */
export interface SwitchExplanation {
  /** Model as it was asked for. */
  requested: string | null;
  /** What it stands for: a model's name, none, auto, or an alias. */
  chosen_by: "name" | "default" | "auto" | "alias";
  /** Type of the task. */
  task_type: string;
  /** How that was told. */
  task_from: "explicit" | "content" | "words" | "none";
  /** How sure the words make it; 1 when it was said. */
  task_confidence: number;
  /** Words that told. */
  task_words: Array<string>;
  /** What the model must be able to do: tools, vision, json_schema, embeddings. */
  needs: Array<string>;
  /** Estimate. [tokens] */
  prompt_tokens: number;
  /** Expected: what the request allows at most, at most 256. [tokens] */
  completion_tokens: number;
  /** Whether it must stay on this machine. */
  local_only: boolean;
  /** Who said so. */
  privacy_from: "request" | "token" | "default";
  /** Mode that applies. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** Mode that is set; the host may be too short of power for it. */
  mode_set: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** How the host is off. */
  fluzo: "low_power" | "balanced" | "performance";
  /** What orders the candidates. */
  order: "score" | "chain" | "listed";
  /** Weights of the score. */
  weights: SwitchWeights;
  /** The best first; those that were dropped last. */
  candidates: Array<SwitchCandidate>;
}

/** One who could answer, and what speaks for it. Values from 0 to 1, 1 is best, unless a unit is said. */
export interface SwitchCandidate {
  /** Provider. */
  provider: string;
  /** Model, as the provider names it. */
  model: string;
  /** Whether it may be asked. */
  state: "eligible" | "not_now" | "dropped";
  /** Why it is where it is. */
  reason: string;
  /** The sum that it is ordered by. */
  score: number;
  /** Quality term. */
  quality: number;
  /** Latency term: 1 - min(latency_ms / 5000, 1). */
  latency: number;
  /** Cost term: 1 - min(price / 10, 1). */
  cost: number;
  /** Learned term: how often it went well. */
  learned: number;
  /** Added for the mode's liking, taken off for what is not known and for a host that is short of power. */
  adjust: number;
  /** Expected time, the load of a model that is not loaded included. [ms] */
  latency_ms: number;
  /** Price in the mix of tokens that is expected. [per 1M tokens] */
  price: number;
  /** Which of quality, latency, load, cost, learned are no measurements nor configured but stand-ins. */
  guessed: Array<string>;
  /** How each try of it went. */
  outcomes: Array<SwitchAttemptOutcome>;
}

/** How one attempt went, for the learner. */
export interface SwitchAttemptOutcome {
  /** Whether it answered in full. */
  ok: boolean;
  /** When it ended. [epoch ms] */
  at: number;
  /** Time to its first token; null: not streamed, or there was none. [ms] */
  first_token_ms: number | null;
  /** Time to its end. [ms] */
  total_ms: number | null;
  /** Written. [tokens] */
  tokens: number | null;
}

/** Whether a request is about sound, and what of it. */
export interface SwitchShubDetect {
  /** Whether it is. */
  should_route_to_shub: boolean;
  /** Why. */
  reason: string;
  /** Type of the task. */
  task_type: string;
  /** restoration, arrangement, analysis, mixing, mastering, effects, synthesis or reaper_control. */
  domain: string | null;
  /** What of it: denoise, declip, restore; eq, compress, reverb, balance. */
  operation: string | null;
  /** draft, standard or professional, when it is said. */
  quality: string | null;
  /** light, medium or heavy, when it is said. */
  intensity: string | null;
  /** The number before LUFS, when it is said. [LUFS] */
  target_loudness: number | null;
}

/** Sets or asks for the mode. */
export interface SwitchControlRequest {
  /** set_mode, get_mode or list_modes. */
  action?: string;
  /** The same, as older callers say it. */
  action_type?: string;
  /** The same again. */
  op?: string;
  /** Of set_mode. */
  mode?: string;
}

/** The mode. */
export interface SwitchControlReply {
  /** Older callers look for it. */
  status: "ok";
  /** Mode that is set. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** Mode that applies: ECO while the host is short of power, unless CRITICAL is set. */
  effective_mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** What the mode that is set stands for. */
  profile: SwitchModeProfile;
  /** All modes, of list_modes. */
  modes?: Array<SwitchModeProfile> | null;
}

/** All that was learned. */
export interface SwitchLearnerReply {
  /** Older callers look for it. */
  status: "ok";
  /** After this time what was learned counts half. [ms] */
  half_life_ms: number;
  /** By task type, provider and model. */
  rows: Array<SwitchLearnedRow>;
}

/** What was learned of a model in one type of task. The decayed figures are as of now. */
export interface SwitchLearnedRow {
  /** Type of the task; * is all together. */
  task_type: string;
  /** Provider. */
  provider: string;
  /** Model. */
  model: string;
  /** The score's term: success, drawn to that of all tasks and to 0.5 where little is known. */
  learned: number;
  /** Decayed share of what went well; null: nothing is left of it. */
  success: number | null;
  /** How many requests the share rests on, decayed. [requests] */
  weight: number;
  /** Decayed mean time to the first token. [ms] */
  first_token_ms: number | null;
  /** Decayed mean time of each further token. [ms] */
  token_ms: number | null;
  /** Decayed mean time to the end. [ms] */
  total_ms: number | null;
  /** Attempts, all of them. */
  requests: number;
  /** Of those, failed. */
  failures: number;
  /** Ratings by people. */
  ratings: number;
  /** When something was last learned. [epoch ms] */
  updated_at: number;
}

/** How a request went that did not go through Switch. */
export interface SwitchRecordResult {
  /** PROVIDER/MODEL, or a model that one provider offers. */
  engine: string;
  /** Whether it answered. */
  success?: boolean;
  /** Time to the end; 0: not known. [ms] */
  latency_ms?: number;
  /** Written. [tokens] */
  tokens?: number | null;
  /** Type of the task; chat when absent. */
  task_type?: string | null;
}

/** What a person thought of an answer. */
export interface SwitchFeedbackRequest {
  /** X-Request-Id of the answer. */
  request_id: string;
  /** From -1, bad, to 1, good. */
  rating: number;
  /** Why. */
  note?: string | null;
}

/** What was noted. */
export interface SwitchFeedbackReply {
  /** Older callers look for it. */
  status: "ok";
  /** Who had answered. */
  provider: string;
  /** With which model. */
  model: string;
  /** Type of the task. */
  task_type: string;
  /** The score's learned term, now. */
  learned: number;
}

/** Hermes as Switch sees it now. */
export interface SwitchHermesStatus {
  /** Older callers look for it. */
  status: "ok";
  /** Whether it answered just now. */
  hermes: "available" | "unavailable";
  /** Why it did not. */
  hermes_error: string | null;
  /** Mode that applies. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** What that mode stands for. */
  profile: SwitchModeProfile;
  /** Models that can be loaded or are. */
  available_engines: Array<string>;
  /** Engines that are ready. */
  healthy_engines: Array<SwitchEngineHealth>;
  /** All engines. */
  engines: Array<SwitchEngineHealth>;
  /** Load. */
  metrics: SwitchHostMetrics;
}

/** A local engine, as measured. */
export interface SwitchEngineHealth {
  /** Its model. */
  model: string;
  /** As Hermes says. */
  state: string;
  /** Whether it is ready. */
  healthy: boolean;
  /** Decayed share of its requests that went well; null: none yet. */
  score: number | null;
  /** Decayed mean. [ms] */
  first_token_ms: number | null;
  /** Its last load. [ms] */
  load_ms: number | null;
  /** Resident memory. [bytes] */
  rss_bytes: number | null;
}

/** Load, measured. */
export interface SwitchHostMetrics {
  /** Share of the processors' time in use. [%] */
  cpu: number | null;
  /** Share of the memory in use. [%] */
  memory: number | null;
  /** Jobs that wait. [jobs] */
  queue_size: number | null;
  /** Requests running now. [requests] */
  in_flight: number;
}

/** The load of the router. */
export interface SwitchTensionReply {
  /** Older callers look for it. */
  status: "ok";
  /** 0 idle, 100 saturated; null: not measured yet. */
  value: number | null;
  /** When. [epoch ms] */
  measured_at: number | null;
  /** What it is made of. */
  components: SwitchTensionParts;
}

/** What a tension is made of, each from 0 (nothing) to 1; null: not known. */
export interface SwitchTensionParts {
  /** Attempts that run, of those that providers with a bound take at a time. */
  active: number | null;
  /** Jobs that wait: half where as many wait as run at a time. */
  queue: number | null;
  /** Requests that wait for a model to be loaded: half at four. */
  waiting: number | null;
  /** Attempts of the last minute that failed, of all; fewer than a few count less. Null: there were none. */
  errors: number | null;
  /** This machine: processors past half, memory past 70 %, waiting for memory. */
  host: number | null;
}

/** How this machine is off. */
export interface SwitchFluzoReply {
  /** Older callers look for it. */
  status: "ok";
  /** The profile and why. */
  profile: SwitchFluzoState;
}

/** How this machine is off. */
export interface SwitchFluzoState {
  /** The profile. */
  mode: "low_power" | "balanced" | "performance";
  /** Whether the configuration says so, not the signals. */
  overridden: boolean;
  /** Why. */
  reasoning: string;
  /** Share of the memory budget that loaded models should take now. */
  pool_factor: number;
  /** The signals. */
  signals: SwitchFluzoSignals;
}

/** What this machine says of itself; null where it does not. */
export interface SwitchFluzoSignals {
  /** When it was looked at; null: not yet. [epoch ms] */
  timestamp: number | null;
  /** Share of the processors' time that was used since the look before. [%] */
  cpu_pct: number | null;
  /** Load average of one minute, divided by the processors. */
  cpu_load_1m: number | null;
  /** Of five minutes. */
  cpu_load_5m: number | null;
  /** Of fifteen minutes. */
  cpu_load_15m: number | null;
  /** Processors. */
  cpus: number | null;
  /** Share of the memory that is not available. [%] */
  memory_pct: number | null;
  /** MemAvailable, or what the control group leaves when that is less. [bytes] */
  memory_available_bytes: number | null;
  /** Share of the swap that is used; null without swap. [%] */
  swap_pct: number | null;
  /** Share of the last 10 s in which something waited for a processor. [%] */
  cpu_stall_pct: number | null;
  /** In which everything waited for memory. [%] */
  memory_stall_pct: number | null;
  /** In which everything waited for a disk. [%] */
  io_stall_pct: number | null;
  /** Whether it runs on mains; null: it has neither battery nor adapter that tells. */
  on_ac: boolean | null;
  /** Charge of the battery. [%] */
  battery_pct: number | null;
  /** The hottest of its sensors. [C] */
  temperature_c: number | null;
  /** Share of the disk with VX11's home that is used. [%] */
  disk_pct: number | null;
  /** Free on it. [bytes] */
  disk_free_bytes: number | null;
}

/** The signals. */
export interface SwitchFluzoSignalsReply {
  /** Older callers look for it. */
  status: "ok";
  /** The signals. */
  signals: SwitchFluzoSignals;
}

/** What the router has in mind now. */
export interface SwitchContext {
  /** Older callers look for it. */
  status: "ok";
  /** Model of requests that name none; null when there is none. */
  default_model: string | null;
  /** Local model that answered last. */
  active_model: string | null;
  /** Order in which providers are tried. */
  chain: Array<string>;
  /** Mode that applies. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL";
  /** Local model that is loaded besides the active one and was used last; null: none. */
  warm_model: string | null;
  /** Jobs that wait. [jobs] */
  queue_size: number | null;
  /** Requests running now. */
  in_flight: number;
  /** Whether requests need a token. */
  token_required: boolean;
}

/** Which decisions. */
export interface SwitchDecisionQuery {
  /** Of this request, as in X-Request-Id. */
  request_id?: string;
  /** Answered by this model. */
  model?: string;
  /** Answered by this provider. */
  provider?: string;
  /** That ended so. */
  outcome?: "ok" | "failed" | "cancelled" | "refused";
  /** Name of the token or session that asked. */
  principal?: string;
  /** Id of the route that was asked. */
  route?: string;
  /** With this text in request id, requested model, model, provider, reason or error; capitals do not count. */
  q?: string;
  /** That took at least so long. [ms] */
  min_ms?: number;
  /** That arrived then or later. [epoch ms] */
  since?: number;
  /** That arrived before. [epoch ms] */
  until?: number;
  /** Most of them. [rows] */
  limit?: number;
  /** next_cursor of the page before. */
  cursor?: string;
}

/** Decisions, newest first. */
export interface SwitchDecisionList {
  /** Newest first. */
  decisions: Array<SwitchDecision>;
  /** For the next page, which may be there even when this one is short: only so many rows are looked through at a time. Null: this was the last. */
  next_cursor: string | null;
}

/** What became of a request. */
export interface SwitchDecision {
  /** Its id. */
  id: string;
  /** As in X-Request-Id. */
  request_id: string;
  /** When it arrived. [epoch ms] */
  at: number;
  /** Id of its route. */
  route: string;
  /** Name of the token or session that asked. */
  principal: string | null;
  /** As the caller wrote it. */
  requested_model: string | null;
  /** Who answered, or failed last. */
  provider: string | null;
  /** As that provider names it. */
  model: string | null;
  /** Why this provider, or why none. */
  reason: string;
  /** Others that were tried or passed over before: [{provider, model, result}]. */
  alternatives: Json;
  /** Providers asked. */
  attempts: number;
  /** Whether the caller asked for a stream. */
  stream: boolean;
  /** How it ended. */
  outcome: "ok" | "failed" | "cancelled" | "refused";
  /** HTTP status that the caller got; 499: it had left. */
  status: number;
  /** What went wrong. */
  error: string | null;
  /** Null: not reported. [tokens] */
  prompt_tokens: number | null;
  /** Null: not reported. [tokens] */
  completion_tokens: number | null;
  /** Of the prompt, read from a cache. [tokens] */
  cached_tokens: number | null;
  /** In switch.currency; null: no price is known. */
  cost: number | null;
  /** Whether the tokens were counted here: the provider gave none. */
  estimated: boolean;
  /** Whether it was answered from Switch's cache. */
  from_cache: boolean;
  /** From arrival to the first token. [ms] */
  first_token_ms: number | null;
  /** From arrival to the end. [ms] */
  total_ms: number;
}

/** A decision. */
export interface SwitchDecisionId {
  /** Its id. */
  id: string;
}

/** A decision, how it came about, and the bodies that belong to it where switch.log_bodies kept them. */
export interface SwitchDecisionBodies {
  /** The decision. */
  decision: SwitchDecision;
  /** How it went. */
  story: SwitchDecisionStory;
  /** Whether its bodies are there, and the caller's to see: their own, or admin's. */
  kept: boolean;
  /** What was asked, secrets taken out; cut when shorter than request_bytes. */
  request: string | null;
  /** Its length as it came. [bytes] */
  request_bytes: number | null;
  /** What was answered: the provider's reply, or the text of its stream. */
  reply: string | null;
  /** Its length as it came. [bytes] */
  reply_bytes: number | null;
}

/** How a request went. */
export interface SwitchDecisionStory {
  /** W3C trace id; null: of an older row. */
  trace_id: string | null;
  /** Type of the task; null: nobody was chosen. */
  task_type: string | null;
  /** Mode that applied. */
  mode: "ECO" | "BALANCED" | "HIGH-PERF" | "CRITICAL" | null;
  /** Where it might go. */
  privacy: "any" | "local_only" | null;
  /** How this machine was off. */
  fluzo: "low_power" | "balanced" | "performance" | null;
  /** Of who answered or failed last. */
  score: number | null;
  /** Who could answer, with their terms and reasons, the best first; at most 16. */
  candidates: Array<SwitchCandidate>;
  /** Who was asked, in order, at most 16. Null: it is an older row, which did not keep them. */
  attempts: Array<SwitchAttempt> | null;
}

/** One who was asked. Times are milliseconds since the request arrived; null: it did not come to that. */
export interface SwitchAttempt {
  /** Who. */
  provider: string;
  /** For which model. */
  model: string;
  /** Why. */
  kind: "first" | "fallback" | "retry" | "hedge";
  /** How it ended. */
  outcome: "ok" | "failed" | "dropped" | "cancelled";
  /** HTTP status of its answer; null: none came. */
  status: number | null;
  /** What went wrong. */
  error: string | null;
  /** When it was decided to ask. [ms] */
  start_ms: number;
  /** When it was sent; until then its model was loaded or waited for. [ms] */
  called_ms: number | null;
  /** When the connection stood. [ms] */
  connected_ms: number | null;
  /** When its answer began. [ms] */
  headers_ms: number | null;
  /** When its first token came; null too when it answered whole. [ms] */
  first_token_ms: number | null;
  /** When it was over. [ms] */
  end_ms: number;
}

/** Which statistic. */
export interface SwitchStatsQuery {
  /** Length of the spans. */
  by?: "hour" | "day";
  /** What the rows are of besides. */
  group?: "none" | "model" | "provider";
  /** From the span that this is in; a day before until by hour, 30 days by day, when absent. [epoch ms] */
  since?: number;
  /** Requests that arrived before this; now when absent. [epoch ms] */
  until?: number;
  /** Only this model's. */
  model?: string;
  /** Only this provider's. */
  provider?: string;
}

/** What happened, span by span. */
export interface SwitchStatsReply {
  /** Length of the spans. */
  by: "hour" | "day";
  /** What the rows are of besides. */
  group: "none" | "model" | "provider";
  /** Beginning of the first span that was looked at. [epoch ms] */
  since: number;
  /** End of the last. [epoch ms] */
  until: number;
  /** Of costs. */
  currency: string;
  /** Whether there were more requests or rows than are looked at: the oldest are missing, and since is later than asked for. */
  truncated: boolean;
  /** By time, then the most requests first. A span without requests has no row. */
  rows: Array<SwitchStatsRow>;
}

/** What happened in one span. Quantiles are exact to a tenth of themselves. */
export interface SwitchStatsRow {
  /** Beginning of the span. [epoch ms] */
  at: number;
  /** Of whom; null: of all, or nobody was asked. */
  provider: string | null;
  /** Of which model; null: of all, or none was asked. */
  model: string | null;
  /** All of them. [requests] */
  requests: number;
  /** Of those, failed. [requests] */
  failed: number;
  /** Of those, not sent to any provider. [requests] */
  refused: number;
  /** Of those, left by the caller. [requests] */
  cancelled: number;
  /** Of those, answered from Switch's cache; their tokens and times are not counted. [requests] */
  cache_hits: number;
  /** Read; null: no provider reported any. [tokens] */
  prompt_tokens: number | null;
  /** Written; null: no provider reported any. [tokens] */
  completion_tokens: number | null;
  /** Sum of what is known; null: nothing is. */
  cost: number | null;
  /** Requests with tokens whose cost nobody knows. [requests] */
  unpriced: number;
  /** Half of those that had one had their first token by then. [ms] */
  first_token_p50_ms: number | null;
  /** 95 of a hundred. [ms] */
  first_token_p95_ms: number | null;
  /** Half of those that were answered were over by then. [ms] */
  total_p50_ms: number | null;
  /** 95 of a hundred. [ms] */
  total_p95_ms: number | null;
  /** Written after the first token, all answers together; null: of none both is known. [tokens/s] */
  tokens_per_second: number | null;
}

/** How the preloaded models were found. */
export interface SwitchWarmupStatus {
  /** Whether any is preloaded. */
  warmup_enabled: boolean;
  /** When they were last tried. [epoch ms] */
  last_warmup: number | null;
  /** Object of model and ready, failed, running or pending. */
  models_health: Json;
  /** Of these, ready. */
  total_ready: number;
  /** Of these, failed. */
  total_failed: number;
}

/** What trying them came to. */
export interface SwitchWarmupReply {
  /** error: one of them failed. */
  status: "ok" | "error";
  /** By name. */
  results: Array<HermesWarmResult>;
  /** As models_health. */
  health: Json;
}

/** A model. */
export interface SwitchAdminModel {
  /** Its name. For set_default_model, empty: the one of the configuration again. */
  model_name?: string | null;
  /** The same, when there is no model_name. */
  model_id?: string | null;
}

/** The models that are loaded. */
export interface SwitchAdminModelReply {
  /** All else is an error. */
  status: "ok";
  /** The default one, or the one that answered last. */
  active: string | null;
  /** Another one that is loaded. */
  warm: string | null;
  /** Of preload_model: until it was ready. [ms] */
  load_ms?: number | null;
  /** Of preload_model: until it generated. [ms] */
  first_token_ms?: number | null;
}

/** The models after the folders were looked through. */
export interface SwitchHotReload {
  /** All else is an error. */
  status: "ok";
  /** Registered models that can be used. */
  models_loaded: number;
  /** The one that answered last, if it is loaded. */
  active: string | null;
  /** Another one that is loaded. */
  warm: string | null;
}

/** The models on this machine, and the command-line tools. */
export interface SwitchAvailableModels {
  /** By name. */
  models: Array<SwitchAvailableModel>;
  /** The one that answered last, if it is loaded. */
  active: string | null;
  /** Another one that is loaded. */
  warm: string | null;
  /** By name. */
  cli_registry: Array<SwitchCliEntry>;
}

/** A model on this machine. */
export interface SwitchAvailableModel {
  /** Name. */
  name: string;
  /** general, or embeddings for one that only embeds. */
  category: string;
  /** Its file. [MB] */
  size_mb: number | null;
  /** active: answered last and is loaded. warm: loaded. deprecated: cannot be used. */
  status: "available" | "active" | "warm" | "deprecated";
  /** Why it cannot be used. */
  reason: string | null;
  /** Whether it is loaded. */
  warm: boolean;
  /** When last. [epoch ms] */
  last_used: number | null;
  /** What it can do, and its quantisation. */
  tags: Array<string>;
  /** Where it is. */
  kind: "local";
}

/** A command-line tool. */
export interface SwitchCliEntry {
  /** Name. */
  name: string;
  /** Its program; null: not found. */
  bin_path: string | null;
  /** Whether it can be asked. */
  available: boolean;
  /** When its program was last looked at. [epoch ms] */
  updated_at: number | null;
  /** What it is. */
  cli_type: "tool";
}

/** A job. chat-like types need payload.messages or payload.prompt; payload may also hold model, provider, max_tokens, temperature and metadata, as for /switch/chat. */
export interface SwitchTaskRequest {
  /** What is to be done. audio…: Shub. system, workflow: Madre. drift, audit, manifest: Manifestator. spawn: Spawner. Anything else is a chat. */
  task_type: string;
  /** An object: what it is to be done with. */
  payload: Json;
  /** Who wants it: shub, operator, link, madre, hijas, discovery, or another name. It sets the priority. */
  source?: string;
  /** This provider first. worker: left for a worker outside of Switch (POST /switch/queue/claim). */
  provider_hint?: string;
  /** Instead of the source's, 0 first. Later than one's own anybody may ask for, sooner only admin and VX11's modules. */
  priority?: number;
  /** Attempts after which it is dead; the configured number when absent. [attempts] */
  max_attempts?: number;
  /** Longest time of one attempt; the configured one when absent. [ms] */
  run_timeout_ms?: number;
  /** Not before so much time has passed. [ms] */
  delay_ms?: number;
  /** How long to wait for the end before answering 202; absent: as long as the request may take. 0, or the header Prefer: respond-async: not at all. Of no effect for /switch/queue. [ms] */
  wait_ms?: number;
}

/** A job that was waited for, or (202) how far it is. */
export interface SwitchTaskReply {
  /** ok and error: it is over. */
  status: "ok" | "error" | "queued" | "running" | "cancelled";
  /** What went wrong, as in any other error. */
  error?: CommonErrorBody | null;
  /** As asked. */
  task_type: string;
  /** Who did it; null: nobody yet. */
  provider: string | null;
  /** Why this provider, in a few words. */
  decision: string | null;
  /** The provider's answer as Switch gave it; null: none. */
  result: Json | null;
  /** From being queued to the end; null: not over. [ms] */
  latency_ms: number | null;
  /** The job's id: GET /switch/task/{id}. */
  queue_id: string;
  /** The same as decision; older callers read it here. */
  reasoning: string | null;
  /** Times it was begun. [attempts] */
  attempts: number;
  /** Times it was begun again because its worker was not heard of in time: what it did before may have been done twice. */
  ran_again: number;
}

/** A job. */
export interface SwitchJobId {
  /** Its id. */
  id: string;
}

/** A job of the queue. */
export interface SwitchJob {
  /** Its id. */
  id: string;
  /** Who wants it. */
  source: string;
  /** 0 first. */
  priority: number;
  /** What is to be done. */
  task_type: string;
  /** With what; null for others than who made it and admin, and in lists. */
  payload: Json | null;
  /** As asked. */
  provider_hint: string | null;
  /** Now. */
  state: "queued" | "running" | "done" | "failed" | "dead" | "cancelled";
  /** Times it was begun. [attempts] */
  attempts: number;
  /** After so many it is dead. [attempts] */
  max_attempts: number;
  /** Times it was begun again because its lease had expired. */
  ran_again: number;
  /** Not begun earlier. [epoch ms] */
  not_before: number;
  /** Until when its worker has it; null: nobody has. [epoch ms] */
  lease_until: number | null;
  /** Name of that worker. */
  lease_owner: string | null;
  /** When it came. [epoch ms] */
  enqueued_at: number;
  /** When it was last begun. [epoch ms] */
  started_at: number | null;
  /** When it was over. [epoch ms] */
  finished_at: number | null;
  /** What came of it; null: nothing yet, or as for payload. */
  result: Json | null;
  /** What went wrong last. */
  error: string | null;
  /** Its code. */
  error_class: string | null;
  /** As it came. */
  idempotency_key: string | null;
  /** Name of who asked. */
  principal: string;
  /** Trace of the request that made it. */
  trace_id: string | null;
}

/** Which jobs. */
export interface SwitchJobListParams {
  /** Only these. */
  state?: "queued" | "running" | "done" | "failed" | "dead" | "cancelled";
  /** Only of this source. */
  source?: string;
  /** Only of this type. */
  task_type?: string;
  /** Older than this one: next of the page before. */
  before?: string;
  /** Most of them. [rows] */
  limit?: number;
}

/** Jobs, the newest first. */
export interface SwitchJobList {
  /** Jobs. */
  jobs: Array<SwitchJob>;
  /** Where the next page begins; null: this is the last one. */
  next: string | null;
}

/** The queue now. */
export interface SwitchQueueStatus {
  /** Older callers look for it. */
  status: "ok";
  /** Jobs that wait. [jobs] */
  size: number;
  /** The same; some callers read it here. [jobs] */
  queue_size: number;
  /** Jobs that run. [jobs] */
  running: number;
  /** Finished ones that are still kept. [jobs] */
  done: number;
  /** Failed ones that are still kept. [jobs] */
  failed: number;
  /** Given up after all their attempts, and still kept. [jobs] */
  dead: number;
  /** Cancelled ones that are still kept. [jobs] */
  cancelled: number;
  /** Most unfinished ones. [jobs] */
  max_jobs: number;
  /** Payloads of unfinished ones. [bytes] */
  bytes: number;
  /** Most that Switch runs at a time, besides those that are waited for. [jobs] */
  workers: number;
  /** When the one that has waited longest came; null: none waits. [epoch ms] */
  oldest_at: number | null;
  /** Jobs that wait, by priority. */
  by_priority: Array<SwitchQueueDepth>;
  /** The first ones in line, at most 100. */
  items: Array<SwitchQueueItem>;
}

/** Jobs of one priority that wait. */
export interface SwitchQueueDepth {
  /** 0 first. */
  priority: number;
  /** How many. [jobs] */
  queued: number;
}

/** A job that waits. */
export interface SwitchQueueItem {
  /** Its id. */
  task_id: string;
  /** 0 first. */
  priority: number;
  /** What is to be done. */
  task_type: string;
  /** Who wants it. */
  source: string;
  /** With what; null for others than who made it and admin. */
  payload: Json | null;
  /** When it came. [epoch ms] */
  enqueued_at: number;
  /** Not begun earlier. [epoch ms] */
  not_before: number;
}

/** The next job in line. Looking at it changes nothing. */
export interface SwitchQueueNext {
  /** empty: none may be begun now. */
  status: "ok" | "empty";
  /** Its payload, as in Job. */
  payload: Json | null;
  /** Its priority. */
  priority: number | null;
  /** Its id. */
  task_queue_id: string | null;
}

/** A worker outside of Switch takes a job. */
export interface SwitchClaimRequest {
  /** Its name. */
  worker: string;
  /** Only of this type. */
  task_type?: string;
  /** Also jobs that Switch would run itself, not only those with provider_hint worker. */
  any?: boolean;
  /** For how long; the configured time when absent. [ms] */
  lease_ms?: number;
}

/** A job that was taken, or none. */
export interface SwitchClaim {
  /** empty: there is none. */
  status: "ok" | "empty";
  /** The job, with its payload. */
  job: SwitchJob | null;
  /** Shows that it is one's own: for complete and renew. */
  lease_token: string | null;
  /** Renew it before this. [epoch ms] */
  lease_until: number | null;
}

/** A worker goes on. */
export interface SwitchRenewRequest {
  /** The job. */
  id: string;
  /** From the claim. */
  lease_token: string;
  /** For how long from now; the configured time when absent. [ms] */
  lease_ms?: number;
}

/** A worker is through. */
export interface SwitchCompleteRequest {
  /** The job. */
  id: string;
  /** From the claim. */
  lease_token: string;
  /** How it went. */
  status: "ok" | "error";
  /** What came of it. */
  result?: Json;
  /** What went wrong. */
  error?: string;
  /** Its code. */
  error_class?: string;
  /** Whether another attempt may go better. */
  retryable?: boolean;
}

/** What Switch reads of a provider's reply or chunk; all of it is passed on as it came. */
export interface SwitchUpstream {
  /** Model that answers. */
  model: string | null;
  /** Answers or pieces of them. */
  choices: Array<SwitchUpstreamChoice> | null;
  /** Vectors, of a reply to embeddings. */
  data: Json | null;
  /** Tokens. */
  usage: SwitchUpstreamUsage | null;
  /** What went wrong: an object with message, or a string. */
  error: Json | null;
}

/** One answer or a piece of it. */
export interface SwitchUpstreamChoice {
  /** Piece of a chat answer. */
  delta: SwitchUpstreamMessage | null;
  /** Whole chat answer. */
  message: SwitchUpstreamMessage | null;
  /** Text completion or a piece of it. */
  text: string | null;
  /** Why it ended. */
  finish_reason: string | null;
  /** The stop string that was met, from those who tell. */
  stop_reason: Json | null;
}

/** Answer of a chat. */
export interface SwitchUpstreamMessage {
  /** Text. */
  content: Json | null;
  /** Tool calls. */
  tool_calls: Json | null;
  /** What a model thinks aloud before it answers. */
  reasoning_content: Json | null;
  /** The same, as others name it. */
  reasoning: Json | null;
  /** Why it does not answer. */
  refusal: Json | null;
  /** Thoughts as Anthropic's API has them, signed: an array of {type, thinking, signature, data}. */
  thinking_blocks: Json | null;
}

/** Tokens as a provider reports them. */
export interface SwitchUpstreamUsage {
  /** Read. [tokens] */
  prompt_tokens: number | null;
  /** Written. [tokens] */
  completion_tokens: number | null;
  /** Of those read. */
  prompt_tokens_details: SwitchUpstreamDetails | null;
  /** Of those written. */
  completion_tokens_details: SwitchUpstreamWritten | null;
}

/** Of the tokens read. */
export interface SwitchUpstreamDetails {
  /** From a cache. [tokens] */
  cached_tokens: number | null;
  /** Put into a cache. [tokens] */
  cache_creation_tokens: number | null;
}

/** Of the tokens written. */
export interface SwitchUpstreamWritten {
  /** Thoughts. [tokens] */
  reasoning_tokens: number | null;
}

/** A model as a provider lists it. */
export interface SwitchUpstreamModel {
  /** Its id. */
  id: string;
}

/** A provider's models. */
export interface SwitchUpstreamModels {
  /** Models. */
  data: Array<SwitchUpstreamModel>;
}

/** Candidates, as a decision row holds them. */
export interface SwitchCandidateList {
  /** The best first. */
  candidates: Array<SwitchCandidate>;
}

/** Every route, by module and id. */
export const routes = {
  "engine.chat_completions": { method: "POST", path: "/v1/chat/completions", scope: "chat", stream: "sse" },
  "engine.completions": { method: "POST", path: "/v1/completions", scope: "chat", stream: "sse" },
  "engine.embeddings": { method: "POST", path: "/v1/embeddings", scope: "chat", stream: null },
  "engine.models": { method: "GET", path: "/v1/models", scope: "read", stream: null },
  "engine.status": { method: "GET", path: "/engine/status", scope: "read", stream: null },
  "engine.tokenize": { method: "POST", path: "/engine/tokenize", scope: "read", stream: null },
  "engine.count_tokens": { method: "POST", path: "/engine/count", scope: "read", stream: null },
  "engine.detokenize": { method: "POST", path: "/engine/detokenize", scope: "read", stream: null },
  "hermes.models_list": { method: "GET", path: "/hermes/models", scope: "read", stream: null },
  "hermes.models_get": { method: "GET", path: "/hermes/models/{name}", scope: "read", stream: null },
  "hermes.models_add": { method: "POST", path: "/hermes/models", scope: "act", stream: null },
  "hermes.models_remove": { method: "DELETE", path: "/hermes/models/{name}", scope: "act", stream: null },
  "hermes.models_pin": { method: "PUT", path: "/hermes/models/{name}/pin", scope: "act", stream: null },
  "hermes.models_unpin": { method: "DELETE", path: "/hermes/models/{name}/pin", scope: "act", stream: null },
  "hermes.plan": { method: "POST", path: "/hermes/plan", scope: "read", stream: null },
  "hermes.models_pull": { method: "POST", path: "/hermes/models/pull", scope: "act", stream: null },
  "hermes.pulls_list": { method: "GET", path: "/hermes/pulls", scope: "read", stream: null },
  "hermes.pulls_get": { method: "GET", path: "/hermes/pulls/{id}", scope: "read", stream: null },
  "hermes.pulls_events": { method: "GET", path: "/hermes/pulls/{id}/events", scope: "read", stream: "sse" },
  "hermes.pulls_cancel": { method: "DELETE", path: "/hermes/pulls/{id}", scope: "act", stream: null },
  "hermes.catalog": { method: "GET", path: "/hermes/catalog", scope: "read", stream: null },
  "hermes.catalog_summary": { method: "GET", path: "/hermes/catalog/summary", scope: "read", stream: null },
  "hermes.search_models": { method: "POST", path: "/hermes/search_models", scope: "act", stream: null },
  "hermes.scan": { method: "POST", path: "/hermes/scan", scope: "act", stream: null },
  "hermes.engines_list": { method: "GET", path: "/hermes/engines", scope: "read", stream: null },
  "hermes.engines_acquire": { method: "POST", path: "/hermes/engines/acquire", scope: "chat", stream: null },
  "hermes.engines_stop": { method: "DELETE", path: "/hermes/engines/{name}", scope: "act", stream: null },
  "hermes.models_warm": { method: "POST", path: "/hermes/models/{name}/warm", scope: "act", stream: null },
  "hermes.warmup_status": { method: "GET", path: "/hermes/warmup/status", scope: "read", stream: null },
  "hermes.warmup": { method: "POST", path: "/hermes/warmup", scope: "act", stream: null },
  "hermes.get_engine": { method: "GET", path: "/hermes/get-engine", scope: "read", stream: null },
  "hermes.get_engine_post": { method: "POST", path: "/hermes/get-engine", scope: "read", stream: null },
  "hermes.external_list": { method: "GET", path: "/hermes/external-engines", scope: "read", stream: null },
  "hermes.registry": { method: "GET", path: "/hermes/registry", scope: "read", stream: null },
  "hermes.tools_list": { method: "GET", path: "/hermes/tools", scope: "read", stream: null },
  "hermes.tools_get": { method: "GET", path: "/hermes/tools/{name}", scope: "read", stream: null },
  "hermes.tools_detect": { method: "POST", path: "/hermes/tools/detect", scope: "act", stream: null },
  "hermes.tools_enable": { method: "POST", path: "/hermes/tools/{name}/enable", scope: "admin", stream: null },
  "hermes.tools_disable": { method: "POST", path: "/hermes/tools/{name}/disable", scope: "admin", stream: null },
  "hermes.tools_test": { method: "POST", path: "/hermes/tools/{name}/test", scope: "act", stream: null },
  "hermes.tools_chat": { method: "POST", path: "/hermes/tools/{name}/v1/chat/completions", scope: "chat", stream: "sse" },
  "hermes.providers_list": { method: "GET", path: "/hermes/providers", scope: "read", stream: null },
  "hermes.providers_add": { method: "POST", path: "/hermes/providers", scope: "admin", stream: null },
  "hermes.providers_set": { method: "PUT", path: "/hermes/providers/{name}", scope: "admin", stream: null },
  "hermes.providers_remove": { method: "DELETE", path: "/hermes/providers/{name}", scope: "admin", stream: null },
  "hermes.exec": { method: "POST", path: "/hermes/exec", scope: "act", stream: null },
  "hermes.jobs_list": { method: "GET", path: "/hermes/jobs", scope: "read", stream: null },
  "hermes.jobs_get": { method: "GET", path: "/hermes/jobs/{id}", scope: "read", stream: null },
  "hermes.job_get": { method: "GET", path: "/hermes/job/{id}", scope: "read", stream: null },
  "hermes.jobs_events": { method: "GET", path: "/hermes/jobs/{id}/events", scope: "read", stream: "sse" },
  "hermes.jobs_cancel": { method: "DELETE", path: "/hermes/jobs/{id}", scope: "act", stream: null },
  "hermes.execute": { method: "POST", path: "/hermes/execute", scope: "chat", stream: null },
  "hermes.discover": { method: "POST", path: "/hermes/discover", scope: "act", stream: null },
  "hermes.available": { method: "GET", path: "/hermes/available", scope: "read", stream: null },
  "hermes.status": { method: "GET", path: "/hermes/status", scope: "read", stream: null },
  "hermes.list": { method: "GET", path: "/hermes/list", scope: "read", stream: null },
  "hermes.sync": { method: "POST", path: "/hermes/sync", scope: "act", stream: null },
  "hermes.reindex": { method: "POST", path: "/hermes/reindex", scope: "act", stream: null },
  "hermes.register_model": { method: "POST", path: "/hermes/register_model", scope: "act", stream: null },
  "hermes.register_local_model": { method: "POST", path: "/hermes/register/local_model", scope: "act", stream: null },
  "hermes.shub_health": { method: "GET", path: "/hermes/shub/health", scope: "read", stream: null },
  "hermes.resources": { method: "GET", path: "/hermes/resources", scope: "read", stream: null },
  "link.healthz": { method: "GET", path: "/healthz", scope: "open", stream: null },
  "link.readyz": { method: "GET", path: "/readyz", scope: "open", stream: null },
  "link.status": { method: "GET", path: "/vx11/status", scope: "read", stream: null },
  "link.overview": { method: "GET", path: "/vx11/overview", scope: "read", stream: null },
  "link.breakers": { method: "GET", path: "/vx11/circuit-breaker/status", scope: "read", stream: null },
  "link.models": { method: "GET", path: "/v1/models", scope: "read", stream: null },
  "link.model": { method: "GET", path: "/v1/models/{id*}", scope: "read", stream: null },
  "link.chat_completions": { method: "POST", path: "/v1/chat/completions", scope: "chat", stream: "sse" },
  "link.completions": { method: "POST", path: "/v1/completions", scope: "chat", stream: "sse" },
  "link.responses": { method: "POST", path: "/v1/responses", scope: "chat", stream: "sse" },
  "link.response": { method: "GET", path: "/v1/responses/{id}", scope: "read", stream: null },
  "link.messages": { method: "POST", path: "/v1/messages", scope: "chat", stream: "sse" },
  "link.count_tokens": { method: "POST", path: "/v1/messages/count_tokens", scope: "chat", stream: null },
  "link.embeddings": { method: "POST", path: "/v1/embeddings", scope: "chat", stream: null },
  "link.events": { method: "GET", path: "/events", scope: "read", stream: "sse" },
  "link.event_history": { method: "GET", path: "/vx11/events", scope: "read", stream: null },
  "link.events_ingest": { method: "POST", path: "/events/ingest", scope: "publish", stream: null },
  "link.ws": { method: "GET", path: "/ws", scope: "read", stream: "ws" },
  "link.session": { method: "GET", path: "/vx11/session", scope: "read", stream: null },
  "link.page": { method: "GET", path: "/", scope: "open", stream: null },
  "link.page_path": { method: "GET", path: "/ui/{path*}", scope: "open", stream: null },
  "link.asset": { method: "GET", path: "/assets/{name}", scope: "open", stream: null },
  "link.login": { method: "GET", path: "/login", scope: "open", stream: null },
  "link.logout": { method: "POST", path: "/logout", scope: "read", stream: null },
  "operator.chat": { method: "POST", path: "/operator/chat", scope: "chat", stream: "sse" },
  "operator.sessions_list": { method: "GET", path: "/operator/sessions", scope: "read", stream: null },
  "operator.sessions_new": { method: "POST", path: "/operator/sessions", scope: "chat", stream: null },
  "operator.sessions_get": { method: "GET", path: "/operator/sessions/{id}", scope: "read", stream: null },
  "operator.session_get": { method: "GET", path: "/operator/session/{id}", scope: "read", stream: null },
  "operator.sessions_change": { method: "PATCH", path: "/operator/sessions/{id}", scope: "chat", stream: null },
  "operator.sessions_delete": { method: "DELETE", path: "/operator/sessions/{id}", scope: "chat", stream: null },
  "operator.sessions_branch": { method: "POST", path: "/operator/sessions/{id}/branch", scope: "chat", stream: null },
  "operator.sessions_export": { method: "GET", path: "/operator/sessions/{id}/export", scope: "read", stream: null },
  "operator.sessions_stop": { method: "POST", path: "/operator/sessions/{id}/stop", scope: "chat", stream: null },
  "operator.messages_retry": { method: "POST", path: "/operator/sessions/{id}/messages/{message_id}/retry", scope: "chat", stream: "sse" },
  "operator.messages_feedback": { method: "PUT", path: "/operator/sessions/{id}/messages/{message_id}/feedback", scope: "chat", stream: null },
  "operator.messages_feedback_remove": { method: "DELETE", path: "/operator/sessions/{id}/messages/{message_id}/feedback", scope: "chat", stream: null },
  "operator.search": { method: "GET", path: "/operator/search", scope: "read", stream: null },
  "operator.tools_list": { method: "GET", path: "/operator/tools", scope: "read", stream: null },
  "operator.tool_calls_get": { method: "GET", path: "/operator/tool-calls/{id}", scope: "read", stream: null },
  "operator.tool_calls_decide": { method: "POST", path: "/operator/tool-calls/{id}/decision", scope: "act", stream: null },
  "operator.tool_record": { method: "POST", path: "/operator/tool/call", scope: "act", stream: null },
  "operator.switch_feedback": { method: "POST", path: "/operator/switch/feedback", scope: "act", stream: null },
  "operator.adjustments_new": { method: "POST", path: "/operator/switch/adjustment", scope: "admin", stream: null },
  "operator.adjustments_list": { method: "GET", path: "/operator/switch/adjustments", scope: "read", stream: null },
  "operator.files_add": { method: "POST", path: "/operator/files", scope: "chat", stream: null },
  "operator.files_list": { method: "GET", path: "/operator/files", scope: "read", stream: null },
  "operator.files_get": { method: "GET", path: "/operator/files/{id}", scope: "read", stream: null },
  "operator.files_content": { method: "GET", path: "/operator/files/{id}/content", scope: "read", stream: null },
  "operator.files_delete": { method: "DELETE", path: "/operator/files/{id}", scope: "chat", stream: null },
  "operator.intent": { method: "POST", path: "/intent", scope: "chat", stream: null },
  "operator.intent_chat": { method: "POST", path: "/intent/chat", scope: "chat", stream: null },
  "operator.intents_list": { method: "GET", path: "/operator/intents", scope: "read", stream: null },
  "operator.map": { method: "GET", path: "/operator/map", scope: "read", stream: null },
  "operator.metrics_series": { method: "GET", path: "/operator/metrics", scope: "read", stream: null },
  "operator.logs": { method: "GET", path: "/operator/logs", scope: "read", stream: null },
  "operator.logs_events": { method: "GET", path: "/operator/logs/events", scope: "read", stream: "sse" },
  "operator.config": { method: "GET", path: "/operator/config", scope: "read", stream: null },
  "operator.tokens_list": { method: "GET", path: "/operator/tokens", scope: "admin", stream: null },
  "operator.tokens_new": { method: "POST", path: "/operator/tokens", scope: "admin", stream: null },
  "operator.tokens_rotate": { method: "POST", path: "/operator/tokens/{id}/rotate", scope: "admin", stream: null },
  "operator.tokens_promote": { method: "POST", path: "/operator/tokens/{id}/promote", scope: "admin", stream: null },
  "operator.tokens_revoke": { method: "DELETE", path: "/operator/tokens/{id}", scope: "admin", stream: null },
  "operator.database": { method: "GET", path: "/operator/database", scope: "read", stream: null },
  "operator.database_map": { method: "GET", path: "/operator/database/map", scope: "read", stream: null },
  "operator.database_growth": { method: "GET", path: "/operator/database/growth", scope: "read", stream: null },
  "operator.browser_status": { method: "GET", path: "/operator/browser/status", scope: "read", stream: null },
  "operator.browser_add": { method: "POST", path: "/operator/browser/task", scope: "act", stream: null },
  "operator.browser_list": { method: "GET", path: "/operator/browser/tasks", scope: "read", stream: null },
  "operator.browser_get": { method: "GET", path: "/operator/browser/task/{id}", scope: "read", stream: null },
  "operator.browser_cancel": { method: "DELETE", path: "/operator/browser/task/{id}", scope: "act", stream: null },
  "operator.browser_events": { method: "GET", path: "/operator/browser/task/{id}/events", scope: "read", stream: "sse" },
  "operator.browser_screenshot": { method: "GET", path: "/operator/browser/screenshots/{id}", scope: "read", stream: null },
  "supervisor.chores": { method: "GET", path: "/supervisor/chores", scope: "read", stream: null },
  "supervisor.chore_start": { method: "POST", path: "/supervisor/chores", scope: "admin", stream: null },
  "supervisor.chore": { method: "GET", path: "/supervisor/chores/{id}", scope: "read", stream: null },
  "supervisor.chore_cancel": { method: "DELETE", path: "/supervisor/chores/{id}", scope: "admin", stream: null },
  "supervisor.backups": { method: "GET", path: "/supervisor/backups", scope: "read", stream: null },
  "supervisor.status": { method: "GET", path: "/supervisor/status", scope: "read", stream: null },
  "supervisor.restart": { method: "POST", path: "/supervisor/modules/{name}/restart", scope: "admin", stream: null },
  "supervisor.set_state": { method: "POST", path: "/supervisor/modules/{name}/state", scope: "admin", stream: null },
  "supervisor.stop": { method: "POST", path: "/supervisor/stop", scope: "admin", stream: null },
  "supervisor.reload": { method: "POST", path: "/supervisor/reload", scope: "admin", stream: null },
  "supervisor.login_link": { method: "POST", path: "/supervisor/login-link", scope: "admin", stream: null },
  "supervisor.forensic": { method: "GET", path: "/supervisor/forensic", scope: "read", stream: null },
  "supervisor.forensic_report": { method: "GET", path: "/supervisor/forensic/{id}", scope: "read", stream: null },
  "supervisor.doctor_reports": { method: "GET", path: "/supervisor/doctor", scope: "read", stream: null },
  "supervisor.doctor_report": { method: "GET", path: "/supervisor/doctor/{id}", scope: "read", stream: null },
  "supervisor.ledger": { method: "GET", path: "/supervisor/ledger", scope: "admin", stream: null },
  "supervisor.ledger_verify": { method: "GET", path: "/supervisor/ledger/verify", scope: "admin", stream: null },
  "supervisor.maintenance_runs": { method: "GET", path: "/supervisor/maintenance", scope: "read", stream: null },
  "supervisor.maintenance_report": { method: "GET", path: "/supervisor/maintenance/{id}", scope: "read", stream: null },
  "switch.chat": { method: "POST", path: "/switch/chat", scope: "chat", stream: null },
  "switch.providers": { method: "GET", path: "/switch/providers", scope: "read", stream: null },
  "switch.budgets": { method: "GET", path: "/switch/budgets", scope: "read", stream: null },
  "switch.budget_set": { method: "PUT", path: "/switch/budgets/{token}", scope: "admin", stream: null },
  "switch.usage": { method: "GET", path: "/switch/usage", scope: "read", stream: null },
  "switch.cache": { method: "GET", path: "/switch/cache", scope: "read", stream: null },
  "switch.cache_clear": { method: "DELETE", path: "/switch/cache", scope: "admin", stream: null },
  "switch.select_provider": { method: "POST", path: "/switch/debug/select-provider", scope: "chat", stream: null },
  "switch.select_engine": { method: "POST", path: "/switch/hermes/select_engine", scope: "chat", stream: null },
  "switch.select_model": { method: "POST", path: "/switch/select_model", scope: "chat", stream: null },
  "switch.shub_detect": { method: "POST", path: "/switch/shub/detect", scope: "chat", stream: null },
  "switch.control": { method: "POST", path: "/switch/control", scope: "act", stream: null },
  "switch.learner": { method: "GET", path: "/switch/learner", scope: "read", stream: null },
  "switch.record_result": { method: "POST", path: "/switch/hermes/record_result", scope: "act", stream: null },
  "switch.feedback": { method: "POST", path: "/switch/feedback", scope: "chat", stream: null },
  "switch.hermes_status": { method: "GET", path: "/switch/hermes/status", scope: "read", stream: null },
  "switch.tension": { method: "GET", path: "/switch/tension", scope: "read", stream: null },
  "switch.fluzo": { method: "GET", path: "/switch/fluzo", scope: "read", stream: null },
  "switch.fluzo_signals": { method: "GET", path: "/switch/fluzo/signals", scope: "read", stream: null },
  "switch.context": { method: "GET", path: "/switch/context", scope: "read", stream: null },
  "switch.chat_completions": { method: "POST", path: "/v1/chat/completions", scope: "chat", stream: "sse" },
  "switch.completions": { method: "POST", path: "/v1/completions", scope: "chat", stream: "sse" },
  "switch.responses": { method: "POST", path: "/v1/responses", scope: "chat", stream: "sse" },
  "switch.response": { method: "GET", path: "/v1/responses/{id}", scope: "read", stream: null },
  "switch.messages": { method: "POST", path: "/v1/messages", scope: "chat", stream: "sse" },
  "switch.count_tokens": { method: "POST", path: "/v1/messages/count_tokens", scope: "chat", stream: null },
  "switch.embeddings": { method: "POST", path: "/v1/embeddings", scope: "chat", stream: null },
  "switch.decisions": { method: "GET", path: "/switch/decisions", scope: "read", stream: null },
  "switch.decision": { method: "GET", path: "/switch/decisions/{id}", scope: "read", stream: null },
  "switch.stats": { method: "GET", path: "/switch/stats", scope: "read", stream: null },
  "switch.warmup_status": { method: "GET", path: "/switch/warmup/status", scope: "read", stream: null },
  "switch.warmup_manual": { method: "POST", path: "/switch/warmup/manual", scope: "act", stream: null },
  "switch.admin_preload_model": { method: "POST", path: "/switch/admin/preload_model", scope: "act", stream: null },
  "switch.admin_set_default_model": { method: "POST", path: "/switch/admin/set_default_model", scope: "admin", stream: null },
  "switch.model_hot_reload": { method: "POST", path: "/switch/model/hot_reload", scope: "act", stream: null },
  "switch.models_available": { method: "GET", path: "/switch/models/available", scope: "read", stream: null },
  "switch.models": { method: "GET", path: "/v1/models", scope: "read", stream: null },
  "switch.model": { method: "GET", path: "/v1/models/{id*}", scope: "read", stream: null },
  "switch.task": { method: "POST", path: "/switch/task", scope: "chat", stream: null },
  "switch.task_get": { method: "GET", path: "/switch/task/{id}", scope: "read", stream: null },
  "switch.queue_add": { method: "POST", path: "/switch/queue", scope: "chat", stream: null },
  "switch.queue_list": { method: "GET", path: "/switch/queue", scope: "read", stream: null },
  "switch.queue_status": { method: "GET", path: "/switch/queue/status", scope: "read", stream: null },
  "switch.queue_next": { method: "GET", path: "/switch/queue/next", scope: "read", stream: null },
  "switch.queue_claim": { method: "POST", path: "/switch/queue/claim", scope: "act", stream: null },
  "switch.queue_renew": { method: "POST", path: "/switch/queue/renew", scope: "act", stream: null },
  "switch.queue_complete": { method: "POST", path: "/switch/queue/complete", scope: "act", stream: null },
  "switch.queue_get": { method: "GET", path: "/switch/queue/{id}", scope: "read", stream: null },
  "switch.queue_cancel": { method: "DELETE", path: "/switch/queue/{id}", scope: "chat", stream: null },
  "switch.queue_retry": { method: "POST", path: "/switch/queue/{id}/retry", scope: "chat", stream: null },
  "switch.queue_events": { method: "GET", path: "/switch/queue/{id}/events", scope: "read", stream: "sse" },
} as const;

export interface RouteTypes {
  "engine.chat_completions": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "engine.completions": { params: undefined; request: OpenaiCompletionRequest; response: OpenaiCompletionReply; };
  "engine.embeddings": { params: undefined; request: OpenaiEmbeddingRequest; response: OpenaiEmbeddingReply; };
  "engine.models": { params: undefined; request: undefined; response: OpenaiModelList; };
  "engine.status": { params: undefined; request: undefined; response: EngineStatus; };
  "engine.tokenize": { params: undefined; request: EngineTokenizeRequest; response: EngineTokenizeReply; };
  "engine.count_tokens": { params: undefined; request: OpenaiChatRequest; response: EngineCountReply; };
  "engine.detokenize": { params: undefined; request: EngineDetokenizeRequest; response: EngineDetokenizeReply; };
  "hermes.models_list": { params: undefined; request: undefined; response: HermesModelList; };
  "hermes.models_get": { params: HermesModelName; request: undefined; response: HermesModel; };
  "hermes.models_add": { params: undefined; request: HermesAddModel; response: HermesModel; };
  "hermes.models_remove": { params: HermesModelRemoveParams; request: undefined; response: undefined; };
  "hermes.models_pin": { params: HermesModelName; request: undefined; response: HermesModel; };
  "hermes.models_unpin": { params: HermesModelName; request: undefined; response: HermesModel; };
  "hermes.plan": { params: undefined; request: HermesPlanRequest; response: HermesPlan; };
  "hermes.models_pull": { params: undefined; request: HermesPullRequest; response: HermesPull; };
  "hermes.pulls_list": { params: undefined; request: undefined; response: HermesPullList; };
  "hermes.pulls_get": { params: HermesPullParams; request: undefined; response: HermesPull; };
  "hermes.pulls_events": { params: HermesPullParams; request: undefined; response: HermesPull; };
  "hermes.pulls_cancel": { params: HermesPullCancelParams; request: undefined; response: HermesPull; };
  "hermes.catalog": { params: undefined; request: undefined; response: HermesCatalog; };
  "hermes.catalog_summary": { params: HermesCatalogSummaryParams; request: undefined; response: HermesCatalogSummary; };
  "hermes.search_models": { params: undefined; request: HermesSearchRequest; response: HermesSearchReply; };
  "hermes.scan": { params: undefined; request: undefined; response: HermesScanReply; };
  "hermes.engines_list": { params: undefined; request: undefined; response: HermesEngineList; };
  "hermes.engines_acquire": { params: undefined; request: HermesAcquireRequest; response: HermesEngine; };
  "hermes.engines_stop": { params: HermesModelName; request: undefined; response: undefined; };
  "hermes.models_warm": { params: HermesModelName; request: HermesWarmRequest; response: HermesWarmResult; };
  "hermes.warmup_status": { params: undefined; request: undefined; response: HermesWarmupStatus; };
  "hermes.warmup": { params: undefined; request: HermesWarmupRequest; response: HermesWarmupStatus; };
  "hermes.get_engine": { params: HermesGetEngine; request: undefined; response: HermesGetEngineReply; };
  "hermes.get_engine_post": { params: undefined; request: HermesGetEngine; response: HermesGetEngineReply; };
  "hermes.external_list": { params: undefined; request: undefined; response: HermesExternalEngineList; };
  "hermes.registry": { params: HermesRegistrySince; request: undefined; response: HermesRegistry; };
  "hermes.tools_list": { params: undefined; request: undefined; response: HermesToolList; };
  "hermes.tools_get": { params: HermesToolName; request: undefined; response: HermesTool; };
  "hermes.tools_detect": { params: undefined; request: HermesDetectRequest; response: HermesDetectReply; };
  "hermes.tools_enable": { params: HermesToolName; request: undefined; response: HermesTool; };
  "hermes.tools_disable": { params: HermesToolName; request: undefined; response: HermesTool; };
  "hermes.tools_test": { params: HermesToolName; request: undefined; response: HermesToolTest; };
  "hermes.tools_chat": { params: HermesToolName; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "hermes.providers_list": { params: undefined; request: undefined; response: HermesProviderList; };
  "hermes.providers_add": { params: undefined; request: ConfigProvider; response: ConfigProvider; };
  "hermes.providers_set": { params: HermesProviderName; request: ConfigProvider; response: ConfigProvider; };
  "hermes.providers_remove": { params: HermesProviderName; request: undefined; response: undefined; };
  "hermes.exec": { params: undefined; request: HermesExecRequest; response: HermesExecJob; };
  "hermes.jobs_list": { params: HermesExecJobFilter; request: undefined; response: HermesExecJobList; };
  "hermes.jobs_get": { params: HermesExecJobId; request: undefined; response: HermesExecJob; };
  "hermes.job_get": { params: HermesExecJobId; request: undefined; response: HermesExecJob; };
  "hermes.jobs_events": { params: HermesExecJobId; request: undefined; response: HermesExecJobEvent; };
  "hermes.jobs_cancel": { params: HermesExecJobId; request: undefined; response: undefined; };
  "hermes.execute": { params: undefined; request: HermesExecuteRequest; response: HermesExecuteReply; };
  "hermes.discover": { params: undefined; request: HermesDiscoverRequest; response: HermesDiscoverReply; };
  "hermes.available": { params: undefined; request: undefined; response: HermesAvailableReply; };
  "hermes.status": { params: undefined; request: undefined; response: HermesStatusReply; };
  "hermes.list": { params: undefined; request: undefined; response: HermesModelList; };
  "hermes.sync": { params: undefined; request: undefined; response: HermesScanReply; };
  "hermes.reindex": { params: undefined; request: undefined; response: HermesReindexReply; };
  "hermes.register_model": { params: undefined; request: HermesRegisterLocalModel; response: HermesModel; };
  "hermes.register_local_model": { params: undefined; request: HermesRegisterLocalModel; response: HermesModel; };
  "hermes.shub_health": { params: undefined; request: undefined; response: HermesShubHealth; };
  "hermes.resources": { params: undefined; request: undefined; response: HermesSystemResources; };
  "link.healthz": { params: undefined; request: undefined; response: LinkAlive; };
  "link.readyz": { params: undefined; request: undefined; response: LinkReadyReply; };
  "link.status": { params: undefined; request: undefined; response: LinkStatusReply; };
  "link.overview": { params: undefined; request: undefined; response: LinkOverview; };
  "link.breakers": { params: undefined; request: undefined; response: LinkBreakerReply; };
  "link.models": { params: undefined; request: undefined; response: OpenaiModelList; };
  "link.model": { params: SwitchModelId; request: undefined; response: OpenaiModel; };
  "link.chat_completions": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "link.completions": { params: undefined; request: OpenaiCompletionRequest; response: OpenaiCompletionReply; };
  "link.responses": { params: undefined; request: ResponsesRequest; response: ResponsesReply; };
  "link.response": { params: ResponsesId; request: undefined; response: ResponsesReply; };
  "link.messages": { params: undefined; request: AnthropicMessagesRequest; response: AnthropicMessage; };
  "link.count_tokens": { params: undefined; request: AnthropicCountRequest; response: AnthropicCountReply; };
  "link.embeddings": { params: undefined; request: OpenaiEmbeddingRequest; response: OpenaiEmbeddingReply; };
  "link.events": { params: LinkEventParams; request: undefined; response: LinkEvent; };
  "link.event_history": { params: LinkHistoryParams; request: undefined; response: LinkEventHistory; };
  "link.events_ingest": { params: undefined; request: LinkEventIngest; response: LinkEventAccepted; };
  "link.ws": { params: LinkEventParams; request: undefined; response: undefined; };
  "link.session": { params: undefined; request: undefined; response: LinkSessionReply; };
  "link.page": { params: undefined; request: undefined; response: undefined; };
  "link.page_path": { params: LinkPageParams; request: undefined; response: undefined; };
  "link.asset": { params: LinkAssetParams; request: undefined; response: undefined; };
  "link.login": { params: LinkLoginParams; request: undefined; response: undefined; };
  "link.logout": { params: undefined; request: undefined; response: undefined; };
  "operator.chat": { params: undefined; request: OperatorChatRequest; response: OperatorChatReply; };
  "operator.sessions_list": { params: OperatorSessionParams; request: undefined; response: OperatorSessionList; };
  "operator.sessions_new": { params: undefined; request: OperatorSessionNew; response: OperatorSession; };
  "operator.sessions_get": { params: OperatorSessionDetailParams; request: undefined; response: OperatorSessionDetail; };
  "operator.session_get": { params: OperatorSessionDetailParams; request: undefined; response: OperatorSessionDetail; };
  "operator.sessions_change": { params: OperatorSessionId; request: OperatorSessionChange; response: OperatorSession; };
  "operator.sessions_delete": { params: OperatorSessionId; request: undefined; response: undefined; };
  "operator.sessions_branch": { params: OperatorSessionId; request: OperatorBranch; response: OperatorSession; };
  "operator.sessions_export": { params: OperatorExportParams; request: undefined; response: undefined; };
  "operator.sessions_stop": { params: OperatorSessionId; request: undefined; response: OperatorStopReply; };
  "operator.messages_retry": { params: OperatorMessageId; request: OperatorRetryRequest; response: OperatorChatReply; };
  "operator.messages_feedback": { params: OperatorMessageId; request: OperatorFeedbackSet; response: OperatorFeedback; };
  "operator.messages_feedback_remove": { params: OperatorMessageId; request: undefined; response: undefined; };
  "operator.search": { params: OperatorSearchParams; request: undefined; response: OperatorSearchReply; };
  "operator.tools_list": { params: undefined; request: undefined; response: OperatorToolList; };
  "operator.tool_calls_get": { params: OperatorToolCallId; request: undefined; response: OperatorToolCall; };
  "operator.tool_calls_decide": { params: OperatorToolCallId; request: OperatorToolDecision; response: OperatorToolCall; };
  "operator.tool_record": { params: undefined; request: OperatorToolRecord; response: OperatorToolCall; };
  "operator.switch_feedback": { params: undefined; request: OperatorSwitchFeedback; response: SwitchRecordReply; };
  "operator.adjustments_new": { params: undefined; request: OperatorAdjustmentNew; response: OperatorAdjustment; };
  "operator.adjustments_list": { params: OperatorPageParams; request: undefined; response: OperatorAdjustmentList; };
  "operator.files_add": { params: OperatorFileParams; request: undefined; response: OperatorFile; };
  "operator.files_list": { params: OperatorFileListParams; request: undefined; response: OperatorFileList; };
  "operator.files_get": { params: OperatorFileId; request: undefined; response: OperatorFile; };
  "operator.files_content": { params: OperatorFileId; request: undefined; response: undefined; };
  "operator.files_delete": { params: OperatorFileId; request: undefined; response: undefined; };
  "operator.intent": { params: undefined; request: OperatorIntentRequest; response: OperatorIntentReply; };
  "operator.intent_chat": { params: undefined; request: OperatorIntentRequest; response: OperatorIntentReply; };
  "operator.intents_list": { params: OperatorPageParams; request: undefined; response: OperatorIntentList; };
  "operator.map": { params: undefined; request: undefined; response: OperatorMapReply; };
  "operator.metrics_series": { params: OperatorMetricsParams; request: undefined; response: OperatorMetricsReply; };
  "operator.logs": { params: OperatorLogParams; request: undefined; response: OperatorLogReply; };
  "operator.logs_events": { params: OperatorLogFollow; request: undefined; response: OperatorLogRecord; };
  "operator.config": { params: undefined; request: undefined; response: OperatorConfigReply; };
  "operator.tokens_list": { params: undefined; request: undefined; response: OperatorTokenList; };
  "operator.tokens_new": { params: undefined; request: OperatorTokenNew; response: OperatorTokenMade; };
  "operator.tokens_rotate": { params: OperatorTokenId; request: undefined; response: OperatorTokenMade; };
  "operator.tokens_promote": { params: OperatorTokenId; request: undefined; response: undefined; };
  "operator.tokens_revoke": { params: OperatorTokenId; request: undefined; response: undefined; };
  "operator.database": { params: undefined; request: undefined; response: OperatorDatabaseReply; };
  "operator.database_map": { params: OperatorDatabaseMapParams; request: undefined; response: DatabaseMap; };
  "operator.database_growth": { params: OperatorGrowthParams; request: undefined; response: OperatorGrowthReply; };
  "operator.browser_status": { params: undefined; request: undefined; response: OperatorBrowserStatusReply; };
  "operator.browser_add": { params: undefined; request: OperatorBrowserRequest; response: OperatorBrowserTask; };
  "operator.browser_list": { params: OperatorBrowserListParams; request: undefined; response: OperatorBrowserTaskList; };
  "operator.browser_get": { params: OperatorBrowserTaskId; request: undefined; response: OperatorBrowserTask; };
  "operator.browser_cancel": { params: OperatorBrowserTaskId; request: undefined; response: OperatorBrowserTask; };
  "operator.browser_events": { params: OperatorBrowserTaskId; request: undefined; response: OperatorBrowserTask; };
  "operator.browser_screenshot": { params: OperatorBrowserTaskId; request: undefined; response: undefined; };
  "supervisor.chores": { params: SupervisorChoreListParams; request: undefined; response: SupervisorChoreList; };
  "supervisor.chore_start": { params: undefined; request: SupervisorChoreRequest; response: SupervisorChore; };
  "supervisor.chore": { params: SupervisorChoreId; request: undefined; response: SupervisorChore; };
  "supervisor.chore_cancel": { params: SupervisorChoreId; request: undefined; response: SupervisorChore; };
  "supervisor.backups": { params: undefined; request: undefined; response: BackupList; };
  "supervisor.status": { params: undefined; request: undefined; response: SupervisorStatus; };
  "supervisor.restart": { params: SupervisorModuleName; request: SupervisorRestart; response: SupervisorModule; };
  "supervisor.set_state": { params: SupervisorModuleName; request: SupervisorSetState; response: SupervisorModule; };
  "supervisor.stop": { params: undefined; request: SupervisorStop; response: CommonOk; };
  "supervisor.reload": { params: undefined; request: undefined; response: SupervisorReloadReply; };
  "supervisor.login_link": { params: undefined; request: undefined; response: SupervisorLoginLink; };
  "supervisor.forensic": { params: SupervisorForensicQuery; request: undefined; response: SupervisorForensicList; };
  "supervisor.forensic_report": { params: SupervisorForensicId; request: undefined; response: SupervisorForensicShow; };
  "supervisor.doctor_reports": { params: SupervisorDoctorListParams; request: undefined; response: SupervisorDoctorHistory; };
  "supervisor.doctor_report": { params: SupervisorDoctorId; request: undefined; response: SupervisorDoctorReport; };
  "supervisor.ledger": { params: SupervisorLedgerParams; request: undefined; response: SupervisorLedgerList; };
  "supervisor.ledger_verify": { params: undefined; request: undefined; response: SupervisorLedgerReport; };
  "supervisor.maintenance_runs": { params: SupervisorMaintenanceListParams; request: undefined; response: MaintenanceRuns; };
  "supervisor.maintenance_report": { params: SupervisorMaintenanceId; request: undefined; response: MaintenanceReport; };
  "switch.chat": { params: undefined; request: SwitchChatRequest; response: SwitchChatReply; };
  "switch.providers": { params: undefined; request: undefined; response: SwitchProviderList; };
  "switch.budgets": { params: undefined; request: undefined; response: SwitchBudgetList; };
  "switch.budget_set": { params: SwitchTokenRef; request: SwitchTokenLimits; response: SwitchBudgetHolder; };
  "switch.usage": { params: SwitchUsageQuery; request: undefined; response: SwitchUsageReport; };
  "switch.cache": { params: undefined; request: undefined; response: SwitchCacheStatus; };
  "switch.cache_clear": { params: undefined; request: undefined; response: SwitchCacheStatus; };
  "switch.select_provider": { params: undefined; request: SwitchSelectRequest; response: SwitchSelectReply; };
  "switch.select_engine": { params: undefined; request: SwitchSelectRequest; response: SwitchSelectReply; };
  "switch.select_model": { params: undefined; request: SwitchSelectRequest; response: SwitchSelectReply; };
  "switch.shub_detect": { params: undefined; request: SwitchSelectRequest; response: SwitchShubDetect; };
  "switch.control": { params: undefined; request: SwitchControlRequest; response: SwitchControlReply; };
  "switch.learner": { params: undefined; request: undefined; response: SwitchLearnerReply; };
  "switch.record_result": { params: undefined; request: SwitchRecordResult; response: SwitchRecordReply; };
  "switch.feedback": { params: undefined; request: SwitchFeedbackRequest; response: SwitchFeedbackReply; };
  "switch.hermes_status": { params: undefined; request: undefined; response: SwitchHermesStatus; };
  "switch.tension": { params: undefined; request: undefined; response: SwitchTensionReply; };
  "switch.fluzo": { params: undefined; request: undefined; response: SwitchFluzoReply; };
  "switch.fluzo_signals": { params: undefined; request: undefined; response: SwitchFluzoSignalsReply; };
  "switch.context": { params: undefined; request: undefined; response: SwitchContext; };
  "switch.chat_completions": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "switch.completions": { params: undefined; request: OpenaiCompletionRequest; response: OpenaiCompletionReply; };
  "switch.responses": { params: undefined; request: ResponsesRequest; response: ResponsesReply; };
  "switch.response": { params: ResponsesId; request: undefined; response: ResponsesReply; };
  "switch.messages": { params: undefined; request: AnthropicMessagesRequest; response: AnthropicMessage; };
  "switch.count_tokens": { params: undefined; request: AnthropicCountRequest; response: AnthropicCountReply; };
  "switch.embeddings": { params: undefined; request: OpenaiEmbeddingRequest; response: OpenaiEmbeddingReply; };
  "switch.decisions": { params: SwitchDecisionQuery; request: undefined; response: SwitchDecisionList; };
  "switch.decision": { params: SwitchDecisionId; request: undefined; response: SwitchDecisionBodies; };
  "switch.stats": { params: SwitchStatsQuery; request: undefined; response: SwitchStatsReply; };
  "switch.warmup_status": { params: undefined; request: undefined; response: SwitchWarmupStatus; };
  "switch.warmup_manual": { params: undefined; request: undefined; response: SwitchWarmupReply; };
  "switch.admin_preload_model": { params: undefined; request: SwitchAdminModel; response: SwitchAdminModelReply; };
  "switch.admin_set_default_model": { params: undefined; request: SwitchAdminModel; response: SwitchAdminModelReply; };
  "switch.model_hot_reload": { params: undefined; request: undefined; response: SwitchHotReload; };
  "switch.models_available": { params: undefined; request: undefined; response: SwitchAvailableModels; };
  "switch.models": { params: undefined; request: undefined; response: OpenaiModelList; };
  "switch.model": { params: SwitchModelId; request: undefined; response: OpenaiModel; };
  "switch.task": { params: undefined; request: SwitchTaskRequest; response: SwitchTaskReply; };
  "switch.task_get": { params: SwitchJobId; request: undefined; response: SwitchJob; };
  "switch.queue_add": { params: undefined; request: SwitchTaskRequest; response: SwitchJob; };
  "switch.queue_list": { params: SwitchJobListParams; request: undefined; response: SwitchJobList; };
  "switch.queue_status": { params: undefined; request: undefined; response: SwitchQueueStatus; };
  "switch.queue_next": { params: undefined; request: undefined; response: SwitchQueueNext; };
  "switch.queue_claim": { params: undefined; request: SwitchClaimRequest; response: SwitchClaim; };
  "switch.queue_renew": { params: undefined; request: SwitchRenewRequest; response: SwitchJob; };
  "switch.queue_complete": { params: undefined; request: SwitchCompleteRequest; response: SwitchJob; };
  "switch.queue_get": { params: SwitchJobId; request: undefined; response: SwitchJob; };
  "switch.queue_cancel": { params: SwitchJobId; request: undefined; response: SwitchJob; };
  "switch.queue_retry": { params: SwitchJobId; request: undefined; response: SwitchJob; };
  "switch.queue_events": { params: SwitchJobId; request: undefined; response: undefined; };
}
