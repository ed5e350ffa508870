"use strict";
// Everything here is a convenience: without it the page shows the same numbers.
const all = (query, within = document) => [...within.querySelectorAll(query)];
const make = (tag, attributes = {}, text = "") => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
};
const main = document.querySelector("main"), nav = document.querySelector("nav");
const status = make("p", { role: "status", class: "unseen" });
main.append(status);

// Arms: pointing at one, or focusing it, fades the others in every plot and table.
let pinned = "";
const light = (arm) => {
  main.classList.toggle("linked", Boolean(arm));
  for (const one of all("[data-arm]")) one.classList.toggle("on", one.dataset.arm === arm);
};
const armOf = (event) => event.target.closest?.("[data-arm]")?.dataset.arm ?? "";
const keys = all(".keys [data-arm], #table [data-arm] > th");
const pin = (arm) => {
  pinned = pinned === arm ? "" : arm;
  for (const one of keys)
    one.setAttribute("aria-pressed", String(one.closest("[data-arm]").dataset.arm === pinned));
  light(pinned);
};
for (const one of keys) {
  const { arm } = one.closest("[data-arm]").dataset;
  one.setAttribute("role", "button");
  one.setAttribute("aria-pressed", "false");
  one.tabIndex = 0;
  one.addEventListener("click", () => pin(arm));
  one.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pin(arm);
  });
}
for (const name of ["pointerover", "focusin"])
  main.addEventListener(name, (event) => light(armOf(event) || pinned));
main.addEventListener("pointerleave", () => light(pinned));
document.addEventListener("keydown", (event) => { if (event.key === "Escape") pin(pinned); });

// Tables: a column's heading sorts by it: downward, upward, as it was.
const UNITS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, min: 60, h: 3600, d: 86400 };
const valueOf = (text) => {
  const found = text.replace("−", "-").match(/^\s*[<+]?(-?\d[\d.]*)(?:\/\d+)?\s*(k|M|G|T|min|h|d)?(?![a-z])/);
  return found ? Number(found[1]) * (UNITS[found[2]] ?? 1) : NaN;
};
for (const table of all("table.numbers")) {
  const body = table.tBodies[0], rows = [...body.rows];
  if (rows.length < 3 || body.querySelector(".heading")) continue;
  all("thead th", table).forEach((head, column) => {
    const button = make("button", { type: "button", class: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "descending", descending: "ascending" }[head.ariaSort ?? "none"] ?? "none";
      for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
      if (next !== "none") head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const text = (row) => row.cells[column]?.textContent ?? "";
      const order = (one, other) => {
        const [a, b] = [valueOf(text(one)), valueOf(text(other))];
        if (Number.isNaN(a) && Number.isNaN(b)) return sign * text(one).localeCompare(text(other));
        return Number.isNaN(a) - Number.isNaN(b) || sign * (a - b);
      };
      body.append(...(next === "none" ? rows : [...rows].sort(order)));
    });
  });
}

// Curves: a crosshair reads all panels of a figure at one epoch, by pointer or arrow keys.
for (const figure of all("figure")) {
  const panels = all("svg[data-x]", figure).map((svg) => {
    const [x0, x1, left, right] = svg.dataset.x.split(",").map(Number);
    const [y0, y1, bottom, top] = svg.dataset.y.split(",").map(Number);
    const points = all(".curve:not(.thin)", svg).flatMap((line) =>
      line.getAttribute("points").split(" ").map((pair) => {
        const [x, y] = pair.split(",").map(Number);
        return { x, y, epoch: Math.round(x0 + (x - left) / (right - left) * (x1 - x0)),
          value: y0 + (bottom - y) / (bottom - top) * (y1 - y0) };
      }));
    const part = (tag, kind) => {
      const element = document.createElementNS(svg.namespaceURI, tag);
      element.setAttribute("class", kind);
      svg.append(element);
      return element;
    };
    const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(y1 - y0) || 1)));
    return { svg, points, left, top, right, bottom, places, line: part("line", "cross"), words: part("text", "read") };
  }).filter((panel) => panel.points.length > 1);
  const show = (epoch) => {
    for (const { points, left, top, right, bottom, places, line, words } of panels) {
      const at = epoch === null ? null : points.find((point) => point.epoch === epoch);
      words.textContent = at ? `epoch ${at.epoch}: ${at.value.toFixed(places).replace("-", "−")}` : "";
      line.style.display = at ? "" : "none";
      if (!at) continue;
      for (const [name, value] of [["x1", at.x], ["x2", at.x], ["y1", top], ["y2", bottom]]) line.setAttribute(name, value);
      words.setAttribute("x", at.x > (left + right) / 2 ? at.x - 5 : at.x + 5);
      words.setAttribute("y", at.y > (top + bottom) / 2 ? top + 12 : bottom - 6);
      words.setAttribute("text-anchor", at.x > (left + right) / 2 ? "end" : "start");
    }
  };
  for (const { svg, points, words } of panels) {
    let place = points.length - 1;
    const to = (next) => {
      place = Math.min(points.length - 1, Math.max(0, next));
      show(points[place].epoch);
    };
    svg.tabIndex = 0;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      const gaps = points.map((point) => Math.abs(point.x - x));
      to(gaps.indexOf(Math.min(...gaps)));
    });
    svg.addEventListener("focus", () => to(place));
    for (const name of ["pointerleave", "blur"]) svg.addEventListener(name, () => show(null));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") show(null);
      if (!step) return;
      event.preventDefault();
      to(place + step);
      status.textContent = words.textContent;
    });
  }
}

// Metrics: one choice for every plot that exists for several.
const figures = all("[data-metric]"), metrics = [...new Set(figures.map((one) => one.dataset.metric))];
if (metrics.length > 1) {
  const label = make("label", {}, "metric ");
  const choice = make("select");
  choice.append(...metrics.map((name) => make("option", { value: name }, name)));
  const choose = () => {
    for (const section of all("section")) {
      const own = all("[data-metric]", section);
      // A section without the metric keeps the first one, which is the declared one.
      const shown = own.some((one) => one.dataset.metric === choice.value) ? choice.value : metrics[0];
      for (const one of own) {
        one.hidden = one.dataset.metric !== shown;
        if (one.tagName === "DETAILS") one.open = !one.hidden;
      }
    }
  };
  choice.addEventListener("change", choose);
  label.append(choice);
  nav.append(label);
  choose();
}

// Contents: the section in view is marked.
const links = all("a[href^='#']", nav);
const spy = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries)
    links.find((link) => link.hash === `#${target.id}`)?.toggleAttribute("data-seen", isIntersecting);
  const seen = links.find((link) => link.hasAttribute("data-seen"));
  for (const link of links) link.removeAttribute("aria-current");
  seen?.setAttribute("aria-current", "true");
}, { rootMargin: "-48px 0px -50% 0px" });
for (const section of all("#answer, main section[id]")) spy.observe(section);
