"use strict";
const SIGNS = { keep: "✓", look: "?", reject: "✕" };
const table = JSON.parse(document.getElementById("table").textContent);
const place = (name) => table.columns.indexOf(name);
const VERDICT = place("verdict"), DECISION = place("decision"), NOTE = place("note");
const cards = [...document.querySelectorAll("article")];
const rowOf = (card) => table.rows[table.keys.indexOf(card.dataset.key)];
const changed = new Set();
let filter = "";

function show(card) {
  const row = rowOf(card);
  const final = row[DECISION] || row[VERDICT];
  card.dataset.final = final;
  const chip = card.querySelector(".chip");
  chip.className = "chip " + final;
  chip.textContent = SIGNS[final] + " " + final;
  card.querySelector(".by").textContent = row[DECISION] ? "decided" : "";
}

function count() {
  for (const mark of document.querySelectorAll("[data-count]")) {
    mark.textContent = cards.filter((one) => one.dataset.final === mark.dataset.count).length;
  }
  const number = changed.size;
  document.getElementById("download").disabled = !number;
  document.getElementById("changed").textContent =
    number ? number + (number === 1 ? " change" : " changes") + " not yet downloaded" : "";
}

function decide(card, word) {
  rowOf(card)[DECISION] = word;
  changed.add(card.dataset.key);
  show(card);
  count();
}

function select() {
  const words = document.getElementById("search").value.toLowerCase().split(/\s+/);
  let any = false;
  for (const card of cards) {
    const text = (card.dataset.key + " " + card.querySelector(".reason").textContent).toLowerCase();
    const fits = (!filter || card.dataset.final === filter) && words.every((word) => text.includes(word));
    card.hidden = !fits;
    card.style.display = fits ? "" : "none";
    any = any || fits;
  }
  document.getElementById("none").hidden = any;
}

function move(step) {
  const seen = cards.filter((card) => !card.hidden);
  const here = seen.indexOf(document.activeElement.closest("article"));
  const next = seen[here < 0 ? 0 : Math.min(Math.max(here + step, 0), seen.length - 1)];
  if (next) {
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  }
}

function download() {
  const clean = (value) => String(value).split(/\s+/).join(" ").trim() || "n/a";
  // A quote begins a quoted value when the table is read.
  const cell = (value) => (value.includes('"') ? '"' + value.replaceAll('"', '""') + '"' : value);
  const lines = [table.columns, ...table.rows.map((row) => row.map(clean))];
  const text = lines.map((line) => line.map(cell).join("\t") + "\n").join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  link.download = "quality.tsv";
  link.click();
  changed.clear();
  count();
}

for (const button of document.querySelectorAll("[data-filter]")) {
  button.addEventListener("click", () => {
    filter = button.dataset.filter;
    for (const one of document.querySelectorAll("[data-filter]")) {
      one.setAttribute("aria-pressed", String(one === button));
    }
    select();
  });
}
for (const card of cards) {
  for (const button of card.querySelectorAll("[data-decide]")) {
    button.addEventListener("click", () => decide(card, button.dataset.decide));
  }
  card.querySelector(".note").addEventListener("change", (event) => {
    rowOf(card)[NOTE] = event.target.value;
    changed.add(card.dataset.key);
    count();
  });
}
document.getElementById("search").addEventListener("input", select);
document.getElementById("download").addEventListener("click", download);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return;
  const card = document.activeElement.closest("article");
  const word = { k: "keep", l: "look", r: "reject", u: "" }[event.key];
  if (word !== undefined && card) decide(card, word);
  else if (event.key === "ArrowDown" || event.key === "n") move(1);
  else if (event.key === "ArrowUp" || event.key === "p") move(-1);
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => {
  if (changed.size) event.preventDefault();
});
