// Keys that work on every page; "?" lists them.

const KEYS = [
  ["j  k", "next and previous row"],
  ["Enter", "open the row"],
  ["[  ]", "newer and older page, or the request before and after"],
  ["/", "search on this page"],
  ["Ctrl K", "go anywhere, do anything"],
  ["Ctrl Enter", "send the form one is writing in"],
  ["g h", "ask"],
  ["g r", "requests"],
  ["g o", "overview"],
  ["?", "this list"],
];
const GOES = { h: "/", r: "/requests", o: "/overview", a: "/alerts", s: "/settings", p: "/playground" };

let hasG = false;

document.querySelector("#places [aria-current]")?.scrollIntoView({ block: "nearest" });

const rows = () => [...document.querySelectorAll("[data-rows] [data-row]")].filter((row) => row.getClientRects().length);

function step(by) {
  const all = rows();
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
  all[next]?.focus();
  all[next]?.closest("tr, li, article")?.scrollIntoView({ block: "nearest" });
}

function list() {
  const dialog = document.createElement("dialog");
  dialog.className = "key-list";
  dialog.setAttribute("aria-label", "Keys");
  const title = Object.assign(document.createElement("h2"), { textContent: "Keys" });
  const told = document.createElement("dl");
  for (const [keys, what] of KEYS) {
    const term = document.createElement("dt");
    for (const key of keys.split("  ")) {
      term.append(Object.assign(document.createElement("kbd"), { textContent: key }), " ");
    }
    told.append(term, Object.assign(document.createElement("dd"), { textContent: what }));
  }
  const form = Object.assign(document.createElement("form"), { method: "dialog" });
  form.append(Object.assign(document.createElement("button"), { className: "second-button", textContent: "Close" }));
  dialog.append(title, told, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function follow(selector) {
  document.querySelector(selector)?.click();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  if (isTyping) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      isTyping.closest("form")?.requestSubmit();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
    return;
  }
  const wasG = hasG;
  hasG = event.key === "g";
  if (wasG && GOES[event.key]) {
    const place = [...document.querySelectorAll("#places a")].find((one) => one.getAttribute("href") === GOES[event.key]);
    place?.click();
    return;
  }
  switch (event.key) {
    case "j":
      return step(1);
    case "k":
      return step(-1);
    case "[":
      return follow("[data-newer], [data-newest]");
    case "]":
      return follow("[data-older]");
    case "?":
      return list();
    case "/": {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
  }
});
