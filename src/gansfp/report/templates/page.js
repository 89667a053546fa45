"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Sorting: rows stay in their groups; a cell sorts by data-sort, else by its text; empty ones last.
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    const text = cell.textContent.trim();
    return text === "" ? null : text.toLowerCase();
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };
  const sort = (head) => {
    const table = head.closest("table"), body = table.tBodies[0];
    const first = head.classList.contains("num") ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    all("th[aria-sort]", table).forEach((th) => th.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", order);
    const groups = [[null, []]];
    for (const row of [...body.rows]) {
      if (row.classList.contains("group")) groups.push([row, []]);
      else groups.at(-1)[1].push([key(row, head.cellIndex), row]);
    }
    const limit = Number(table.dataset.limit);
    let place = 0;
    for (const [title, rows] of groups) {
      if (title) body.append(title);
      rows.sort((a, b) => compare(a[0], b[0], order === "ascending" ? 1 : -1));
      for (const [, row] of rows) {
        if (limit) row.classList.toggle("beyond", ++place > limit);
        body.append(row);
      }
    }
  };

  // A group whose rows are all out of sight has no heading.
  const tidy = (table) => {
    let title = null, seen = 0;
    const close = () => title && title.classList.toggle("filtered", seen === 0);
    for (const row of table.tBodies[0].rows) {
      if (row.classList.contains("group")) { close(); title = row; seen = 0; }
      else seen += !row.classList.contains("filtered") && !row.classList.contains("gone");
    }
    close();
  };
  const filter = (input) => {
    const part = input.closest(".table"), words = input.value.toLowerCase().split(/\s+/);
    let shown = 0, total = 0, group = "";
    for (const row of all("tbody tr", part)) {
      if (row.classList.contains("group")) { group = row.textContent; continue; }
      const text = `${group} ${row.textContent}`.toLowerCase();
      const match = words.every((word) => text.includes(word));
      row.classList.toggle("filtered", !match);
      total += 1;
      shown += match;
    }
    part.classList.toggle("limited", input.value === "" && part.querySelector(".beyond") !== null && !part.dataset.all);
    part.querySelector(".count").textContent = input.value ? `${shown} of ${total}` : "";
    tidy(part.querySelector("table"));
  };

  // Hiding a run hides its rows and its details everywhere.
  const hidden = new Set();
  const bar = document.getElementById("hidden-bar");
  const showHidden = () => {
    all("[data-run]").forEach((one) => one.classList.toggle("gone", hidden.has(one.dataset.run)));
    all(".table table[data-limit]").forEach(tidy);
    bar.hidden = hidden.size === 0;
    bar.querySelector("span").textContent = hidden.size === 1 ? "1 run is hidden." : `${hidden.size} runs are hidden.`;
  };
  const copy = async (button) => {
    const text = button.parentElement.querySelector("pre").textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(button.parentElement.querySelector("pre")); button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  const theme = document.getElementById("theme"), wish = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (wish.matches ? "dark" : "light")) === "dark";
  const named = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(isDark()));
  };
  named();
  wish.addEventListener("change", named);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const head = button.closest("th[aria-sort]");
    if (head) sort(head);
    else if (button.classList.contains("hider")) { hidden.add(button.closest("tr").dataset.run); showHidden(); }
    else if (button.id === "unhide") { hidden.clear(); showHidden(); }
    else if (button.classList.contains("all")) {
      const part = button.closest(".table");
      part.classList.remove("limited"); part.dataset.all = "yes"; button.parentElement.hidden = true;
    }
    else if (button.classList.contains("copy")) copy(button);
    else if (button === theme) { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; named(); }
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("input.filter")) filter(event.target);
  });
  // A link into a fold opens it.
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (fold) { fold.open = true; fold.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
})();
