// Sorting of tables, and one drawing per <figure data-chart>. The table works before any figure is drawn.
"use strict";
(() => {
  for (const button of document.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
      const column = [...head.parentNode.children].indexOf(head);
      const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : head.dataset.first !== "ascending";
      for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.children[column];
        return "value" in cell.dataset ? (cell.dataset.value === "" ? null : Number(cell.dataset.value)) : cell.textContent;
      };
      const order = (a, b) => {
        if (a === null || b === null) return (a === null) - (b === null); // unknown numbers stay at the end
        const less = typeof a === "number" ? a - b : a.localeCompare(b);
        return down ? -less : less;
      };
      body.append(...[...body.rows].sort((a, b) => order(key(a), key(b))));
    });
  }
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const figures = [...document.querySelectorAll("figure[data-chart]")];
  let left = figures.length;
  const start = (figure) => {
    if (figure.drawn) return;
    figure.drawn = true;
    window.drawChart(figure, charts[figure.dataset.chart]);
    if (!--left) performance.mark("drawn"); // how long the page took, for those who measure it
  };
  figures.forEach((figure) => setTimeout(start, 0, figure)); // one at a time: the table can be used meanwhile
  window.addEventListener("beforeprint", () => figures.forEach(start));
})();
