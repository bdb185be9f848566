"use strict";
// The form of a strategy: lines of a table that come, go and move, shares of weights as they are typed, and what the settings would do.
// Without it the form is sent as it is, one empty line at a time.
(() => {
  const WAIT_MS = 500;

  function shares(table) {
    const rows = [...table.querySelectorAll("[data-row]")];
    const cell = (row, end) => row.querySelector(`[name$="-${end}"]`);
    const weights = rows.map((row) => (cell(row, "name")?.value.trim() ? Math.max(0, Number(cell(row, "weight")?.value.replace(",", ".")) || 0) : 0));
    const sum = weights.reduce((one, other) => one + other, 0);
    rows.forEach((row, index) => {
      const place = row.querySelector("[data-share]");
      if (place) place.textContent = sum && weights[index] ? `${(100 * weights[index] / sum).toFixed(1).replace(/\.0$/, "")} %` : "";
    });
  }

  function rows(table) {
    const blank = table.querySelector("[data-blank]").cloneNode(true);
    for (const button of table.querySelectorAll("button")) button.hidden = false;
    for (const button of blank.querySelectorAll("button")) button.hidden = false;
    const lines = table.querySelectorAll("[data-row]");
    if (lines.length > 1) lines[lines.length - 1].remove(); // "Add" brings an empty one
    const changed = () => { shares(table); table.dispatchEvent(new Event("change", { bubbles: true })); };
    table.addEventListener("input", () => shares(table));
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const row = button.closest("[data-row]");
      if (button.hasAttribute("data-add")) {
        const last = [...table.querySelectorAll("[data-row]")].pop();
        const made = blank.cloneNode(true);
        if (last) last.after(made);
        else table.querySelector("tbody, ol").append(made);
        made.querySelector("input").focus();
        return;
      }
      if (button.hasAttribute("data-remove")) row.remove();
      if (button.hasAttribute("data-up") && row.previousElementSibling) row.previousElementSibling.before(row);
      if (button.hasAttribute("data-down") && row.nextElementSibling) row.nextElementSibling.after(row);
      if (row.isConnected) button.focus();
      changed();
    });
    shares(table);
  }

  function preview(panel) {
    const field = document.querySelector("[name^='s-']");
    const form = field ? field.form : document.getElementById("strategy_form");
    if (!form) return;
    const body = panel.querySelector(".cogo-panel-body");
    let timer = 0;
    let asked = 0;
    const look = async () => {
      const mine = ++asked;
      const data = new FormData(form);
      data.set("kind", panel.dataset.kind);
      try {
        const answer = await fetch(panel.dataset.preview, { method: "POST", body: data, credentials: "same-origin" });
        if (!answer.ok) throw new Error(String(answer.status));
        const html = await answer.text();
        if (mine === asked) body.innerHTML = html;
      } catch (error) {
        if (mine === asked) body.textContent = `The preview did not come (${error.message}).`;
      }
    };
    const soon = () => { clearTimeout(timer); timer = setTimeout(look, WAIT_MS); };
    form.addEventListener("input", soon);
    form.addEventListener("change", soon);
    panel.hidden = false;
    look();
  }

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-rows]").forEach(rows);
    const panel = document.getElementById("cogo-tried");
    if (panel) preview(panel);
  });
})();
