// The page until the operator's replaces it: a chat that streams, the modules as Link measures them, downloads and events as they happen.
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
  if (pulls.size > 0 || $("pulls-problem").textContent) loadPulls();
  setTimeout(refresh, document.hidden ? 30000 : 5000);
}

async function loadModels() {
  const list = await (await ask("/v1/models")).json();
  const chats = list.data.filter((m) => m.capabilities?.includes("completion") ?? true); // not those that only embed
  const chosen = $("model").value;
  $("model").replaceChildren(new Option("auto", ""), ...chats.map((m) => new Option(m.id, m.id)));
  $("model").value = chosen;
}

// ---- downloads ----

const pulls = new Map(); // id -> what is known of a pull that is queued or running, its row, and the latest event about it
let asking = false, askAgain = false;
let listed = ""; // id of the request for the list: Link makes it as it makes those of events, so their order tells which is newer

function bytes(value) {
  if (value === null || value === undefined) return "unknown";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1023.95 && unit + 1 < units.length; unit++) value /= 1024;
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

const isOpen = (pull) => pull.state === "queued" || pull.state === "running";
const pullName = (pull) => pull.name ?? pull.model ?? (/^(https?|file):/.test(pull.source) ? pull.source.split("/").pop() : pull.source);

function pullRow(id) {
  const row = { box: element("li"), bar: element("progress"), facts: element("dl"), name: element("strong"), cancel: element("button", "Cancel"), problem: element("p", "", "problem") };
  const top = element("div", undefined, "bar");
  top.append(row.name, row.cancel);
  row.cancel.type = "button";
  row.problem.setAttribute("role", "status");
  row.cancel.addEventListener("click", () => cancelPull(id));
  row.box.append(top, row.bar, row.facts, row.problem);
  $("pulls").append(row.box);
  return row;
}

// sure: false when Hermes does not answer, so that what goes on now is not known.
function showPull({ pull, row }, sure = true) {
  const name = pullName(pull), measured = sure && pull.state === "running";
  row.name.textContent = name;
  row.name.title = pull.source;
  row.cancel.setAttribute("aria-label", `Cancel the download of ${name}`);
  row.bar.hidden = !(pull.total > 0);
  if (pull.total > 0) row.bar.max = pull.total;
  row.bar.value = pull.bytes;
  row.bar.setAttribute("aria-label", `Downloaded of ${name}`);
  const facts = [
    ["Phase", sure ? pull.phase ?? pull.state : "unknown"],
    ["Downloaded", `${bytes(pull.bytes)} of ${bytes(pull.total)}`],
    ["Rate", measured && pull.rate !== null && pull.rate !== undefined ? `${bytes(Math.round(pull.rate))}/s` : "unknown"],
    ["Time left", measured && pull.eta_ms !== null && pull.eta_ms !== undefined ? duration(pull.eta_ms / 1000) : "unknown"],
  ];
  row.facts.replaceChildren(...facts.flatMap(([what, value]) => [element("dt", what), element("dd", value)]));
}

function showPanel() {
  $("pulls-panel").hidden = pulls.size === 0 && !$("pulls-problem").textContent;
}

function takePull(pull) {
  const known = pulls.get(pull.id) ?? { row: pullRow(pull.id) };
  known.pull = { ...known.pull, ...pull };
  pulls.set(pull.id, known);
  showPull(known);
}

function dropPull(id) {
  const box = pulls.get(id)?.row.box;
  if (box?.contains(document.activeElement)) $("prompt").focus({ preventScroll: true }); // not to lose the keyboard's place
  box?.remove();
  pulls.delete(id);
  showPanel();
}

// Hermes' list is what counts: events only move what it named. So a stored event of a pull that is over brings none back.
async function loadPulls() {
  if (asking) { askAgain = true; return; }
  asking = true;
  try {
    const reply = await ask("/hermes/pulls", { signal: AbortSignal.timeout(4000) });
    const list = (await reply.json()).pulls.filter(isOpen);
    listed = reply.headers.get("X-Request-Id") ?? "";
    const fresh = (id) => (pulls.get(id)?.event ?? "") > listed; // an event overtook the list
    for (const id of [...pulls.keys()]) if (!fresh(id) && !list.some((p) => p.id === id)) dropPull(id);
    for (const pull of list.reverse()) if (!fresh(pull.id)) takePull(pull);
    $("pulls-problem").textContent = "";
  } catch (error) {
    if (error.status === 401) lock();
    $("pulls-problem").textContent = `The downloads cannot be read: ${error.name === "TimeoutError" ? "no answer for 4\u00a0s" : error.message}`;
    for (const known of pulls.values()) showPull(known, false);
  }
  showPanel();
  asking = false;
  if (askAgain) { askAgain = false; loadPulls(); }
}

function onPull(event) {
  const pull = event.payload, known = pulls.get(pull.id);
  if (!isOpen(pull)) {
    const name = pullName({ ...known?.pull, ...pull });
    if (event.id > listed) dropPull(pull.id);
    addEvent(event, `${name}: download ${pull.state}${pull.reason ? `, ${pull.reason}` : ""}`);
    if (asking) askAgain = true; // the list on its way may still name it
    return;
  }
  if (event.id < listed) return; // replayed, and older than the list
  if (!known) return loadPulls();
  // What is absent in an event is not known any more.
  takePull({ phase: null, total: null, rate: null, eta_ms: null, ...pull });
  known.event = event.id;
}

async function cancelPull(id) {
  const { row } = pulls.get(id);
  row.cancel.disabled = true;
  row.problem.textContent = "";
  try {
    await ask(`/hermes/pulls/${id}`, { method: "DELETE" });
  } catch (error) {
    if (error.status === 401) return lock();
    row.problem.textContent = `Not cancelled: ${error.message}`;
    row.cancel.disabled = false;
  }
  loadPulls();
}

// ---- events ----

function addEvent(event, text) {
  $("no-events").hidden = true;
  $("events").prepend(element("li", `${new Date(event.timestamp).toLocaleTimeString()} ${event.source}: ${text}`));
  while ($("events").children.length > 50) $("events").lastChild.remove();
}

function listen() {
  const source = new EventSource("/events?replay=20");
  const show = (message) => {
    const event = JSON.parse(message.data);
    const p = event.payload;
    addEvent(event, p.message ?? p.summary ?? p.reason ?? p.action ?? JSON.stringify(p));
  };
  source.addEventListener("open", loadPulls); // also after a break, in which events may have been lost
  source.addEventListener("hermes.model.pull", (message) => onPull(JSON.parse(message.data)));
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
