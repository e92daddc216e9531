"use strict";
// Everything from data is set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("cells").textContent);
  const byId = new Map(data.cells.map((cell) => [cell.id, cell]));
  const panel = document.getElementById("panel");

  function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }

  // Sorting: numbers before texts, what is missing last whichever way.
  function keyOf(row, column) {
    const cell = row.cells[column];
    const value = cell.dataset.v ?? cell.textContent.trim();
    return value === "" ? null : Number.isNaN(Number(value)) ? value : Number(value);
  }

  function compare(a, b) {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b);
  }

  function sortBy(head, column) {
    const descending = head.getAttribute("aria-sort") === "ascending";
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0];
    const keyed = [...body.rows].map((row) => [keyOf(row, column), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return descending ? compare(b, a) : compare(a, b);
    });
    body.append(...keyed.map(([, row]) => row));
  }

  function addSorting(table) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = make("button", { type: "button", textContent: head.textContent });
      button.addEventListener("click", () => sortBy(head, column));
      head.replaceChildren(button);
    }
  }

  // Filtering.
  const filter = document.getElementById("filter");

  function applyFilter() {
    const wanted = filter.elements.model.value.trim().toLowerCase();
    const boards = [...document.querySelectorAll("details.board")];
    for (const board of boards) {
      board.hidden = ["dataset", "protocol"].some((name) => {
        const value = filter.elements[name].value;
        return value !== "" && board.dataset[name] !== value;
      });
    }
    for (const row of document.querySelectorAll("tr[data-model]")) {
      row.hidden = !row.dataset.model.toLowerCase().includes(wanted);
    }
    const left = boards.filter((board) => !board.hidden).length;
    filter.querySelector("output").textContent = boards.length ? `${left} of ${boards.length} boards` : "";
  }

  // Cells.
  function place(cell) {
    const [board, model, split, seed] = cell.at;
    return [...data.boards[board], data.models[model], data.splits[split], seed];
  }

  function list(pairs) {
    const found = make("dl");
    for (const [term, value] of pairs) {
      if (value !== undefined && value !== "") found.append(make("dt", { textContent: term }), make("dd", {}, value));
    }
    return found;
  }

  function flat(object, prefix = "") {
    return Object.entries(object).flatMap(([key, value]) =>
      value !== null && typeof value === "object" ? flat(value, `${prefix}${key} `) : [[prefix + key, String(value)]]);
  }

  function curve(losses, best) {
    const [width, height, left, base] = [420, 150, 56, 124];
    const steps = losses.map(([step]) => step), values = losses.map(([, loss]) => loss);
    const [first, last] = [Math.min(...steps), Math.max(...steps)];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = (step) => left + ((step - first) / (last - first || 1)) * (width - left - 12);
    const y = (loss) => base - ((loss - low) / (high - low || 1)) * (base - 12);
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("class", "chart");
    const draw = (name, attributes, content = "") => {
      const element = document.createElementNS(space, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.textContent = content;
      svg.append(element);
    };
    draw("path", { class: "grid", d: `M${left} ${base}H${width - 12}` });
    draw("path", { class: "line", stroke: "#0072B2", d: "M" + losses.map(([s, v]) => `${x(s)} ${y(v)}`).join("L") });
    for (const [step, loss] of losses) {
      const chosen = step === best;
      draw("circle", { cx: x(step), cy: y(loss), r: chosen ? 5 : 3, fill: chosen ? "#D55E00" : "#0072B2" });
    }
    draw("text", { x: left - 6, y: y(high) + 4, "text-anchor": "end" }, high.toPrecision(3));
    if (high > low) draw("text", { x: left - 6, y: y(low) + 4, "text-anchor": "end" }, low.toPrecision(3));
    draw("text", { x: left, y: height - 8 }, `step ${first}`);
    draw("text", { x: width - 12, y: height - 8, "text-anchor": "end" }, String(last));
    return svg;
  }

  function showCell(cell) {
    const [dataset, protocol, model, split, seed] = place(cell);
    const run = cell.run === undefined ? {} : data.runs[cell.run];
    const folder = `cells/${cell.id}/`;
    const files = (cell.files ?? []).map((name) => make("div", { textContent: folder + name }));
    const parts = [list([
      ["cell", cell.id], ["data", dataset], ["protocol", protocol], ["split", split], ["seed", String(seed)],
      ["status", cell.status], ["error", cell.failure],
      ["AUROC", cell.auroc === undefined ? "" : cell.auroc.toFixed(3)],
      ["started", cell.started],
      ...["seconds", "training_seconds", "images_per_second_1", "images_per_second_32", "peak_bytes"].map((name) =>
        [name.replaceAll("_", " "), cell[name] && String(Number(cell[name].toPrecision(3)))]),
      ...flat(run),
      ...(cell.counts === undefined ? [] : flat(data.counts[cell.counts])),
      ["in the run folder", files.length ? make("div", {}, make("div", { textContent: folder + "record.json" }), ...files) : ""],
    ])];
    if (cell.losses) {
      const chosen = cell.best === undefined ? "" : `, step ${cell.best} chosen`;
      parts.push(make("h3", { textContent: "Validation loss" + chosen }), curve(cell.losses, cell.best));
    }
    if (cell.log !== undefined) {
      parts.push(make("h3", { textContent: `Log: ${folder}log.txt` }));
      if (cell.log) parts.push(make("pre", { className: "log", textContent: cell.log }));
    }
    const configuration = Object.fromEntries(cell.configuration.map((number) => data.configurations[number]));
    parts.push(make("h3", { textContent: "Configuration" }));
    parts.push(make("pre", { textContent: JSON.stringify(configuration, null, 1) }));
    open(model, parts);
  }

  function showCells(board, model, split) {
    const cells = data.cells.filter(({ at }) => at[0] === board && at[1] === model && (split === null || at[2] === split));
    const rows = cells.map((cell) => {
      const [, , , name, seed] = place(cell);
      const leads = make("a", { href: `#c/${cell.id}`, textContent: cell.id });
      const auroc = cell.auroc === undefined ? "" : cell.auroc.toFixed(3);
      return make("tr", {}, ...[name, String(seed), auroc, cell.status, leads].map((value) => make("td", {}, value)));
    });
    const heads = ["split", "seed", "AUROC", "status", "cell"].map((textContent) => make("th", { textContent, scope: "col" }));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
    addSorting(table);
    const where = make("p", { textContent: data.boards[board].join(": ") });
    open(data.models[model], [where, make("div", { className: "scroll" }, table)]);
  }

  function open(title, content) {
    const close = make("button", { type: "button", className: "close", textContent: "Close" });
    close.addEventListener("click", () => panel.close());
    panel.replaceChildren(close, make("h2", { id: "panel-title", textContent: title }), ...content);
    if (!panel.open) panel.showModal();
    panel.scrollTop = 0;
  }

  function follow() {
    const hash = location.hash.slice(1);
    const cells = /^b(\d+)\/m(\d+)(?:\/s(\d+))?$/.exec(hash);
    if (cells) showCells(Number(cells[1]), Number(cells[2]), cells[3] === undefined ? null : Number(cells[3]));
    else if (hash.startsWith("c/") && byId.has(hash.slice(2))) showCell(byId.get(hash.slice(2)));
    else if (panel.open) panel.close();
  }

  panel.addEventListener("close", () => {
    // A closed panel leaves no address behind, so that the same number opens it again; nothing moves on the page.
    if (/^#(b\d|c\/)/.test(location.hash)) history.pushState(null, "", location.pathname + location.search);
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);

  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
  });
  window.addEventListener("afterprint", () => { for (const details of folded) details.open = false; });

  document.querySelectorAll("table.sortable").forEach(addSorting);
  filter.addEventListener("input", applyFilter);
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.hidden = false;
  applyFilter();
  follow();
})();
