"use strict";
// The playground: one message to as many as three models at once, each with its own conversation, times and cost.
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  };
  const MOST_PANES = 3;
  const MOST_BYTES = 8 * 1024 * 1024;
  let data, form, panes = [], files = [], running = 0;

  const known = (name) => data.names.models.find((one) => one.name === name || `${one.provider}/${one.id}` === name);
  const about = (name) => {
    const one = known(name);
    if (!one) return name === "auto" || name.startsWith("strategy:") ? "a strategy chooses" : name ? "an alias or a model by its id" : "";
    return `${one.title} · ${one.price} per 1M tokens in / out${one.window ? ` · ${Math.round(one.window / 1000)}k context` : ""}`;
  };

  class Pane {
    constructor(model, messages = []) {
      this.messages = messages;
      this.calls = [];
      this.model = make("input", { type: "text", value: model, className: "cogo-secret", spellcheck: false });
      this.model.setAttribute("list", "pg-models");
      this.model.setAttribute("aria-label", "Model or strategy");
      this.info = make("p", { className: "cogo-sub" });
      this.talk = make("div", { className: "cogo-talk", tabIndex: 0 });
      this.talk.setAttribute("role", "log");
      this.talk.setAttribute("aria-label", "Conversation");
      const close = make("button", { type: "button", className: "cogo-button", textContent: "Remove" });
      close.addEventListener("click", () => remove(this));
      this.close = close;
      this.box = make("section", { className: "cogo-panel" }, make("div", { className: "cogo-panel-body" }, make("div", { className: "cogo-actions" }, this.model, close), this.info, this.talk));
      this.model.addEventListener("input", () => { this.info.textContent = about(this.model.value.trim()); });
      this.info.textContent = about(model);
      messages.forEach((one) => this.say(one.role, one.content));
    }

    say(role, text) {
      const body = make("div", { className: "cogo-text", textContent: text });
      const box = make("div", { className: `cogo-said cogo-said-${role}` }, make("span", { className: "cogo-sub", textContent: role }), body);
      this.talk.append(box);
      this.talk.scrollTop = this.talk.scrollHeight;
      return { box, body };
    }

    taken() {
      // Results of tools that the model called last, typed by hand.
      const results = this.calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: call.field.value || "(no result)" }));
      this.calls = [];
      return results;
    }
  }

  function remove(pane) {
    if (panes.length < 2) return;
    panes = panes.filter((one) => one !== pane);
    pane.box.remove();
    tidy();
  }
  function add(model, messages) {
    if (panes.length >= MOST_PANES) return;
    const pane = new Pane(model, messages);
    panes.push(pane);
    $("pg-panes").append(pane.box);
    tidy();
  }
  function tidy() {
    $("pg-add").disabled = panes.length >= MOST_PANES;
    panes.forEach((pane) => { pane.close.hidden = panes.length < 2; });
  }

  const read = (file, how) => new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => fail(reader.error);
    reader[how](file);
  });
  async function part(file) {
    if (file.type.startsWith("image/")) return { type: "image_url", image_url: { url: await read(file, "readAsDataURL") } };
    if (file.type === "application/pdf") return { type: "file", file: { filename: file.name, file_data: await read(file, "readAsDataURL") } };
    return { type: "text", text: `File ${file.name}:\n${await read(file, "readAsText")}` };
  }
  async function content(text) {
    if (!files.length) return text;
    return [...(await Promise.all(files.map(part))), ...(text ? [{ type: "text", text }] : [])];
  }
  const parsed = (id, what) => {
    const text = $(id).value.trim();
    if (!text) return undefined;
    try { return JSON.parse(text); } catch (error) { throw new Error(`${what}: ${error.message}`); }
  };
  const number = (id) => { const found = Number($(id).value.trim()); return $(id).value.trim() && Number.isFinite(found) ? found : undefined; };

  function requestOf(pane, shared) {
    const system = $("pg-system").value.trim();
    const asked = { model: pane.model.value.trim() || "auto", messages: [...(system ? [{ role: "system", content: system }] : []), ...pane.messages] };
    if (shared.max !== undefined) asked.max_completion_tokens = shared.max;
    if (shared.temperature !== undefined) asked.temperature = shared.temperature;
    if (shared.tools) asked.tools = shared.tools;
    if (shared.schema) asked.response_format = { type: "json_schema", json_schema: { name: "answer", schema: shared.schema } };
    return asked;
  }

  const seconds = (ms) => (ms === null || ms === undefined ? "—" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
  function figures(pane, done, first, took) {
    const cost = done.cost ? `$${done.cost.amount}` : "unknown";
    const usage = done.usage ? `${done.usage.input_tokens} in, ${done.usage.output_tokens} out` : "usage unknown";
    const line = make("p", { className: "cogo-sub cogo-figures" });
    line.textContent = `${done.provider} · ${done.model} · first token ${seconds(first)} · ${seconds(took)} · ${usage} · ${cost}${done.finish_reason ? ` · ${done.finish_reason}` : ""}`;
    const decision = make("details", {}, make("summary", { textContent: "Why it went there" }), make("pre", { className: "cogo-text", textContent: why(done) }));
    const link = make("a", { className: "cogo-link", href: `${data.urls.requests}${done.id}/change/`, textContent: "Its request" });
    pane.talk.append(line, decision, link);
  }
  function why(done) {
    const decision = done.decision || {};
    const lines = [`asked: ${decision.asked || ""}`, `strategy: ${decision.strategy || done.strategy || ""}`];
    if (decision.order) lines.push(`order: ${decision.order.join(" → ")}`);
    for (const one of decision.skipped || []) lines.push(`left out: ${one.target}: ${one.why}`);
    for (const one of done.attempts || []) lines.push(`tried: ${one.provider}/${one.model}: ${one.outcome}${one.status ? ` (${one.status})` : ""}, ${seconds(one.latency_ms)}`);
    if (decision.note) lines.push(decision.note);
    return lines.join("\n");
  }

  const headers = () => ({ "content-type": "application/json", accept: "application/json", "x-csrftoken": form.elements.csrfmiddlewaretoken.value });
  async function trouble(answer) {
    try {
      const body = await answer.json();
      return body.error ? `${answer.status} ${body.error.code}: ${body.error.message}` : `${answer.status}`;
    } catch { return `The gateway answered ${answer.status}.`; }
  }

  async function* eventsOf(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      for (let cut; (cut = rest.indexOf("\n\n")) >= 0; rest = rest.slice(cut + 2)) {
        const block = rest.slice(0, cut);
        const name = /^event: ?(.*)$/m.exec(block);
        const lines = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
        if (name && lines.length) yield [name[1], JSON.parse(lines.join("\n"))];
      }
    }
  }

  async function ask(pane, shared, signal) {
    const { box, body } = pane.say("assistant", "");
    const began = performance.now();
    let first = null, text = "", thought = null;
    const calls = [];
    try {
      const answer = await fetch(data.urls.send, { method: "POST", signal, headers: headers(), body: JSON.stringify({ key: shared.key, request: requestOf(pane, shared) }) });
      if (!answer.ok) throw new Error(await trouble(answer));
      let ended = false;
      for await (const [name, said] of eventsOf(answer)) {
        if (first === null && name !== "start") first = performance.now() - began;
        if (name === "delta") body.textContent = text += said.content;
        else if (name === "thinking") {
          if (!thought) box.insertBefore(make("details", {}, make("summary", { textContent: "Thinking" }), (thought = make("div", { className: "cogo-text cogo-quiet" }))), body);
          thought.textContent += said.content;
        } else if (name === "tool") {
          calls[said.index] = calls[said.index] || { id: "", name: "", arguments: "" };
          if (said.name) Object.assign(calls[said.index], { id: said.id, name: said.name });
          calls[said.index].arguments += said.arguments || "";
        } else if (name === "error") throw new Error(`${said.error.code}: ${said.error.message}`);
        else if (name === "done") { ended = true; figures(pane, said, first, performance.now() - began); }
        pane.talk.scrollTop = pane.talk.scrollHeight;
      }
      if (!ended) throw new Error("The stream broke off.");
      const called = calls.filter(Boolean);
      pane.messages.push({ role: "assistant", content: text || null, ...(called.length ? { tool_calls: called.map((one) => ({ id: one.id, type: "function", function: { name: one.name, arguments: one.arguments || "{}" } })) } : {}) });
      for (const one of called) {
        const field = make("textarea", { rows: 2, placeholder: "What the tool answers; sent with your next message" });
        field.setAttribute("aria-label", `Result of ${one.name}`);
        box.append(make("div", { className: "cogo-text", textContent: `${one.name}(${one.arguments})` }), field);
        pane.calls.push({ id: one.id, field });
      }
    } catch (error) {
      box.append(make("p", { className: "cogo-bad", textContent: error.name === "AbortError" ? "Stopped." : error.message }));
      box.lastChild.setAttribute("role", "alert");
      // A conversation goes on from what was answered: the question that was not is taken back.
      if (text) pane.messages.push({ role: "assistant", content: text });
      else while (pane.messages.length && pane.messages.at(-1).role !== "assistant") pane.messages.pop();
    }
  }

  async function analyze(pane, code, signal) {
    pane.talk.replaceChildren();
    const { box, body } = pane.say("analysis", "…");
    const began = performance.now();
    try {
      const answer = await fetch(data.urls.analyze, { method: "POST", signal, headers: headers(), body: JSON.stringify({ code, analysis_type: $("pg-type").value, model: pane.model.value.trim() || "auto" }) });
      if (!answer.ok) throw new Error(await trouble(answer));
      const done = await answer.json();
      const found = done.analysis || { summary: "", findings: [] };
      body.textContent = `${found.score ?? "—"} of 100. ${found.summary}`;
      const rows = (found.findings || []).map((one) => make("tr", {}, ...[one.severity, one.line ?? "", one.category, one.message, one.suggestion || ""].map((cell) => make("td", { className: "wrap", textContent: cell }))));
      if (rows.length) {
        const head = make("tr", {}, ...["Severity", "Line", "Category", "What", "Suggestion"].map((name) => make("th", { textContent: name })));
        box.append(make("div", { className: "cogo-scroll" }, make("table", { className: "cogo-table" }, make("thead", {}, head), make("tbody", {}, ...rows))));
      }
      figures(pane, done, done.ttft_ms, performance.now() - began);
    } catch (error) {
      body.textContent = "";
      box.append(make("p", { className: "cogo-bad", textContent: error.name === "AbortError" ? "Stopped." : error.message }));
    }
  }

  async function send() {
    if (running) return;
    const text = $("pg-text").value.trim();
    const chat = $("pg-mode").value === "chat";
    const waiting = chat && panes.some((pane) => pane.calls.length);
    if (!text && !files.length && !waiting) return $("pg-text").focus();
    let shared;
    try {
      shared = { key: $("pg-key").value, max: number("pg-max"), temperature: number("pg-temperature"), tools: parsed("pg-tools", "Tools"), schema: parsed("pg-schema", "Schema") };
    } catch (error) {
      $("pg-attached").textContent = error.message;
      return;
    }
    const stop = new AbortController();
    $("pg-stop").onclick = () => stop.abort();
    running = panes.length;
    busy(true);
    try {
      const asked = chat ? await content(text) : null;
      await Promise.all(panes.map(async (pane) => {
        if (!chat) return analyze(pane, text, stop.signal);
        pane.messages.push(...pane.taken());
        if (text || files.length) {
          pane.messages.push({ role: "user", content: asked });
          pane.say("user", text + files.map((file) => `\n[${file.name}]`).join(""));
        }
        return ask(pane, shared, stop.signal);
      }));
      if (chat && panes.some((pane) => pane.messages.length && pane.messages.at(-1).role === "assistant")) { $("pg-text").value = ""; files = []; $("pg-files").value = ""; $("pg-attached").textContent = ""; }
    } finally {
      running = 0;
      busy(false);
    }
  }
  function busy(on) {
    $("pg-send").disabled = on;
    $("pg-stop").hidden = !on;
  }
  function mode() {
    const chosen = $("pg-mode").value;
    form.querySelectorAll("[data-mode]").forEach((one) => { one.style.display = one.dataset.mode === chosen ? "" : "none"; });
    $("pg-text-label").textContent = chosen === "chat" ? "Message" : "Code (analyzed under your own account)";
  }

  addEventListener("DOMContentLoaded", () => {
    form = $("playground");
    data = JSON.parse($("playground-data").textContent);
    const options = [...data.names.models.map((one) => [one.name, about(one.name)]), ...data.names.aliases.map((name) => [name, "alias"]), ["auto", "the active strategy"], ...data.names.strategies.map((name) => [`strategy:${name}`, "strategy"])];
    $("pg-models").append(...options.map(([value, label]) => make("option", { value, label })));
    const start = data.start || {};
    if (start.key && [...$("pg-key").options].some((one) => one.value === start.key)) $("pg-key").value = start.key;
    const messages = start.messages || [];
    const system = messages.filter((one) => one.role === "system" || one.role === "developer").map((one) => one.content).join("\n\n");
    if (system) { $("pg-system").value = system; $("pg-more").open = true; }
    const turns = messages.filter((one) => one.role === "user" || one.role === "assistant");
    const last = turns.length && turns.at(-1).role === "user" ? turns.pop() : null;
    if (last) $("pg-text").value = last.content;
    add(start.model || "auto", turns.map((one) => ({ ...one })));
    $("pg-add").addEventListener("click", () => add("auto", panes[0].messages.filter((one) => typeof one.content === "string" && one.role !== "tool" && !one.tool_calls).map((one) => ({ ...one }))));
    $("pg-clear").addEventListener("click", () => { if (!running) panes.forEach((pane) => { pane.messages = []; pane.calls = []; pane.talk.replaceChildren(); }); });
    $("pg-mode").addEventListener("change", mode);
    $("pg-files").addEventListener("change", () => {
      files = [...$("pg-files").files];
      const size = files.reduce((sum, file) => sum + file.size, 0);
      if (size > MOST_BYTES) { files = []; $("pg-files").value = ""; }
      $("pg-attached").textContent = size > MOST_BYTES ? "Files of at most 8 MB together." : files.map((file) => file.name).join(", ");
    });
    form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
    $("pg-text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } });
    mode();
  });
})();
