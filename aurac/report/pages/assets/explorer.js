// Draws the curves of one suite into every figure of class explorer, from the JSON inside it; no library, no network.
// The data are written by aurac.report.pages.explorer: {axes, tasks, curves}, numbers in the unit that is shown.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 340;
  const PAPER = { width: 350, height: 250 };  // half a sheet's line
  const WHOLE = { width: 700, height: 300 };
  const FILTER_FROM = 4;  // rows
  const AT_FIRST = 12;  // curves: more are a tangle until one chooses
  const APART = 3, TOGETHER = 24;  // pixels from one curve's dots to the next, and from the first to the last at most
  const SHAPES = {  // matplotlib's marker -> path around its middle
    o: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", s: "M-3.7,-3.7h7.4v7.4h-7.4z", D: "M0,-5L5,0L0,5L-5,0z",
    "^": "M0,-5L4.8,3.8H-4.8z", v: "M0,5L4.8,-3.8H-4.8z",
    P: "M-1.7,-5h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    X: "M0,-2.3L2.6,-4.9L4.9,-2.6L2.3,0L4.9,2.6L2.6,4.9L0,2.3L-2.6,4.9L-4.9,2.6L-2.3,0L-4.9,-2.6L-2.6,-4.9z",
    "*": "M0,-5.8L1.4,-1.9L5.5,-1.8L2.3,.7L3.4,4.7L0,2.4L-3.4,4.7L-2.3,.7L-5.5,-1.8L-1.4,-1.9z",
  };
  const MARGIN = { top: 12, right: 16, bottom: 44, left: 52 };

  function element(name, attributes, parent, text) {
    const svg = ["svg", "g", "path", "line", "text"].includes(name);
    const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }

  const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const count = (value) => value.toLocaleString("en");

  function niceSteps(low, high, wanted) {
    const rough = (high - low) / Math.max(wanted, 1) || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const steps = [];
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) steps.push(at);
    return { steps, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
  }

  function shorten(value) {
    const sizes = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
    const [size, unit] = sizes.find(([s]) => value >= s) || [1, ""];
    return `${Number((value / size).toPrecision(3))}${unit}`;
  }

  class Explorer {
    constructor(figure) {
      this.figure = figure;
      this.data = JSON.parse(figure.querySelector("script").textContent);
      this.task = this.data.tasks[0].name;
      this.axis = this.data.axes[0].name;
      this.bands = true;
      this.keys = new Map();
      this.hidden = new Set(this.data.curves.slice(AT_FIRST).map((curve) => curve.name));
      this.build();
      // Only for another width: to draw anew takes the hint away from under the pointer.
      new ResizeObserver(() => { if (this.plot.clientWidth !== this.drawn) this.draw(); }).observe(this.plot);
    }

    build() {
      for (const still of this.figure.querySelectorAll(".still")) still.remove();
      const tools = element("div", { class: "tools" }, this.figure);
      if (this.data.tasks.length > 1) this.choice(tools, "Task", this.data.tasks, "task");
      this.choice(tools, "Axis", this.data.axes, "axis");
      const label = element("label", {}, tools);
      const box = element("input", { type: "checkbox", checked: "" }, label);
      label.append(" Intervals");
      box.addEventListener("change", () => { this.bands = box.checked; this.draw(); });
      this.selection(tools);
      this.plot = element("div", { class: "plot" }, this.figure);
      this.note = element("figcaption", {}, this.figure, `Bars: simultaneous ${this.data.level} intervals over documents.`);
      this.shown = element("figcaption", { role: "status", "aria-live": "polite" }, this.figure);
      this.tip = element("div", { class: "tip", role: "status", "aria-live": "polite" }, this.figure);
      this.legend = element("div", { class: "legend", role: "group", "aria-label": "Curves shown" }, this.figure);
      for (const curve of this.data.curves) this.key(curve);
      this.tell();
    }

    choice(parent, title, options, field) {
      const label = element("label", {}, parent, `${title} `);
      const select = element("select", { "data-field": field }, label);
      for (const option of options) element("option", { value: option.name }, select, option.label);
      select.addEventListener("change", () => { this[field] = select.value; this.draw(); });
    }

    selection(tools) {
      const names = this.data.curves.map((curve) => curve.name);
      if (names.length < 3) return;
      const group = element("span", { class: "selection", role: "group", "aria-label": "Curves" }, tools, "Curves ");
      for (const [title, hidden] of [["All", []], ["None", names]]) {
        const button = element("button", { type: "button" }, group, title);
        button.addEventListener("click", () => { this.hidden = new Set(hidden); this.tell(); this.draw(); });
      }
    }

    tell() {
      const [all, hidden] = [this.keys.size, this.hidden.size];
      for (const [name, button] of this.keys) button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      this.shown.textContent = hidden ? `${all - hidden} of ${all} curves are drawn.` : "";
    }

    key(curve) {
      const button = element("button", { type: "button" }, this.legend);
      this.keys.set(curve.name, button);
      const swatch = element("svg", { width: 40, height: 12, class: `c${curve.look}`, "aria-hidden": "true" }, button);
      element("line", { x1: 0, x2: 40, y1: 6, y2: 6, class: "line", "stroke-dasharray": curve.dash }, swatch);
      this.dot(swatch, curve, 20, 6);
      button.append(` ${curve.name}`);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(curve.name)) this.hidden.add(curve.name);
        this.tell();
        this.draw();
      });
    }

    dot(parent, curve, x, y, attributes) {
      const place = `translate(${x.toFixed(1)},${y.toFixed(1)})`;
      return element("path", { class: "dot", d: SHAPES[curve.marker] || SHAPES.o, transform: place, ...attributes }, parent);
    }

    visible(task) {
      const place = (point) => (this.axis === "log2" || this.axis === "linear" ? point.rank : point.places[this.axis]);
      return this.data.curves
        .filter((curve) => !this.hidden.has(curve.name) && curve.tasks[task.name])
        .map((curve) => ({
          ...curve,
          points: curve.tasks[task.name].points
            .map((point) => ({ ...point, x: place(point) }))
            .filter((point) => point.x !== null && point.x !== undefined),
        }))
        .filter((curve) => curve.points.length);
    }

    draw() {
      this.drawn = this.plot.clientWidth;
      const task = this.data.tasks.find((one) => one.name === this.task);
      this.hide();
      this.plot.replaceChildren(this.picture({ task, width: Math.max(this.drawn, 240), height: HEIGHT }));
      this.note.hidden = !this.plot.querySelector("line.bar");
    }

    // A sheet has no choice of tasks, so it gets them all, drawn for its own width.
    drawOnPaper() {
      const size = this.data.tasks.length > 1 ? PAPER : WHOLE;
      this.plot.replaceChildren(...this.data.tasks.map((task) => {
        const panel = element("div", { class: "panel" });
        element("strong", {}, panel, task.label);
        panel.append(this.picture({ task, ...size }));
        return panel;
      }));
    }

    picture({ task, width, height }) {
      const curves = this.visible(task);
      const axis = this.data.axes.find((one) => one.name === this.axis);
      const view = { task, axis, width, height };
      const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
        "aria-label": `${task.label}: ${task.value} against ${axis.label}` });
      svg.addEventListener("keydown", (event) => this.walk(event, svg));
      if (!curves.length) {
        element("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, svg, "Nothing to show: choose a row, or another axis.");
        return svg;
      }
      const scale = this.scales(curves, view);
      this.frame(svg, scale, view);
      const base = task.base;
      if (base !== null && base !== undefined) {
        element("line", { class: "base", x1: MARGIN.left, x2: width - MARGIN.right, y1: scale.y(base), y2: scale.y(base) }, svg);
        element("text", { class: "note", x: width - MARGIN.right, y: scale.y(base) - 4, "text-anchor": "end" }, svg, "base model");
      }
      const apart = Math.min(APART, TOGETHER / Math.max(curves.length - 1, 1));
      curves.forEach((curve, number) => this.curve(svg, curve, scale, (number - (curves.length - 1) / 2) * apart, task));
      svg.querySelector(".dot").setAttribute("tabindex", 0);
      return svg;
    }

    // The picture is one stop of the Tab key; arrows go from point to point and from curve to curve.
    walk(event, svg) {
      const [along, across] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] || [];
      if (event.key === "Escape") this.hide();
      if (along === undefined || !event.target.matches(".dot")) return;
      event.preventDefault();
      const curves = [...svg.querySelectorAll(".curve")].map((curve) => [...curve.querySelectorAll(".dot")]);
      const row = curves.findIndex((dots) => dots.includes(event.target));
      const near = (list, at) => list[Math.min(Math.max(at, 0), list.length - 1)];
      const next = near(near(curves, row + across), curves[row].indexOf(event.target) + along);
      event.target.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    }

    scales(curves, { task, axis, width, height }) {
      const transform = axis.log ? Math.log2 : (x) => x;
      const points = curves.flatMap((curve) => curve.points);
      const xs = points.map((point) => transform(point.x));
      const ys = points.flatMap((point) => (this.bands ? [point.value, point.low ?? point.value, point.high ?? point.value] : [point.value]));
      if (task.base !== null && task.base !== undefined) ys.push(task.base);
      const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
      let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
      const pad = (y1 - y0 || 1) * 0.05;
      [y0, y1] = [y0 - pad, y1 + pad];
      const inner = width - MARGIN.left - MARGIN.right - 24;
      const tall = height - MARGIN.top - MARGIN.bottom;
      return {
        x: (value) => MARGIN.left + 12 + inner * (x1 > x0 ? (transform(value) - x0) / (x1 - x0) : 0.5),
        y: (value) => MARGIN.top + (tall * (y1 - value)) / (y1 - y0),
        low: y0,
        high: y1,
        ticks: this.ticks(points, axis, width),
      };
    }

    ticks(points, axis, width) {
      const places = [...new Set(points.map((point) => point.x))].sort((a, b) => a - b);
      if (axis.name === "log2" || axis.name === "linear") return places;
      if (axis.log) return places.filter((_, i) => i % Math.ceil(places.length / (width / 80)) === 0);
      return niceSteps(places[0], places[places.length - 1], width / 100).steps;
    }

    frame(svg, scale, { task, axis, width, height }) {
      const bottom = height - MARGIN.bottom;
      const { steps, digits } = niceSteps(scale.low, scale.high, 6);
      for (const step of steps) {
        element("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: scale.y(step), y2: scale.y(step) }, svg);
        element("text", { x: MARGIN.left - 6, y: scale.y(step) + 4, "text-anchor": "end" }, svg, step.toFixed(digits));
      }
      let last = -Infinity;
      for (const tick of scale.ticks) {
        const text = axis.unit === "rank" ? String(tick) : shorten(tick);  // budgets and costs are large
        const at = scale.x(tick);
        element("line", { class: "axis", x1: at, x2: at, y1: bottom, y2: bottom + 4 }, svg);
        if (at - last > text.length * 8 + 6) {
          element("text", { x: at, y: bottom + 17, "text-anchor": "middle" }, svg, text);
          last = at;
        }
      }
      element("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }, svg);
      element("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 6, "text-anchor": "middle" }, svg, axis.label);
      const middle = (MARGIN.top + bottom) / 2;
      element("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, svg, task.value);
    }

    curve(svg, curve, scale, shift, task) {
      const group = element("g", { class: `curve c${curve.look}` }, svg);
      const at = (point) => scale.x(point.x) + shift;
      const path = curve.points.map((point, i) => `${i ? "L" : "M"}${at(point).toFixed(1)},${scale.y(point.value).toFixed(1)}`).join("");
      element("path", { class: "line", d: path, "stroke-dasharray": curve.dash }, group);
      for (const point of curve.points) {
        if (this.bands && point.low !== null && point.high !== null) {
          element("line", { class: "bar", x1: at(point), x2: at(point), y1: scale.y(point.low), y2: scale.y(point.high) }, group);
        }
        const words = this.words(curve, point, task);
        const dot = this.dot(group, curve, at(point), scale.y(point.value), { tabindex: -1, role: "img", "aria-label": words.join(", ") });
        const show = () => this.show(words, at(point), scale.y(point.value));
        for (const event of ["pointerenter", "focus", "click"]) dot.addEventListener(event, show);
        for (const event of ["pointerleave", "blur"]) dot.addEventListener(event, () => this.hide());
      }
    }

    words(curve, point, task) {
      const of = curve.tasks[task.name];
      const interval = point.low === null ? "interval unknown" : `${this.data.level} interval ${number(point.low)} to ${number(point.high)}`;
      const words = [`${curve.name}, ${this.data.point} ${count(point.rank)}`, `${task.value}: ${number(point.value)}`, interval];
      if (of.documents) words.push(`${count(of.documents)} documents${task.tasks > 1 ? ` of ${task.tasks} tasks` : ""}`);
      const chosen = this.data.axes.find((one) => one.name === this.axis);
      const cost = chosen.unit === this.data.point ? this.data.axes.find((one) => one.name === "params") : chosen;
      if (cost && point.places[cost.name]) words.push(`${cost.label}: ${count(point.places[cost.name])}`);
      return words;
    }

    show(words, x, y) {
      this.tip.replaceChildren(...words.map((line, i) => element(i ? "div" : "strong", {}, null, line)));
      this.tip.classList.add("shown");
      const left = Math.min(Math.max(x - this.tip.offsetWidth / 2, 0), this.figure.clientWidth - this.tip.offsetWidth);
      this.tip.style.left = `${left}px`;
      const above = this.plot.offsetTop + y - this.tip.offsetHeight - 12;
      this.tip.style.top = `${above < this.plot.offsetTop ? this.plot.offsetTop + y + 12 : above}px`;
    }

    hide() {
      this.tip.classList.remove("shown");
    }
  }

  function filterable(table) {
    if (table.tBodies[0].rows.length < FILTER_FROM) return;
    const line = element("div", { class: "filter" });
    const label = element("label", {}, line, "Filter rows ");
    const input = element("input", { type: "search" }, label);
    const left = element("span", { role: "status", "aria-live": "polite" }, line);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase().split(/\s+/);
      const rows = [...table.tBodies[0].rows];
      for (const row of rows) row.hidden = !wanted.every((word) => row.textContent.toLowerCase().includes(word));
      const shown = rows.filter((row) => !row.hidden).length;
      left.textContent = shown < rows.length ? ` ${shown} of ${rows.length} rows` : "";
    });
    table.closest("figure").prepend(line);
  }

  function operable(table) {
    for (const head of table.tHead.rows[0].cells) {
      head.tabIndex = 0;
      head.title = "Sort by this column";
      head.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        head.click();
      });
    }
  }

  // Paper shows what is folded; afterwards the page is as it was.
  function printable(explorers) {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")];
      for (const part of opened) part.open = true;
      for (const explorer of explorers) explorer.drawOnPaper();
    });
    addEventListener("afterprint", () => {
      for (const part of opened) part.open = false;
      for (const explorer of explorers) explorer.draw();
    });
  }

  printable([...document.querySelectorAll("figure.explorer")].map((figure) => new Explorer(figure)));
  for (const table of document.querySelectorAll("table.sortable")) {
    operable(table);
    filterable(table);
  }
})();
