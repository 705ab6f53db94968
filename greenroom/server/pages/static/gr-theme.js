// <gr-theme>: a button that goes through the system's look, light and dark; kept in this browser alone.

const LOOKS = ["system", "light", "dark"];

class Theme extends HTMLElement {
  connectedCallback() {
    const button = Object.assign(document.createElement("button"), { className: "plain", type: "button" });
    button.addEventListener("click", () => this.#choose(LOOKS[(LOOKS.indexOf(this.#chosen) + 1) % LOOKS.length]));
    this.replaceChildren(button);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#tell());
    this.#say();
  }

  get #chosen() {
    return document.documentElement.dataset.theme ?? "system";
  }

  #choose(look) {
    if (look === "system") {
      delete document.documentElement.dataset.theme;
    } else {
      document.documentElement.dataset.theme = look;
    }
    try {
      look === "system" ? localStorage.removeItem("gr-theme") : localStorage.setItem("gr-theme", look);
    } catch {
      // Then it holds for this page.
    }
    this.#say();
    this.#tell();
  }

  #say() {
    const look = document.createElement("span");
    look.textContent = this.#chosen;
    this.firstElementChild.replaceChildren("Look", look);
  }

  #tell() {
    document.dispatchEvent(new CustomEvent("gr-theme"));
  }
}

customElements.define("gr-theme", Theme);
