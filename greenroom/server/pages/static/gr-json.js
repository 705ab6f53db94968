// <gr-json src>: a large text in a <details>, fetched when it is opened. Without scripts its link leads to the same.

class Json extends HTMLElement {
  #isFetched = false;

  connectedCallback() {
    this.closest("details")?.addEventListener("toggle", this.#look);
    this.#look();
  }

  disconnectedCallback() {
    this.closest("details")?.removeEventListener("toggle", this.#look);
  }

  #look = async () => {
    const details = this.closest("details");
    if (this.#isFetched || (details && !details.open)) {
      return;
    }
    this.#isFetched = true;
    const shown = Object.assign(document.createElement("pre"), { className: "payload", tabIndex: 0, textContent: "Fetching…" });
    this.replaceChildren(shown);
    try {
      const answer = await fetch(this.getAttribute("src"), { headers: { accept: "application/json, text/plain" } });
      const text = await answer.text();
      if (!answer.ok) {
        throw new Error(`The server answered ${answer.status}.`);
      }
      shown.textContent = tidy(text);
    } catch (error) {
      shown.textContent = `This could not be fetched: ${error.message} Close and open it to try again.`;
      this.#isFetched = false;
    }
  };
}

function tidy(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "string" ? value : JSON.stringify(value, null, 2);
  } catch {
    return text;
  }
}

customElements.define("gr-json", Json);
