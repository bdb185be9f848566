"use strict";
// Turns a text field of names and patterns into a picker. The field stays what is sent: without this script it is typed.
(() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
  };
  const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);
  const isPattern = (word) => word.includes("*") || word.includes("?");
  const matcher = (word) => {
    const source = word.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".");
    return new RegExp(`^${source}$`, "s");
  };

  function enhance(field) {
    const said = make("p", { className: "cogo-sub" });
    said.setAttribute("aria-live", "polite");
    const search = make("input", { type: "search", className: "cogo-picker-search", placeholder: "Search models, aliases, strategies" });
    search.setAttribute("aria-label", "Search models, aliases and strategies");
    const list = make("div", { className: "cogo-picker-list" });
    const details = make("details", { className: "cogo-picker" }, make("summary", { textContent: "Choose from the catalogue" }), search, list);
    field.after(details, said);
    let known = null;

    const write = (chosen) => {
      field.value = chosen.join(", ");
      field.dispatchEvent(new Event("change", { bubbles: true }));
      tell();
    };
    const tell = () => {
      const chosen = words(field.value);
      for (const box of list.querySelectorAll("input")) box.checked = chosen.includes(box.value);
      if (!known) return;
      if (!chosen.length) {
        said.textContent = "Empty: it may use every model.";
        return;
      }
      const tests = chosen.map((word) => (isPattern(word) ? matcher(word) : { test: (name) => name === word }));
      const through = known.models.filter((one) => tests.some((test) => test.test(one.name) || test.test(`${one.provider}/${one.id}`)));
      const count = through.length;
      said.textContent = `Lets ${count} of ${known.models.length} models through by name${count ? `: ${through.slice(0, 5).map((one) => one.name).join(", ")}${count > 5 ? " …" : ""}` : ""}.`;
    };
    const row = (value, note) => {
      const box = make("input", { type: "checkbox", value });
      box.addEventListener("change", () => {
        const chosen = words(field.value).filter((word) => word !== value);
        write(box.checked ? [...chosen, value] : chosen);
      });
      const label = make("label", {}, box, make("span", { textContent: value }), make("span", { className: "cogo-quiet", textContent: note }));
      label.dataset.text = `${value} ${note}`.toLowerCase();
      return label;
    };
    const group = (title, rows) => rows.length && list.append(make("fieldset", {}, make("legend", { textContent: title }), ...rows));
    const fill = () => {
      const providers = new Map();
      for (const one of known.models) providers.set(one.provider, [...(providers.get(one.provider) || []), one]);
      for (const [slug, models] of providers) {
        const everything = row(`${slug}/*`, `all ${models.length} of ${models[0].title}, and those to come`);
        group(models[0].title, [everything, ...models.map((one) => row(one.name, one.price + (one.window ? ` · ${Math.round(one.window / 1000)}k` : "")))]);
      }
      group("Aliases", known.aliases.map((name) => row(name, "")));
      group("Strategies", [row("auto", "no model named: the active strategy"), ...known.strategies.map((name) => row(`strategy:${name}`, ""))]);
    };
    const narrow = () => {
      const wanted = search.value.trim().toLowerCase();
      for (const label of list.querySelectorAll("label")) label.hidden = !label.dataset.text.includes(wanted);
      for (const set of list.querySelectorAll("fieldset")) set.hidden = !set.querySelector("label:not([hidden])");
    };
    const load = async () => {
      if (known) return;
      try {
        const answer = await fetch(field.dataset.modelNames, { headers: { accept: "application/json" } });
        if (!answer.ok) throw new Error(`${answer.status}`);
        known = await answer.json();
        fill();
        narrow(); // what was typed while the list was on its way
      } catch (error) {
        said.textContent = `The list could not be read (${error.message}); names can be typed.`;
      }
      tell();
    };
    details.addEventListener("toggle", load);
    field.addEventListener("focus", load, { once: true });
    field.addEventListener("input", tell);
    search.addEventListener("input", narrow);
    search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  }

  addEventListener("DOMContentLoaded", () => document.querySelectorAll("input[data-model-names]").forEach(enhance));
})();
