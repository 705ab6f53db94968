// Runs before the first paint, so that a chosen look never flashes: kept in this browser alone.
try {
  const chosen = localStorage.getItem("gr-theme");
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.theme = chosen;
  }
} catch {
  // Storage may be off; the system's choice holds.
}
