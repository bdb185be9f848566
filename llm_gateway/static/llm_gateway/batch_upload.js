"use strict";
// Large files go up in parts: the door takes no large form from a browser. Small ones are sent with the form, as without this script.
addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("batch-upload");
  if (!form) return;
  const { file, key, upload, csrfmiddlewaretoken: csrf } = form.elements;
  const said = document.getElementById("upload-progress");
  const button = form.querySelector("button[type=submit]");
  const part = Number(form.dataset.partBytes), most = Number(form.dataset.mostBytes);
  const size = (bytes) => `${(bytes / 1048576).toFixed(1)} MB`;
  document.getElementById("looked-at")?.scrollIntoView();

  // Another file takes the place of the one that was uploaded.
  file.addEventListener("change", () => {
    upload.value = "";
    document.getElementById("kept-upload")?.remove();
    said.textContent = file.files[0] ? size(file.files[0].size) : "";
  });

  async function send(chosen) {
    let token = "", at = 0;
    while (at < chosen.size || !token) {
      said.textContent = `Uploading: ${size(at)} of ${size(chosen.size)}`;
      const body = new FormData();
      body.append("at", at);
      body.append("data", chosen.slice(at, at + part), "part");
      body.append(...(token ? ["upload", token] : ["key", key.value]));
      body.append("name", chosen.name);
      const answer = await fetch(form.dataset.partUrl, { method: "POST", body, headers: { "X-CSRFToken": csrf.value, accept: "application/json" } });
      const told = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Error(told.error || `the server answered ${answer.status}`);
      ({ upload: token, bytes: at } = told);
    }
    return token;
  }

  form.addEventListener("submit", async (event) => {
    const chosen = file.files[0];
    if (!chosen) return;
    if (chosen.size > most) {
      event.preventDefault();
      said.textContent = `The file has ${size(chosen.size)} and may have ${size(most)}; split it.`;
      return;
    }
    if (chosen.size <= part) return;
    event.preventDefault();
    button.disabled = true;
    try {
      upload.value = await send(chosen);
      file.disabled = true;
      said.textContent = "Uploaded; looking at it.";
      form.submit();
    } catch (error) {
      said.textContent = `Not uploaded: ${error.message}. Try again.`;
      button.disabled = false;
    }
  });
});
