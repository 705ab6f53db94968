// Comfort of the pages of requests: an address copied, a part opened by its link, menus that close.

document.addEventListener("click", async (event) => {
  const share = event.target.closest("[data-share]");
  if (share && !event.ctrlKey && !event.metaKey && !event.shiftKey && navigator.clipboard) {
    event.preventDefault();
    await navigator.clipboard.writeText(share.href);
    const told = share.textContent;
    share.textContent = "Copied";
    setTimeout(() => (share.textContent = told), 1500);
    return;
  }
  for (const menu of document.querySelectorAll(".deed-menu[open]")) {
    if (!menu.contains(event.target)) {
      menu.open = false;
    }
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll(".deed-menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
});

// A link to a part that is folded opens it.
function unfold() {
  const part = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  part?.closest("details")?.setAttribute("open", "");
}
window.addEventListener("hashchange", unfold);
unfold();
