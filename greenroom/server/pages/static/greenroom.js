// Comfort only: every page works without this file.

// One question at a time: a second press would ask, and pay, twice.
document.querySelector("[data-ask]")?.addEventListener("submit", (event) => {
  const button = event.target.querySelector("button");
  button.textContent = "Asking…";
  // After the form is put together: a button that is off sends nothing.
  setTimeout(() => event.target.querySelectorAll("button").forEach((one) => (one.disabled = true)));
});

// Back from the answer the page may come from memory, with its button still off.
window.addEventListener("pageshow", (event) => {
  const button = document.querySelector("[data-ask] button");
  if (event.persisted && button) {
    button.form.querySelectorAll("button").forEach((one) => (one.disabled = false));
    button.textContent = "Ask";
  }
});

// The server writes UTC; the reader's own time is in the tooltip.
function times() {
  for (const time of document.querySelectorAll("time[datetime]:not([title])")) {
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.getTime())) {
      time.title = date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    }
  }
}

times();
document.addEventListener("gr-rows", times);
document.addEventListener("htmx:after:swap", times);

// A word at the corner: document.dispatchEvent(new CustomEvent("gr-say", { detail: { text, bad } })).
document.addEventListener("gr-say", ({ detail }) => {
  let corner = document.querySelector(".toasts");
  if (!corner) {
    corner = Object.assign(document.createElement("div"), { className: "toasts" });
    corner.setAttribute("role", "status");
    document.body.append(corner);
  }
  const toast = Object.assign(document.createElement("p"), { className: detail.bad ? "toast bad" : "toast", textContent: detail.text });
  corner.append(toast);
  setTimeout(() => toast.remove(), 6000);
});

// <button data-copy="#id"> copies the text of that element; <button data-copy-text="…"> copies its own.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy], [data-copy-text]");
  if (!button) {
    return;
  }
  const text = button.dataset.copyText ?? document.querySelector(button.dataset.copy)?.textContent ?? "";
  let said = { text: "Copied." };
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    said = { text: "The browser did not let this page copy. Select the text and copy it by hand.", bad: true };
  }
  document.dispatchEvent(new CustomEvent("gr-say", { detail: said }));
});

// What answers in place may fail in place.
document.addEventListener("htmx:before:swap", (event) => {
  if (event.detail.ctx?.response?.raw?.redirected) {
    event.preventDefault(); // to the way in: the session is over
    location.reload();
  }
});
for (const [event, text] of [
  ["htmx:error", "The server did not answer. Try again."],
  ["htmx:response:error", "The server refused this. Open the page again and retry."],
]) {
  document.addEventListener(event, () => document.dispatchEvent(new CustomEvent("gr-say", { detail: { text, bad: true } })));
}

// What is at work brings itself up to date, unless somebody is about to press something in it.
function follow(part) {
  const again = () => setTimeout(bring, 2000);
  const bring = async () => {
    if (document.hidden || part.contains(document.activeElement) || part.querySelector("input:checked")) {
      again();
      return;
    }
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html", "x-greenroom-unattended": "1" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
      if (!answer.ok || answer.redirected || !fresh) {
        return;
      }
      part.replaceChildren(...fresh.childNodes);
      part.dataset.live = fresh.dataset.live;
    } catch {
      // The server may be starting again.
    }
    if (part.dataset.live) {
      again();
    }
  };
  again();
}

for (const part of document.querySelectorAll("[data-live]:not([data-live=''])")) {
  follow(part);
}

// What is wider than its place is reached by keys too.
function reach() {
  for (const wide of document.querySelectorAll(".scroll, .payload, .tabs")) {
    if (wide.scrollWidth > wide.clientWidth || wide.scrollHeight > wide.clientHeight) {
      wide.tabIndex = 0;
    }
  }
}

reach();
addEventListener("resize", reach);
document.addEventListener("gr-rows", reach);
document.addEventListener("htmx:after:swap", reach);
