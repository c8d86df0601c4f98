/**
 * What makes a report more comfortable where scripts run: layers are sorted and searched, commands copied, curves read
 * with arrow keys, and a page that is served follows its run. Nothing on the page needs it. No text of a file is in here.
 */
export const CLIENT = `"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Headings become buttons that sort; the network's own order comes back at the third click. */
function sortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  all("thead th[data-sort]", table).forEach((heading) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    const key = heading.dataset.sort;
    const valueOf = (row) => row.querySelector('[data-key="' + key + '"]')?.dataset.value;
    button.addEventListener("click", () => {
      const first = key === "name" ? "ascending" : "descending";
      const turns = [first, first === "ascending" ? "descending" : "ascending", "none"];
      const next = turns[(turns.indexOf(heading.getAttribute("aria-sort") ?? "none") + 1) % 3];
      all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") heading.setAttribute("aria-sort", next);
      table.classList.toggle("sorted", next !== "none");
      const sign = next === "ascending" ? 1 : -1;
      const compare = (a, b) => {
        const [x, y] = [valueOf(a), valueOf(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return sign * (key === "name" ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
      };
      body.append(...(next === "none" ? rows : [...rows].sort(compare)));
    });
  });
}

/** Shows what holds all words of the search, and says how much that is. */
function searchable(tools) {
  const section = tools.closest("[data-part]");
  const input = tools.querySelector("input[type=search]");
  const output = tools.querySelector("output");
  tools.hidden = false;
  const apply = () => {
    const words = input.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const items = all("[data-name]", section);
    const shown = items.filter((item) => {
      const fits = words.every((word) => item.dataset.name.toLowerCase().includes(word));
      item.hidden = !fits;
      return fits;
    });
    all("[data-unnamed]", section).forEach((item) => { item.hidden = words.length > 0; });
    section.querySelector("table")?.classList.toggle("searched", words.length > 0);
    output.textContent = words.length === 0 ? "" : shown.length + " of " + items.length;
  };
  input.addEventListener("input", apply);
  apply();
}

function copyable(button) {
  button.hidden = false;
  const text = button.parentElement.querySelector("code").textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

/** Arrow keys go from place to place, as the mouse does. */
function readable(drawing) {
  const places = all(".at", drawing);
  if (places.length === 0) return;
  drawing.setAttribute("tabindex", "0");
  let current = -1;
  const show = (next) => {
    places[current]?.classList.remove("on");
    current = next;
    places[current]?.classList.add("on");
  };
  drawing.addEventListener("keydown", ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step !== undefined) show(Math.min(places.length - 1, Math.max(0, current + step)));
    if (key === "Escape") show(-1);
  });
  drawing.addEventListener("blur", () => show(-1));
}

function enhance(root) {
  all("table[data-sortable]", root).forEach(sortable);
  all(".tools", root).forEach(searchable);
  all(".command button", root).forEach(copyable);
  all("figure.plot > svg", root).forEach(readable);
}

/** Puts new parts in the place of old ones; what is open, typed or scrolled to stays so. */
function follow(parts) {
  const known = new Map(parts.map((part) => [part.dataset.part, part.outerHTML]));
  let version = document.body.dataset.version;
  const renew = async (wanted) => {
    const response = await fetch(location.pathname, { cache: "no-store" });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    document.title = fresh.title;
    let last;
    for (const part of all("[data-part]", fresh)) {
      const name = part.dataset.part;
      const text = part.outerHTML;
      let own = document.querySelector('[data-part="' + name + '"]');
      if (own === null || known.get(name) !== text) {
        const next = document.importNode(part, true);
        if (own !== null) keepState(own, next);
        if (own !== null) own.replaceWith(next);
        else if (last !== undefined) last.after(next);
        enhance(next);
        known.set(name, text);
        own = next;
      }
      last = own;
    }
    const names = new Set(all("[data-part]", fresh).map((part) => part.dataset.part));
    all("[data-part]").forEach((part) => { if (!names.has(part.dataset.part)) part.remove(); });
    version = wanted;
    document.body.dataset.version = wanted;
  };
  let pending = Promise.resolve();
  const events = new EventSource(location.pathname + "events");
  const status = document.getElementById("connection");
  events.addEventListener("version", ({ data }) => {
    status.textContent = "";
    if (data !== version) pending = pending.then(() => (data === version ? undefined : renew(data))).catch(() => {});
  });
  events.addEventListener("end", () => { events.close(); status.textContent = ""; });
  events.addEventListener("error", () => { status.textContent = "not connected, trying again"; });
}

function keepState(from, to) {
  const [old, now] = [all("details", from), all("details", to)];
  now.forEach((details, index) => { if (old[index] !== undefined) details.open = old[index].open; });
  const [typed, empty] = [from.querySelector("input[type=search]"), to.querySelector("input[type=search]")];
  if (typed !== null && empty !== null) empty.value = typed.value;
}

const parts = all("[data-part]");
if (document.body.dataset.live !== undefined) follow(parts);
enhance(document);
`;
