"use strict";
// This page answers a form. Reloading it must not send the form again: from here on its address is the key's own page.
(() => {
  const address = document.currentScript.dataset.once;
  if (address) history.replaceState(null, "", address);
})();
