// Sorts the table of runs by a column when its head is clicked. It does nothing else; without it the table reads as it is.
for (const table of document.querySelectorAll("#all-runs table")) {
  const body = table.tBodies[0];
  const value = (row, column) => row.cells[column].textContent.split("±")[0].trim();
  const number = (text) => Number(text.replace(/[\s,\u2009\u202f]/g, "").replace("\u2212", "-") || undefined);
  const sort = (head) => {
    const down = head.ariaSort === "ascending";
    for (const other of head.parentNode.cells) other.ariaSort = "none";
    head.ariaSort = down ? "descending" : "ascending";
    const order = (a, b) => {
      const [x, y] = [value(a, head.cellIndex), value(b, head.cellIndex)];
      const [p, q] = [number(x), number(y)];
      if (isFinite(p) && isFinite(q)) return p - q;
      return isFinite(p) ? -1 : isFinite(q) ? 1 : x.localeCompare(y);
    };
    const rows = [...body.rows].sort(order);
    body.append(...(down ? rows.reverse() : rows));
  };
  for (const head of table.tHead.rows[0].cells) {
    head.tabIndex = 0;
    head.ariaSort = "none";
    head.style.cursor = "pointer";
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter") sort(head);
    });
  }
}
