// <gr-live src target swap most>: rows rendered by the server, as they come; pauses while nobody looks, polls where streams fail.

const POLL_MS = 3000;

class Live extends HTMLElement {
  #stream = null;
  #timer = 0;
  #after = "";
  #failures = 0;
  #isOver = false;

  connectedCallback() {
    this.#after = this.dataset.after ?? "";
    document.addEventListener("visibilitychange", this.#look);
    this.#look();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#look);
    this.#stop();
  }

  get paused() {
    return this.hasAttribute("paused");
  }

  set paused(isPaused) {
    this.toggleAttribute("paused", isPaused);
    this.#look();
  }

  #look = () => {
    this.#stop();
    if (!document.hidden && !this.paused && !this.#isOver) {
      this.#failures < 3 ? this.#listen() : this.#poll();
    }
    this.#say();
  };

  #stop() {
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#timer);
  }

  get #address() {
    const address = new URL(this.getAttribute("src"), location.href);
    address.searchParams.set("after", this.#after);
    return address;
  }

  #listen() {
    const stream = (this.#stream = new EventSource(this.#address));
    stream.addEventListener("open", () => {
      this.#failures = 0;
      this.#say();
    });
    stream.addEventListener("rows", (event) => this.#take(event.lastEventId, JSON.parse(event.data)));
    stream.addEventListener("end", () => {
      this.#isOver = true;
      this.#stop();
      this.#say();
    });
    stream.addEventListener("error", () => {
      this.#stop();
      this.#failures += 1;
      this.#timer = setTimeout(this.#look, Math.min(500 * 2 ** this.#failures, 15000));
    });
  }

  async #poll() {
    try {
      const answer = await fetch(this.#address, { headers: { accept: "application/json" } });
      if (answer.status === 401) {
        this.#isOver = true;
        this.#say();
        return;
      }
      if (answer.ok) {
        const { id, rows } = await answer.json();
        this.#take(id, rows);
      }
    } catch {
      // The server may be starting again.
    }
    this.#timer = setTimeout(() => this.#poll(), POLL_MS);
  }

  #take(id, rows) {
    this.#after = id;
    const target = document.querySelector(this.getAttribute("target"));
    if (!target || !rows.length) {
      return;
    }
    const template = document.createElement("template");
    template.innerHTML = rows.join("");
    const swap = this.getAttribute("swap") ?? "prepend";
    if (swap === "replace") {
      target.replaceChildren(template.content);
    } else {
      for (const fresh of template.content.children) {
        fresh.classList.add("fresh");
      }
      target[swap](template.content);
      const most = Number(this.getAttribute("most")) || 200;
      while (target.children.length > most) {
        (swap === "prepend" ? target.lastElementChild : target.firstElementChild).remove();
      }
    }
    this.dispatchEvent(new CustomEvent("gr-rows", { bubbles: true, detail: { count: rows.length } }));
  }

  #say() {
    const state = this.#isOver ? "ended" : this.paused || document.hidden ? "paused" : "on";
    this.dataset.state = state;
    const button = this.querySelector("button");
    if (button) {
      button.setAttribute("aria-pressed", String(state === "on"));
      button.onclick ??= () => (this.paused = !this.paused);
    }
  }
}

customElements.define("gr-live", Live);
