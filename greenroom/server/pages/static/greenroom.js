// Comfort only: every page works without this file.

const rows = [...document.querySelectorAll("[data-rows] [data-row]")];

function step(by) {
  const at = rows.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
  rows[next]?.focus();
  rows[next]?.closest("tr")?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select");
  if (isTyping) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      isTyping.closest("[data-ask]")?.requestSubmit();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  if (event.key === "j") {
    step(1);
  } else if (event.key === "k") {
    step(-1);
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
});

// One question at a time: a second press would ask, and pay, twice.
document.querySelector("[data-ask]")?.addEventListener("submit", (event) => {
  const button = event.target.querySelector("button");
  button.disabled = true;
  button.textContent = "Asking…";
});

// Back from the answer the page may come from memory, with its button still off.
window.addEventListener("pageshow", (event) => {
  const button = document.querySelector("[data-ask] button");
  if (event.persisted && button) {
    button.disabled = false;
    button.textContent = "Ask";
  }
});

// The server writes UTC; the reader's own time is in the tooltip.
for (const time of document.querySelectorAll("time[datetime]")) {
  const date = new Date(time.dateTime);
  if (!Number.isNaN(date.getTime())) {
    time.title = date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  }
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
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
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
