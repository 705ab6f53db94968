// Up to four columns answered side by side, as streams. Without this file the form sends them all and waits.

const form = document.querySelector("[data-playground]");
const most = Number(form?.dataset.most ?? 4);
const columns = form?.querySelector("[data-columns]");
const runButton = form?.querySelector("[data-run]");
const stopButton = form?.querySelector("[data-stop]");
const addButton = form?.querySelector("[data-add]");
let atWork = [];
let made = columns?.children.length ?? 0;

const part = (column, name) => column.querySelector(`[data-${name}]`);
const field = (column, name) => column.querySelector(`[data-field="${name}"]`);

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) {
    made.className = className;
  }
  return made;
}

function duration(ms) {
  if (!Number.isFinite(ms)) {
    return "–";
  }
  return ms < 1 ? `${Math.round(ms * 1000)} µs` : ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

// As `figures.dollars` writes amounts on every other page.
function money(amount) {
  const value = Number(amount);
  if (amount === null || !Number.isFinite(value)) {
    return "unknown";
  }
  if (value === 0) {
    return "$0";
  }
  if (value < 5e-7) {
    return "< $0.000001";
  }
  return `$${value.toFixed(value >= 1 ? 2 : value >= 0.1 ? 4 : 6).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
}

function fields(column) {
  const sent = new URLSearchParams();
  for (const name of ["csrf", "question", "values", "temperature", "max_tokens"]) {
    sent.set(name, form.elements[name].value);
  }
  for (const name of ["model", "prompt", "system"]) {
    sent.set(name, field(column, name).value);
  }
  return sent;
}

async function post(path, sent, signal) {
  const answer = await fetch(path, { method: "POST", body: sent, signal });
  if (!answer.ok) {
    const said = await answer.json().catch(() => null);
    throw new Error(said?.error?.message ?? `The server answered ${answer.status}.`);
  }
  return answer;
}

function trouble(column, message) {
  const place = part(column, "trouble");
  place.textContent = message;
  place.hidden = !message;
}

function showSteps(column, steps) {
  const list = element("ol", "", "play-steps");
  for (const one of steps) {
    const line = element("li", "", `s-${one.stage} step-${one.outcome}`);
    line.append(element("b", one.step), " ", element("span", duration(one.ms)));
    for (const said of [...(one.changes ? [`${one.changes} changed`] : []), ...one.verdicts.slice(0, 3)]) {
      line.append(" ", element("em", said));
    }
    list.append(line);
  }
  part(column, "steps").replaceChildren(list);
}

function showFacts(column, facts) {
  const rows = [
    ["Outcome", facts.outcome],
    ["Cost", money(facts.cost_usd)],
    ["Total", duration(facts.total_ms)],
    ["First token", duration(facts.first_token_ms)],
    ["Overhead", duration(facts.overhead_ms)],
    ["Tokens", `${facts.input_tokens ?? "–"} → ${facts.output_tokens ?? "–"}`],
  ];
  part(column, "facts").replaceChildren(
    ...rows.map(([name, value]) => {
      const row = document.createElement("div");
      row.append(element("dt", name), element("dd", value));
      return row;
    }),
  );
  part(column, "answer").textContent = facts.text;
  part(column, "journey").href = `/requests/${encodeURIComponent(facts.id)}`;
  part(column, "after").hidden = false;
  column.dataset.exchange = facts.id;
}

function take(column, event) {
  const lines = event.split("\n");
  const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
  const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
  if (!data || data === "[DONE]") {
    return;
  }
  const value = JSON.parse(data);
  if (name === "begun") {
    showSteps(column, value.steps);
  } else if (name === "failed") {
    trouble(column, value.message);
  } else if (name === "done") {
    showSteps(column, value.steps);
    showFacts(column, value);
  } else if (value.error) {
    trouble(column, value.error.message);
  } else {
    part(column, "answer").append(value.choices?.[0]?.delta?.content ?? "");
  }
}

async function run(column) {
  const ending = new AbortController();
  atWork.push(ending);
  column.dataset.state = "running";
  for (const name of ["answer", "facts", "steps", "more"]) {
    part(column, name).replaceChildren();
  }
  part(column, "after").hidden = part(column, "more").hidden = true;
  delete column.dataset.exchange;
  trouble(column, "");
  try {
    const answer = await post("/playground/run", fields(column), ending.signal);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        take(column, event);
      }
    }
  } catch (error) {
    trouble(column, error.name === "AbortError" ? "Stopped." : error.message);
  } finally {
    column.dataset.state = "";
    atWork = atWork.filter((one) => one !== ending);
    stopButton.disabled = atWork.length === 0;
    runButton.disabled = atWork.length > 0;
  }
}

function remember() {
  const named = new URLSearchParams();
  for (const column of columns.children) {
    named.append("column", `${field(column, "model").value}|${field(column, "prompt").value}`);
  }
  history.replaceState(null, "", `?${named}`);
  addButton.disabled = columns.children.length >= most;
  columns.dataset.count = String(columns.children.length);
  for (const column of columns.children) {
    part(column, "remove").hidden = columns.children.length === 1;
  }
}

// What a column's answer can become: a small form below it, and what came of it in its place.
function ask(column, label, given, send) {
  const place = part(column, "more");
  const input = element("input", "");
  input.value = given;
  input.maxLength = 100;
  input.setAttribute("aria-label", label);
  input.placeholder = label;
  const button = element("button", "OK", "second-button");
  button.type = "button";
  const go = async () => {
    button.disabled = true;
    try {
      place.replaceChildren(await send(input.value.trim()));
    } catch (error) {
      place.replaceChildren(element("p", error.message, "trouble"));
    }
  };
  button.addEventListener("click", go);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      go();
    }
  });
  place.replaceChildren(input, button);
  place.hidden = false;
  input.focus();
}

function keep(column) {
  ask(column, "Name of the data set", localStorage.getItem("gr-data-set") ?? "kept", async (name) => {
    const sent = new URLSearchParams({ csrf: form.elements.csrf.value, name, id: column.dataset.exchange });
    const kept = await (await post("/playground/keep", sent)).json();
    localStorage.setItem("gr-data-set", name);
    return element("p", `Kept: ${kept.name}@${kept.version} has ${kept.rows} rows.`, "fine");
  });
}

function save(column) {
  ask(column, "Name of the prompt", field(column, "prompt").value.split("@")[0], async (name) => {
    const sent = fields(column);
    sent.set("name", name);
    const saved = await (await post("/playground/save", sent)).json();
    const link = element("a", `Saved as ${saved.reference}`);
    link.href = saved.address;
    return link;
  });
}

async function takePrompt(column) {
  const reference = field(column, "prompt").value;
  const words = field(column, "system");
  words.value = "";
  words.placeholder = "As the prompt says; write here to try other words.";
  if (!reference) {
    return;
  }
  try {
    const answer = await fetch(`/playground/prompt.json?reference=${encodeURIComponent(reference)}`);
    const found = await answer.json();
    if (!answer.ok) {
      throw new Error(found.error.message);
    }
    words.value = found.system;
    const values = form.elements.values;
    const known = values.value.trim() ? JSON.parse(values.value) : {};
    values.value = JSON.stringify({ ...found.variables, ...known }, null, 2);
    trouble(column, "");
  } catch (error) {
    trouble(column, error instanceof SyntaxError ? "The values are no JSON." : error.message);
  }
}

if (form) {
  for (const one of form.querySelectorAll(".needs-script")) {
    one.classList.remove("needs-script");
  }
  const blank = form.querySelector("[data-blank]");
  for (const one of blank.content.querySelectorAll(".needs-script")) {
    one.classList.remove("needs-script");
  }
  addButton.addEventListener("click", () => {
    const fresh = blank.content.firstElementChild.cloneNode(true);
    made += 1;
    for (const one of fresh.querySelectorAll("[id], [for], [name]")) {
      for (const name of ["id", "for", "name"]) {
        if (one.hasAttribute(name)) {
          one.setAttribute(name, one.getAttribute(name).replace("blank", String(made)));
        }
      }
    }
    columns.append(fresh);
    remember();
    field(fresh, "model").focus();
  });
  columns.addEventListener("click", (event) => {
    const column = event.target.closest("[data-column]");
    if (event.target.closest("[data-remove]") && column.dataset.state !== "running") {
      column.remove();
      remember();
    } else if (event.target.closest("[data-keep]")) {
      keep(column);
    } else if (event.target.closest("[data-save]")) {
      save(column);
    }
  });
  columns.addEventListener("change", (event) => {
    const name = event.target.dataset.field;
    if (name === "prompt") {
      takePrompt(event.target.closest("[data-column]"));
    }
    if (name !== "system") {
      remember();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (atWork.length) {
      return;
    }
    runButton.disabled = true;
    stopButton.disabled = false;
    for (const column of columns.children) {
      run(column);
    }
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      form.requestSubmit();
    }
  });
  stopButton.addEventListener("click", () => {
    for (const one of atWork) {
      one.abort();
    }
  });
  for (const column of columns.children) {
    if (field(column, "prompt").value && !field(column, "system").value) {
      takePrompt(column);
    }
  }
  remember();
}
