"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("on");

  /* Theme: the system's wish until someone presses the button. */
  const theme = document.getElementById("theme");
  const wish = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (wish.matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
  try { root.dataset.theme = localStorage.getItem("fusemark-theme") || ""; } catch { /* storage is off */ }
  if (!root.dataset.theme) delete root.dataset.theme;
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("fusemark-theme", root.dataset.theme); } catch { /* storage is off */ }
    nameTheme();
  });
  wish.addEventListener("change", nameTheme);
  nameTheme();

  /* Sorting: controls stay below their model, ceilings at the end, what has no number after what has one. */
  const number = (cell) => (cell.dataset.v === undefined ? null : Number(cell.dataset.v));
  const text = (cell) => (cell.querySelector(".n") || cell).textContent.trim();
  const compare = (a, b, sign) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return sign * (x - y);
    if ((x === null) !== (y === null)) return x === null ? 1 : -1;
    return sign * text(a).localeCompare(text(b), "en", { numeric: true });
  };
  const sortTable = (table, place, direction) => {
    const body = table.tBodies[0];
    const groups = new Map();
    for (const row of all("tr:not(.ceiling)", body)) {
      const name = table.classList.contains("board") ? row.dataset.group : row.dataset.key;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(row);
    }
    const ceilings = all("tr.ceiling", body);
    const sign = direction === "ascending" ? 1 : -1;
    const ordered = [...groups.values()].sort((a, b) => compare(a[0].cells[place], b[0].cells[place], sign));
    body.append(...ordered.flat(), ...ceilings);
    roving(table);
  };
  for (const button of all(".sort")) {
    button.addEventListener("click", () => {
      const heading = button.closest("th");
      const table = heading.closest("table");
      const high = heading.classList.contains("score") && !heading.classList.contains("low");
      const first = high ? "descending" : "ascending";
      const now = heading.ariaSort || heading.getAttribute("aria-sort");
      const next = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
      for (const other of all("th[aria-sort]", table)) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", next);
      sortTable(table, heading.cellIndex, next);
    });
  }

  /* Filter: every word must stand in the name of the model or control. */
  for (const tools of all(".tools")) {
    const table = document.getElementById(tools.dataset.for);
    const search = tools.querySelector("input[type=search]");
    const controls = tools.querySelector(".controls");
    const shown = tools.querySelector(".shown");
    const rows = all("tbody tr:not(.ceiling)", table);
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const fits = words.every((word) => row.dataset.key.toLowerCase().includes(word));
        row.hidden = !fits || (controls && !controls.checked && row.classList.contains("control"));
        count += row.hidden ? 0 : 1;
      }
      shown.textContent = count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
      roving(table);
    };
    search.addEventListener("input", apply);
    if (controls) controls.addEventListener("change", apply);
    tools.querySelector(".columns").addEventListener("change", (event) => {
      table.classList.toggle("all-columns", event.target.checked);
      roving(table);
    });
    tools.querySelector(".intervals").addEventListener("change", (event) => {
      table.classList.toggle("all-intervals", event.target.checked);
    });
    queueMicrotask(apply);
  }

  /* One stop of the Tab key for the numbers of a table; arrow keys go from number to number. */
  const isShown = (button) => button.offsetParent !== null;
  function roving(table) {
    const buttons = all("tbody .n", table);
    for (const button of buttons) button.tabIndex = -1;
    const first = buttons.find(isShown) || buttons[0];
    if (first) first.tabIndex = 0;
  }
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const neighbour = (button, [down, right]) => {
    const cell = button.closest("td,th");
    let row = cell.parentElement;
    let place = cell.cellIndex;
    for (;;) {
      if (down) row = down > 0 ? row.nextElementSibling : row.previousElementSibling;
      else place += right;
      if (!row || !row.cells[place]) return null;
      const found = row.cells[place].querySelector(".n");
      if (found && isShown(found)) return found;
    }
  };
  for (const table of all("table")) {
    roving(table);
    table.addEventListener("keydown", (event) => {
      const button = event.target.closest(".n");
      if (!button || event.ctrlKey || event.altKey || event.metaKey) return;
      const within = all(".n", button.closest("tr")).filter(isShown);
      const found = event.key === "Home" ? within[0] : event.key === "End" ? within.at(-1)
        : STEPS[event.key] ? neighbour(button, STEPS[event.key]) : null;
      if (!found && !STEPS[event.key]) return;
      event.preventDefault();
      if (found) {
        button.tabIndex = -1;
        found.tabIndex = 0;
        found.focus();
      }
    });
  }
  for (const details of all("details")) {
    details.addEventListener("toggle", () => all("table", details).forEach(roving));
  }

  /* Heat maps: which of the three numbers they show. */
  for (const modes of all(".modes")) {
    modes.addEventListener("change", (event) => { modes.closest(".heats").dataset.mode = event.target.value; });
  }

  /* Curves: up to six models are drawn strong; a seventh takes the place of the one that was chosen first. */
  const PLACES = 6;
  for (const curves of all(".curves")) {
    const chosen = new Map();
    const draw = (series, place) => {
      for (const element of all(`[data-s="${CSS.escape(series)}"]`, curves)) {
        for (let k = 1; k <= PLACES; k += 1) element.classList.toggle(`k${k}`, k === place);
        if (element.matches(".chip")) element.setAttribute("aria-pressed", String(place !== null));
        else if (place !== null) element.parentElement.append(element);
      }
    };
    for (const chip of all(".chip", curves)) {
      const series = chip.dataset.s;
      if (chip.getAttribute("aria-pressed") === "true") {
        chosen.set(series, chosen.size + 1);
        draw(series, chosen.size);
      }
      chip.addEventListener("click", () => {
        if (chosen.delete(series)) { draw(series, null); return; }
        if (chosen.size === PLACES) {
          const oldest = chosen.keys().next().value;
          chosen.delete(oldest);
          draw(oldest, null);
        }
        const used = new Set(chosen.values());
        const place = [1, 2, 3, 4, 5, 6].find((k) => !used.has(k));
        chosen.set(series, place);
        draw(series, place);
      });
    }
    curves.addEventListener("pointerover", (event) => {
      const point = event.target.closest(".pt");
      if (!point || point.firstChild) return;
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = pointTitle(point);
      point.append(title);
    });
  }

  /* Where a number comes from. */
  const known = JSON.parse(document.getElementById("provenance").textContent);
  const places = new Map(known.conditions.map((label, place) => [label, place]));
  const rowOf = (source) => source.dataset.r || source.closest(".series").dataset.s;
  const labelsOf = (c) => (!c ? [] : c.startsWith("@") ? known.sets[c.slice(1)] : [c]);
  const pointTitle = (point) => {
    const row = known.rows[rowOf(point)];
    const [value, low, high] = row.cells[places.get(point.dataset.c)];
    const interval = low === null ? "(no interval)" : `[${score(low)}, ${score(high)}]`;
    return `${row.name}, ${point.dataset.c}: ${score(value)} ${interval}`;
  };
  const dialog = document.getElementById("origin");
  const make = (tag, content, css) => {
    const element = document.createElement(tag);
    if (css) element.className = css;
    if (content !== undefined) element.append(...[content].flat());
    return element;
  };
  const facts = (content) => {
    const list = make("dl", [], "facts");
    for (const [name, value] of Object.entries(content)) {
      const shown = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
      list.append(make("dt", name.replaceAll("_", " ")), make("dd", shown));
    }
    return list;
  };
  const folded = (title, content) => make("details", [make("summary", title), content]);
  const score = (value) => value.toFixed(3).replace("-", "\u2212");
  const big = (packed) => {
    const [value, low, high, count] = packed.split("|");
    const interval = low ? `[${low}, ${high}]` : `(${high})`;
    const more = low === undefined ? "" : ` ${interval}, ${count} samples`;
    return make("p", [value, make("small", more)], "big");
  };
  const conditionTable = (row, labels) => {
    const table = make("table", make("tr", ["condition", row.metric, "95 % interval", "samples"].map((t) => make("th", t))));
    const notes = new Map();
    for (const label of labels) {
      const cell = row.cells[places.get(label)];
      const line = make("tr", make("td", label));
      if (!cell) line.append(make("td", "not run"), make("td", ""), make("td", ""));
      else if (typeof cell[0] === "string") {
        const why = make("td", cell[1], "why");
        why.colSpan = 2;
        line.append(make("td", cell[0]), why);
      } else {
        line.append(make("td", score(cell[0])), make("td", cell[1] === null ? "too few" : `[${score(cell[1])}, ${score(cell[2])}]`), make("td", String(cell[3])));
      }
      const note = cell ? cell.at(-1) : -1;
      if (note >= 0) notes.set(label, known.notes[note]);
      table.append(line);
    }
    if (!notes.size) return [table];
    const each = [...notes].map(([label, note]) => make("div", [make("strong", label), facts(note)]));
    return [table, folded("What was done", make("div", each))];
  };
  const runParts = (fingerprint) => {
    const run = known.runs[fingerprint];
    return [
      facts({ fingerprint, ...run.facts }),
      folded("Package versions", facts(known.versions[run.versions])),
      folded("Settings", make("div", Object.entries(known.settings[run.settings]).map(([name, values]) =>
        make("div", [make("strong", name), facts(values)])))),
    ];
  };
  const open = (source) => {
    const { q, c, e, n } = source.dataset;
    const rows = rowOf(source).split(" ").map((key) => known.rows[key]);
    const labels = labelsOf(c);
    const title = q || `${rows[0].metric} under ${c}`;
    document.getElementById("origin-t").textContent = `${title} — ${rows.map((row) => row.name).join(", ")}`;
    const body = dialog.querySelector(".body");
    body.replaceChildren();
    if (e && e !== q && e !== rows[0].name) body.append(big(e));
    if (n) body.append(make("p", n, "note"));
    for (const row of rows) {
      if (labels.length && row.cells) {
        const held = row.limit === null ? "all samples" : `at most ${row.limit} samples`;
        body.append(make("h3", `${row.name}: by condition`), ...conditionTable(row, labels));
        body.append(make("p", `${held}; canvas ${row.shortest_px || "as on disk"}${row.shortest_px ? " px" : ""}; chance ${score(row.chance)}`, "note"));
      }
      for (const fingerprint of row.runs) {
        body.append(make("h3", `${row.name}, seed ${known.runs[fingerprint].facts.seed}`), ...runParts(fingerprint));
      }
    }
    dialog.showModal();
    dialog.scrollTop = 0;
  };
  document.addEventListener("click", (event) => {
    const source = event.target.closest(".n, .chart a, .pt");
    if (source) {
      event.preventDefault();
      open(source);
    }
  });
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  window.addEventListener("beforeprint", () => { for (const d of all("main details")) d.open = true; });
})();
