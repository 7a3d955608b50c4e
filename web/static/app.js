// The page until the operator's replaces it: a chat that streams, the modules as Link measures them, and events as they happen.
// Everything shown came from an answer; what could not be read says so.

const $ = (id) => document.getElementById(id);
const conversation = [];
let running = null;

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const reply = await fetch(path, { credentials: "same-origin", ...options });
  if (reply.ok) return reply;
  const body = await reply.json().catch(() => null);
  throw new Refused(reply.status, body?.error?.message ?? `${path} answered ${reply.status}`);
}

function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

function number(value, unit = "") {
  return value === null || value === undefined ? "–" : `${Math.round(value).toLocaleString("en")}${unit}`;
}

// ---- modules and traffic ----

function showStatus(status) {
  $("health").textContent = status.ok
    ? `All ${status.summary.total_modules} modules are healthy`
    : `${status.summary.unhealthy_modules} of ${status.summary.total_modules} modules are not healthy`;
  $("measured").textContent = `Measured at ${new Date(status.timestamp).toLocaleTimeString()}`;
  $("modules").replaceChildren(...status.modules.map((m) => {
    const row = element("tr");
    const health = element("td", m.status, m.status);
    const bad = m.checks.find((c) => c.status !== "ok");
    const why = m.error ?? (bad ? `${bad.name}: ${bad.detail ?? "not ok"}` : null);
    if (why) health.title = why;
    row.append(element("td", m.name), health, element("td", m.state ?? "–"), element("td", m.port ?? "–"), element("td", duration(m.uptime_s)));
    return row;
  }));
}

function showTraffic(t) {
  const facts = [
    ["Requests", number(t.requests)], ["Failed", number(t.failed)], ["Prompt tokens", number(t.prompt_tokens)],
    ["Answer tokens", number(t.completion_tokens)], ["First token, mean", number(t.first_token_avg_ms, " ms")],
  ];
  $("traffic").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

async function refresh() {
  try {
    const overview = await (await ask("/vx11/overview")).json();
    showStatus(overview.status);
    showTraffic(overview.traffic);
  } catch (error) {
    if (error.status === 401) return lock();
    $("health").textContent = `The status cannot be read: ${error.message}`;
  }
  setTimeout(refresh, document.hidden ? 30000 : 5000);
}

async function loadModels() {
  const list = await (await ask("/v1/models")).json();
  const chats = list.data.filter((m) => m.capabilities?.includes("completion") ?? true); // not those that only embed
  const chosen = $("model").value;
  $("model").replaceChildren(new Option("auto", ""), ...chats.map((m) => new Option(m.id, m.id)));
  $("model").value = chosen;
}

// ---- events ----

function listen() {
  const source = new EventSource("/events?replay=20");
  const show = (message) => {
    const event = JSON.parse(message.data);
    const p = event.payload;
    $("no-events").hidden = true;
    const text = p.message ?? p.summary ?? p.reason ?? p.action ?? JSON.stringify(p);
    $("events").prepend(element("li", `${new Date(event.timestamp).toLocaleTimeString()} ${event.source}: ${text}`));
    while ($("events").children.length > 50) $("events").lastChild.remove();
  };
  for (const type of ["system.alert", "system.correlation.updated", "forensic.snapshot.created", "madre.decision.explained",
    "switch.tension.updated", "shub.action.narrated"]) source.addEventListener(type, show);
}

// ---- chat ----

function addMessage(role, text) {
  $("hint").hidden = true;
  const box = element("div", undefined, `message ${role}`);
  const body = element("span", text);
  box.append(body);
  $("messages").append(box);
  box.scrollIntoView({ block: "end" });
  return { box, body, note: (words, failed) => { box.append(element("small", words)); if (failed) box.classList.add("failed"); box.scrollIntoView({ block: "end" }); } };
}

// Events of a text/event-stream body, one "data" at a time.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const data = rest.slice(0, end).split("\n").filter((l) => l.startsWith("data:")).map((l) => l.slice(5).trimStart()).join("\n");
      rest = rest.slice(end + 2);
      if (data) yield data;
    }
  }
}

async function answer(shown) {
  const began = performance.now();
  let text = "", usage = null, finished = false;
  const reply = await ask("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    signal: running.signal,
    body: JSON.stringify({ model: $("model").value || undefined, messages: conversation, stream: true, stream_options: { include_usage: true } }),
  });
  for await (const data of events(reply.body)) {
    if (data === "[DONE]") { finished = true; break; }
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    usage = chunk.usage ?? usage;
    text += chunk.choices?.[0]?.delta?.content ?? "";
    shown.body.textContent = text;
    $("messages").scrollTop = $("messages").scrollHeight;
  }
  if (!finished) throw new Error("the answer broke off");
  const seconds = (performance.now() - began) / 1000;
  const who = `${reply.headers.get("X-VX11-Model") ?? "?"} (${reply.headers.get("X-VX11-Provider") ?? "?"})`;
  const tokens = usage ? `, ${usage.completion_tokens} tokens, ${(usage.completion_tokens / seconds).toFixed(1)} per second` : "";
  shown.note(`${who}${tokens}, ${seconds.toFixed(2)} s`);
  return text;
}

async function send(prompt) {
  running = new AbortController();
  $("send").hidden = true;
  $("stop").hidden = false;
  conversation.push({ role: "user", content: prompt });
  addMessage("user", prompt);
  const shown = addMessage("assistant", "");
  try {
    conversation.push({ role: "assistant", content: await answer(shown) });
  } catch (error) {
    // A turn that failed is shown as failed and is not part of what the model sees next.
    conversation.pop();
    shown.note(error.name === "AbortError" ? "Stopped." : `Failed: ${error.message}`, true);
    if (error.status === 401) lock();
  }
  running = null;
  $("send").hidden = false;
  $("stop").hidden = true;
  $("prompt").focus();
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const prompt = $("prompt").value.trim();
  if (!prompt || running) return;
  $("prompt").value = "";
  send(prompt);
});
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("form").requestSubmit();
  }
});
$("stop").addEventListener("click", () => running?.abort());
$("new").addEventListener("click", () => {
  running?.abort();
  conversation.length = 0;
  $("messages").replaceChildren($("hint"));
  $("hint").hidden = false;
  $("prompt").focus();
});
$("hint").querySelector(".example").addEventListener("click", (event) => { if (!running) send(event.target.textContent); });
$("model").addEventListener("focus", () => loadModels().catch((error) => { $("health").textContent = `The models cannot be read: ${error.message}`; }));
$("logout").addEventListener("click", async () => { await ask("/logout", { method: "POST" }); lock(); });

function lock() {
  $("app").hidden = true;
  $("logout").hidden = true;
  $("locked").hidden = false;
  $("health").textContent = "";
}

async function start() {
  try {
    await ask("/vx11/session");
  } catch (error) {
    if (error.status === 401) return lock();
    $("health").textContent = `Link does not answer: ${error.message}`;
    setTimeout(start, 5000);
    return;
  }
  $("app").hidden = false;
  $("logout").hidden = false;
  listen();
  refresh();
  loadModels().catch((error) => { $("health").textContent = `The models cannot be read: ${error.message}`; });
  $("prompt").focus();
}

start();
