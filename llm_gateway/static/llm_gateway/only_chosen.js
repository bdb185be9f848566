"use strict";
// Shows a field only while another field of the form has a value it belongs to: data-only-for="kind=webhook,slack".
(() => {
  function follow(field) {
    const [name, values] = field.dataset.onlyFor.split("=");
    const chooser = field.form && field.form.elements[name];
    const row = field.closest(".field-row, .form-row") || field.parentElement;
    if (!chooser || !row) return;
    const show = () => { row.hidden = !values.split(",").includes(chooser.value); row.style.display = row.hidden ? "none" : ""; };
    chooser.addEventListener("change", show);
    show();
  }
  addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-only-for]").forEach(follow));
})();
