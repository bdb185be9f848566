"use strict";
// This page answers a form. Reloading it must not send the form again: from here on its address is the key's own page.
addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector("[data-once]");
  if (place) history.replaceState(null, "", place.dataset.once);
});
