// <gr-cmdk>: the palette. Places of the bar, links and buttons of this page marked data-command, and a search.

const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$|^[0-9a-f]{32}$/i;

class Palette extends HTMLElement {
  #dialog = null;
  #shown = [];
  #at = 0;

  connectedCallback() {
    this.querySelector("button").addEventListener("click", () => this.#open());
    document.addEventListener("keydown", this.#key);
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.#key);
  }

  #key = (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.#dialog ? this.#dialog.close() : this.#open();
    }
  };

  #commands(text) {
    const places = [...document.querySelectorAll("#places li a")].map((one) => ({
      title: one.textContent.trim(), kind: document.getElementById(one.closest("ul").getAttribute("aria-labelledby"))?.textContent ?? "", run: () => one.click(),
    }));
    const here = [...document.querySelectorAll("[data-command]")].map((one) => ({
      title: one.dataset.command || one.textContent.trim(), kind: "on this page", run: () => one.click(),
    }));
    const always = [
      { title: "Change the look", kind: "light, dark", run: () => document.querySelector("gr-theme button")?.click() },
      { title: "Sign out", kind: "", run: () => document.querySelector(".sign-out")?.requestSubmit() },
    ];
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) => words.every((word) => `${one.title} ${one.kind}`.toLowerCase().includes(word));
    const found = [...here, ...places, ...always].filter(fits);
    if (ID.test(text)) {
      found.unshift({ title: `Open request ${text}`, kind: "by its id", run: () => (location.href = `/requests/${encodeURIComponent(text)}`) });
    } else if (words.length) {
      found.push({ title: `Search requests for “${text}”`, kind: "text", run: () => (location.href = `/requests?q=${encodeURIComponent(text)}`) });
    }
    return found;
  }

  #open() {
    document.querySelector("#places:popover-open")?.hidePopover();
    const before = document.activeElement;
    const dialog = (this.#dialog = document.createElement("dialog"));
    dialog.className = "palette";
    dialog.setAttribute("aria-label", "Go to");
    const input = Object.assign(document.createElement("input"), { type: "text", placeholder: "A page, a deed, a request's id, or words to search", spellcheck: false, autocomplete: "off" });
    const list = Object.assign(document.createElement("ul"), { id: "palette-list" });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Found");
    for (const [name, value] of Object.entries({ role: "combobox", "aria-label": "Go to", "aria-controls": list.id, "aria-expanded": "true", "aria-autocomplete": "list" })) {
      input.setAttribute(name, value);
    }
    dialog.append(input, list);
    input.addEventListener("input", () => this.#show(input, list));
    dialog.addEventListener("keydown", (event) => this.#move(event, input, list));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      this.#dialog = null;
      before?.focus();
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
    this.#show(input, list);
  }

  #show(input, list) {
    this.#shown = this.#commands(input.value.trim()).slice(0, 40);
    this.#at = 0;
    list.replaceChildren(...this.#shown.map((one, index) => {
      const item = Object.assign(document.createElement("li"), { id: `palette-${index}` });
      item.setAttribute("role", "option");
      for (const text of [one.title, one.kind]) {
        item.append(Object.assign(document.createElement("span"), { textContent: text }));
      }
      item.addEventListener("click", () => this.#run(index));
      return item;
    }));
    this.#mark(input, list);
  }

  #mark(input, list) {
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === this.#at)));
    const item = list.children[this.#at];
    item?.scrollIntoView({ block: "nearest" });
    item ? input.setAttribute("aria-activedescendant", item.id) : input.removeAttribute("aria-activedescendant");
  }

  #move(event, input, list) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      this.#at = (this.#at + by + this.#shown.length) % Math.max(this.#shown.length, 1);
      this.#mark(input, list);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#run(this.#at);
    }
  }

  #run(index) {
    const chosen = this.#shown[index];
    if (chosen) {
      this.#dialog.close();
      chosen.run();
    }
  }
}

customElements.define("gr-cmdk", Palette);
