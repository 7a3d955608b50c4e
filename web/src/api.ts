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
  source: "builtin" | "scan" | "added";
  /** Whether it can be used. */
  status: "available" | "missing" | "invalid";
  /** Why it cannot be used. */
  reason: string | null;
  /** Absolute path of the file. */
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
  /** Times an engine was handed out for it. [requests] */
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

/** Which events. */
export interface LinkEventParams {
  /** Only this type. */
  type?: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load";
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
  type: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load";
  /** Who reported it. */
  source: string;
  /** When it happened. [epoch ms] */
  timestamp: number;
  /** Fields of the type's schema. */
  payload: Json;
}

/** An event to publish. payload is checked against the schema of its type. */
export interface LinkEventIngest {
  /** Who reports it. */
  source: string;
  /** What kind. */
  type: "system.alert" | "system.correlation.updated" | "forensic.snapshot.created" | "madre.decision.explained" | "switch.tension.updated" | "shub.action.narrated" | "hermes.model.load";
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

/** A wanted state. */
export interface SupervisorSetState {
  /** active, standby or off. */
  state: "active" | "standby" | "off";
  /** Why; kept. */
  reason?: string;
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
  kind: "local" | "openai";
  /** As known from its breaker and the last exchange; nothing is asked for this reply. */
  status: "ready" | "unavailable" | "unknown" | "disabled";
  /** Address of an openai provider. */
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
  /** Requests running now. */
  in_flight: number;
  /** Whether requests need a token. */
  token_required: boolean;
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
}

/** Tokens as a provider reports them. */
export interface SwitchUpstreamUsage {
  /** Read. [tokens] */
  prompt_tokens: number | null;
  /** Written. [tokens] */
  completion_tokens: number | null;
  /** Of those read. */
  prompt_tokens_details: SwitchUpstreamDetails | null;
}

/** Of the tokens read. */
export interface SwitchUpstreamDetails {
  /** From a cache. [tokens] */
  cached_tokens: number | null;
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

/** Every route, by module and id. */
export const routes = {
  "engine.chat_completions": { method: "POST", path: "/v1/chat/completions", scope: "chat", stream: "sse" },
  "engine.completions": { method: "POST", path: "/v1/completions", scope: "chat", stream: "sse" },
  "engine.embeddings": { method: "POST", path: "/v1/embeddings", scope: "chat", stream: null },
  "engine.models": { method: "GET", path: "/v1/models", scope: "read", stream: null },
  "engine.status": { method: "GET", path: "/engine/status", scope: "read", stream: null },
  "engine.tokenize": { method: "POST", path: "/engine/tokenize", scope: "read", stream: null },
  "engine.detokenize": { method: "POST", path: "/engine/detokenize", scope: "read", stream: null },
  "hermes.models_list": { method: "GET", path: "/hermes/models", scope: "read", stream: null },
  "hermes.models_get": { method: "GET", path: "/hermes/models/{name}", scope: "read", stream: null },
  "hermes.models_add": { method: "POST", path: "/hermes/models", scope: "act", stream: null },
  "hermes.models_remove": { method: "DELETE", path: "/hermes/models/{name}", scope: "act", stream: null },
  "hermes.scan": { method: "POST", path: "/hermes/scan", scope: "act", stream: null },
  "hermes.engines_list": { method: "GET", path: "/hermes/engines", scope: "read", stream: null },
  "hermes.engines_acquire": { method: "POST", path: "/hermes/engines/acquire", scope: "chat", stream: null },
  "hermes.engines_stop": { method: "DELETE", path: "/hermes/engines/{name}", scope: "act", stream: null },
  "hermes.resources": { method: "GET", path: "/hermes/resources", scope: "read", stream: null },
  "link.status": { method: "GET", path: "/vx11/status", scope: "read", stream: null },
  "link.overview": { method: "GET", path: "/vx11/overview", scope: "read", stream: null },
  "link.breakers": { method: "GET", path: "/vx11/circuit-breaker/status", scope: "read", stream: null },
  "link.models": { method: "GET", path: "/v1/models", scope: "read", stream: null },
  "link.model": { method: "GET", path: "/v1/models/{id*}", scope: "read", stream: null },
  "link.chat_completions": { method: "POST", path: "/v1/chat/completions", scope: "chat", stream: "sse" },
  "link.completions": { method: "POST", path: "/v1/completions", scope: "chat", stream: "sse" },
  "link.embeddings": { method: "POST", path: "/v1/embeddings", scope: "chat", stream: null },
  "link.events": { method: "GET", path: "/events", scope: "read", stream: "sse" },
  "link.events_ingest": { method: "POST", path: "/events/ingest", scope: "publish", stream: null },
  "link.ws": { method: "GET", path: "/ws", scope: "read", stream: "ws" },
  "link.session": { method: "GET", path: "/vx11/session", scope: "read", stream: null },
  "link.page": { method: "GET", path: "/", scope: "open", stream: null },
  "link.asset": { method: "GET", path: "/assets/{name}", scope: "open", stream: null },
  "link.login": { method: "GET", path: "/login", scope: "open", stream: null },
  "link.logout": { method: "POST", path: "/logout", scope: "read", stream: null },
  "supervisor.status": { method: "GET", path: "/supervisor/status", scope: "read", stream: null },
  "supervisor.restart": { method: "POST", path: "/supervisor/modules/{name}/restart", scope: "admin", stream: null },
  "supervisor.set_state": { method: "POST", path: "/supervisor/modules/{name}/state", scope: "admin", stream: null },
  "supervisor.stop": { method: "POST", path: "/supervisor/stop", scope: "admin", stream: null },
  "supervisor.reload": { method: "POST", path: "/supervisor/reload", scope: "admin", stream: null },
  "supervisor.login_link": { method: "POST", path: "/supervisor/login-link", scope: "admin", stream: null },
  "switch.chat": { method: "POST", path: "/switch/chat", scope: "chat", stream: null },
  "switch.providers": { method: "GET", path: "/switch/providers", scope: "read", stream: null },
  "switch.context": { method: "GET", path: "/switch/context", scope: "read", stream: null },
  "switch.chat_completions": { method: "POST", path: "/v1/chat/completions", scope: "chat", stream: "sse" },
  "switch.completions": { method: "POST", path: "/v1/completions", scope: "chat", stream: "sse" },
  "switch.embeddings": { method: "POST", path: "/v1/embeddings", scope: "chat", stream: null },
  "switch.models": { method: "GET", path: "/v1/models", scope: "read", stream: null },
  "switch.model": { method: "GET", path: "/v1/models/{id*}", scope: "read", stream: null },
} as const;

export interface RouteTypes {
  "engine.chat_completions": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "engine.completions": { params: undefined; request: OpenaiCompletionRequest; response: OpenaiCompletionReply; };
  "engine.embeddings": { params: undefined; request: OpenaiEmbeddingRequest; response: OpenaiEmbeddingReply; };
  "engine.models": { params: undefined; request: undefined; response: OpenaiModelList; };
  "engine.status": { params: undefined; request: undefined; response: EngineStatus; };
  "engine.tokenize": { params: undefined; request: EngineTokenizeRequest; response: EngineTokenizeReply; };
  "engine.detokenize": { params: undefined; request: EngineDetokenizeRequest; response: EngineDetokenizeReply; };
  "hermes.models_list": { params: undefined; request: undefined; response: HermesModelList; };
  "hermes.models_get": { params: HermesModelName; request: undefined; response: HermesModel; };
  "hermes.models_add": { params: undefined; request: HermesAddModel; response: HermesModel; };
  "hermes.models_remove": { params: HermesModelName; request: undefined; response: undefined; };
  "hermes.scan": { params: undefined; request: undefined; response: HermesScanReply; };
  "hermes.engines_list": { params: undefined; request: undefined; response: HermesEngineList; };
  "hermes.engines_acquire": { params: undefined; request: HermesAcquireRequest; response: HermesEngine; };
  "hermes.engines_stop": { params: HermesModelName; request: undefined; response: undefined; };
  "hermes.resources": { params: undefined; request: undefined; response: HermesSystemResources; };
  "link.status": { params: undefined; request: undefined; response: LinkStatusReply; };
  "link.overview": { params: undefined; request: undefined; response: LinkOverview; };
  "link.breakers": { params: undefined; request: undefined; response: LinkBreakerReply; };
  "link.models": { params: undefined; request: undefined; response: OpenaiModelList; };
  "link.model": { params: SwitchModelId; request: undefined; response: OpenaiModel; };
  "link.chat_completions": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "link.completions": { params: undefined; request: OpenaiCompletionRequest; response: OpenaiCompletionReply; };
  "link.embeddings": { params: undefined; request: OpenaiEmbeddingRequest; response: OpenaiEmbeddingReply; };
  "link.events": { params: LinkEventParams; request: undefined; response: LinkEvent; };
  "link.events_ingest": { params: undefined; request: LinkEventIngest; response: LinkEventAccepted; };
  "link.ws": { params: LinkEventParams; request: undefined; response: undefined; };
  "link.session": { params: undefined; request: undefined; response: LinkSessionReply; };
  "link.page": { params: undefined; request: undefined; response: undefined; };
  "link.asset": { params: LinkAssetParams; request: undefined; response: undefined; };
  "link.login": { params: LinkLoginParams; request: undefined; response: undefined; };
  "link.logout": { params: undefined; request: undefined; response: undefined; };
  "supervisor.status": { params: undefined; request: undefined; response: SupervisorStatus; };
  "supervisor.restart": { params: SupervisorModuleName; request: undefined; response: SupervisorModule; };
  "supervisor.set_state": { params: SupervisorModuleName; request: SupervisorSetState; response: SupervisorModule; };
  "supervisor.stop": { params: undefined; request: SupervisorStop; response: CommonOk; };
  "supervisor.reload": { params: undefined; request: undefined; response: SupervisorReloadReply; };
  "supervisor.login_link": { params: undefined; request: undefined; response: SupervisorLoginLink; };
  "switch.chat": { params: undefined; request: SwitchChatRequest; response: SwitchChatReply; };
  "switch.providers": { params: undefined; request: undefined; response: SwitchProviderList; };
  "switch.context": { params: undefined; request: undefined; response: SwitchContext; };
  "switch.chat_completions": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };
  "switch.completions": { params: undefined; request: OpenaiCompletionRequest; response: OpenaiCompletionReply; };
  "switch.embeddings": { params: undefined; request: OpenaiEmbeddingRequest; response: OpenaiEmbeddingReply; };
  "switch.models": { params: undefined; request: undefined; response: OpenaiModelList; };
  "switch.model": { params: SwitchModelId; request: undefined; response: OpenaiModel; };
}
